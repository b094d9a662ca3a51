//! `zamctl ssh`: what to type so that this machine reaches its replica, and nothing more.

use crate::{
    abroad::{self, Abroad, There},
    failure::{Failure, Kind, Outcome},
    grants::roots,
    out,
    session::Session,
    shell::quoted,
};
use std::{fmt::Write as _, fs};
use zam_names::DatasetName;

/// Print the commands that let zamd-send reach a replica by ssh
///
/// First for this machine: a key, whom to believe to be the replica, how ssh finds it. Then, with `--on replica`, for the
/// other one: the key may start one command there and nothing else. Read them, then run them as root on the machine that
/// they are for; nothing is ever run.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print them (nothing is ever run)
    #[arg(long, required = true)]
    print: bool,
    /// Which destination, if there is more than one
    #[arg(value_name = "DEST")]
    destination: Option<String>,
    /// For which of the two machines
    #[arg(long, value_enum, value_name = "SIDE", default_value = "source")]
    on: Side,
    #[command(flatten)]
    there: There,
    /// Where the replica is, if not where its name leads
    #[arg(long, value_name = "HOST", value_parser = address)]
    address: Option<String>,
    /// At which port its sshd listens
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// The public key of zamd-send: its file, or the key itself
    #[arg(long, value_name = "KEY", default_value = "/var/lib/zam/send/id_ed25519.pub")]
    key: String,
    /// On the replica itself: let this client of its `[[replicas]]` in, with the key that `--key` says
    #[arg(long, value_name = "CLIENT", conflicts_with_all = ["destination", "on", "client", "root", "address", "port"])]
    from: Option<String>,
}

/// One of the two machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Side {
    /// this one, which sends
    Source,
    /// the other one, which receives
    Replica,
}

/// Prints.
///
/// # Errors
/// If the config is faulty, or does not say enough.
pub fn run(args: &Args, session: &Session) -> Result<Outcome, Failure> {
    debug_assert!(args.print);
    let config = session.config()?.config;
    if let Some(client) = &args.from {
        let root = roots(&config).find(|root| root.client.as_ref() == Some(client)).map(|root| &root.source);
        let root = root.ok_or_else(|| {
            Failure::usage(format!("no `[[replicas]]` of the config has the client {client:?}"))
                .hint("`zamctl setup --replica` writes one")
        })?;
        out::print(&for_replica(client, root, &args.key)?)?;
        return Ok(Outcome::Fine);
    }
    let place = Abroad::find(&config, args.destination.as_deref())?;
    let Some(host) = place.host() else {
        return Err(Failure::usage(format!("{} is on this machine, and needs no ssh", place.name)));
    };
    let client = args.there.client()?;
    let text = match args.on {
        Side::Source => source(args, host, &client),
        Side::Replica => {
            let hint = format!("as root, first run what `zamctl ssh --print {}` prints, which makes it", quoted(host));
            let key = key(&args.key, &hint)?;
            let root = place.root(&args.there)?;
            replica(host, place.user(), &client, &line(&client, &root, &key))
        }
    };
    out::print(&text)?;
    Ok(Outcome::Fine)
}

/// What lets this machine reach a replica by its name, with what is known of it.
#[must_use]
pub fn for_source(host: &str, client: &str, there: &There) -> String {
    let args = Args {
        print: true,
        destination: None,
        on: Side::Source,
        there: there.clone(),
        address: None,
        port: None,
        key: String::new(),
        from: None,
    };
    source(&args, host, client)
}

/// What lets a client in here, with this key (or the file that has it).
///
/// # Errors
/// If there is no such key.
pub fn for_replica(client: &str, root: &DatasetName, from: &str) -> Result<String, Failure> {
    let key = key(from, &format!("bring /var/lib/zam/send/id_ed25519.pub of {client} here"))?;
    Ok(replica(&abroad::here(), USER, client, &line(client, root, &key)))
}

fn line(client: &str, root: &DatasetName, key: &str) -> String {
    format!("{} {key} zam-send@{client}", limits(client, root.as_str()))
}

fn source(args: &Args, host: &str, client: &str) -> String {
    let address = args.address.as_deref().unwrap_or(host);
    let port = args.port.map(|port| format!(" -p {port}")).unwrap_or_default();
    let ssh_port = args.port.map(|port| format!("    Port {port}\n")).unwrap_or_default();
    let mut more = String::new();
    let there = [("--client", args.there.named()), ("--root", args.there.root().map(DatasetName::as_str))];
    for (option, said) in there.into_iter().filter_map(|(option, said)| Some((option, said?))) {
        let _ = write!(more, " {option} {}", quoted(said));
    }
    let (bare, host, comment) = (host, quoted(host), quoted(&format!("zam-send@{client}")));
    let (first, stanza) = (quoted(&format!("s/^[^ #]* /{bare} /p")), quoted(&format!("Host {bare}")));
    format!(
        "# How zamd-send on {client} reaches {host}. Read it, then run it here, as root.\n\
         # After it, here, as root, for the other machine: zamctl ssh --print {host} --on replica{more}\n\
         \n\
         # A key without a passphrase, since nobody is there to type one. All it can do on {host} is start zam-receive.\n\
         install -d -m 0750 -o zam-send -g zam-send {HOME}\n\
         test -e {HOME}/id_ed25519 || runuser -u zam-send -- ssh-keygen -q -t ed25519 -N '' -C {comment} -f {HOME}/id_ed25519\n\
         \n\
         # Whom to believe to be {host}: the key it shows now. Compare what this prints with what {host} says at its console\n\
         # to: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub\n\
         # If they differ, somebody is in between: rm {HOME}/known_hosts\n\
         ssh-keygen -F {host} -f {HOME}/known_hosts >/dev/null 2>&1 ||\n    \
             ssh-keyscan -T 60 -t ed25519{port} {address} | sed -n {first} |\n    \
             runuser -u zam-send -- tee -a {HOME}/known_hosts >/dev/null\n\
         ssh-keygen -lF {host} -f {HOME}/known_hosts\n\
         \n\
         # How ssh finds it, and what it offers there: this key, and nothing else. zamd-send's ssh reads no other file.\n\
         install -d -m 0755 /etc/zam\n\
         grep -qsxF {stanza} /etc/zam/ssh_config || cat >>/etc/zam/ssh_config <<'END'\n\
         Host {bare}\n    \
             HostName {address}\n\
         {ssh_port}    \
             HostKeyAlias {bare}\n    \
             IdentityFile {HOME}/id_ed25519\n    \
             IdentitiesOnly yes\n    \
             IdentityAgent none\n    \
             PreferredAuthentications publickey\n    \
             UserKnownHostsFile {HOME}/known_hosts\n    \
             GlobalKnownHostsFile /dev/null\n    \
             StrictHostKeyChecking yes\n    \
             UpdateHostKeys no\n    \
             CheckHostIP no\n    \
             ClearAllForwardings yes\n    \
             ForwardAgent no\n    \
             ForwardX11 no\n    \
             PermitLocalCommand no\n\
         END\n\
         chmod 0644 /etc/zam/ssh_config\n",
    )
}

fn replica(host: &str, user: &str, client: &str, line: &str) -> String {
    let dropped = DROP_IN.replace(USER, user);
    format!(
        "# How {host} lets {client} in. Read it, then run it on {host}, as root, where the package zam is installed.\n\
         # Its config comes from `zamctl replica-config --print` on {client}, its datasets and grants, then, from\n\
         # `zamctl grant --print --replica` on {host}.\n\
         \n\
         # The key of {client} may start this one command, as {user}, who has no right at all; no terminal, no forwarding, no other word.\n\
         install -d -m 0755 /etc/zam\n\
         touch /etc/zam/authorized_keys\n\
         chown root:root /etc/zam/authorized_keys\n\
         chmod 0644 /etc/zam/authorized_keys\n\
         line={line}\n\
         grep -qxF \"$line\" /etc/zam/authorized_keys || printf '%s\\n' \"$line\" >>/etc/zam/authorized_keys\n\
         \n\
         # Nor has {user} any jobs for later.\n\
         test -e /etc/cron.allow || grep -qsxF {user} /etc/cron.deny || echo {user} >>/etc/cron.deny\n\
         \n\
         # Only that file counts for {user}: it is root's, so that nobody who gets in can add a key. `AllowUsers` or `AllowGroups`,\n\
         # if sshd has them, must let {user} in; where it has `UsePAM no`, a locked password locks keys out too: usermod -p '*' {user}\n\
         install -d -m 0755 /etc/ssh/sshd_config.d\n\
         cat >/etc/ssh/sshd_config.d/zam.conf <<'END'\n\
         {dropped}END\n\
         chmod 0644 /etc/ssh/sshd_config.d/zam.conf\n\
         sshd -t && {{ systemctl reload ssh 2>/dev/null || systemctl reload sshd; }}\n\
         sshd -T -C user={user},host=localhost,addr=127.0.0.1 | grep -qx 'authorizedkeysfile /etc/zam/authorized_keys' ||\n    \
             echo 'sshd does not read /etc/ssh/sshd_config.d: put the block into /etc/ssh/sshd_config' >&2\n",
        line = quoted(line),
    )
}

/// What the key may do. sshd takes a backslash in front of a quote, and the shell that it starts takes words as they are quoted.
#[must_use]
pub fn limits(client: &str, root: &str) -> String {
    let command = format!("{RECEIVE} --client {} --root {}", quoted(client), quoted(root));
    format!("restrict,command=\"{}\"", command.replace('"', "\\\""))
}

/// Type and key, less the comment; of a file, or as they were said.
fn key(said: &str, hint: &str) -> Result<String, Failure> {
    let text = if said.starts_with("ssh-") { Ok(said.to_owned()) } else { fs::read_to_string(said) };
    let text = text.map_err(|error| {
        let failure = Failure::new(Kind::Failed, format!("cannot read the public key {said}"));
        failure.because(Some(&error)).hint(format!("{hint}; or name another with `--key`"))
    })?;
    let words: Vec<&str> = text.split_whitespace().take(2).collect();
    let plain = |word: &&str| word.chars().all(|c| c.is_ascii_alphanumeric() || "-+/=@.".contains(c));
    match words.as_slice() {
        [sort, key] if sort.starts_with("ssh-") && words.iter().all(plain) => Ok(format!("{sort} {key}")),
        _ => Err(Failure::new(Kind::Failed, format!("{said} is not a public key of ssh"))),
    }
}

/// A host's name or address, which goes into commands as it is.
///
/// # Errors
/// If it is none.
pub fn address(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
    let good = !text.is_empty() && !text.starts_with('-') && text.chars().all(plain);
    if good { Ok(text.to_owned()) } else { Err("not the name or address of a host".to_owned()) }
}

/// Where zamd-send's ssh has its key.
pub const HOME: &str = "/var/lib/zam/send";
/// What a key may start.
pub const RECEIVE: &str = "/usr/bin/zam-receive";
/// As whom it comes in, unless `user` of a destination says otherwise.
pub const USER: &str = "zam-ssh";
/// What the replica's sshd is told.
pub const DROP_IN: &str = include_str!("../../../packaging/ssh/zam.conf");

#[cfg(test)]
#[path = "ssh_tests.rs"]
mod tests;
