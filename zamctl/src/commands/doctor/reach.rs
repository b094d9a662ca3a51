//! ssh: on the source the key, whom to believe, the way there; on the replica who is let in, and to what.

use super::{
    Level::{Broken, Warning},
    Report, Seen,
    host::{Accounts, Host},
};
use crate::{
    commands::ssh::{DROP_IN, HOME, RECEIVE, USER, limits},
    grants::roots,
    shell::quoted,
};
use std::{collections::BTreeSet, path::Path};

use zam_policy::config::{Config, Entry};

/// Looks at both ends, as far as this machine is one.
pub fn look(host: &dyn Host, config: Option<&Config>, report: &mut Report) {
    let (Some(config), Ok(accounts)) = (config, Accounts::read(host)) else { return };
    let enabled = || config.entries.iter().filter(|entry| entry.enabled);
    let hosts: BTreeSet<&str> = enabled().flat_map(|entry| &entry.destinations).filter_map(|to| to.host()).collect();
    if !hosts.is_empty() {
        source(host, &accounts, &hosts, report);
        report.checked.push("ssh to replicas".to_owned());
    }
    // What this machine sends itself comes without ssh.
    let own = |root: &Entry| {
        enabled().flat_map(|entry| &entry.destinations).any(|to| to.local_root().as_ref() == Some(&root.source))
    };
    let clients: Vec<&Entry> = roots(config).filter(|root| root.enabled && !own(root)).collect();
    if !clients.is_empty() {
        replica(host, &clients, report);
        report.checked.push("ssh from clients".to_owned());
    }
}

fn source(host: &dyn Host, accounts: &Accounts, hosts: &BTreeSet<&str>, report: &mut Report) {
    let set_up = |name: &str| format!("zamctl ssh --print {} | sh", quoted(name));
    let (key, known) = (format!("{HOME}/id_ed25519"), format!("{HOME}/known_hosts"));
    let first = hosts.first().copied().unwrap_or_default();
    match report.seen(&key, host.stat(Path::new(&key))) {
        Some(Seen::Missing) => report.add(Broken, "ssh-key", &key, "zamd-send has no key", [set_up(first)]),
        Some(Seen::There(stat)) if accounts.uid("zam-send").is_some_and(|uid| uid != stat.uid) => {
            report.add(
                Broken,
                "ssh-key",
                &key,
                "it does not belong to zam-send",
                [format!("chown zam-send:zam-send {key}")],
            );
        }
        Some(Seen::There(stat)) if stat.mode & 0o177 != 0 => {
            let text = format!("its mode is {:04o}: ssh takes none that others can read", stat.mode);
            report.add(Broken, "ssh-key", &key, text, [format!("chmod 0600 {key}")]);
        }
        _ => {}
    }
    let pinned = report.seen(&known, host.read(Path::new(&known)));
    let way = "/etc/zam/ssh_config";
    let stanzas = report.seen(way, host.read(Path::new(way)));
    for name in hosts {
        // A hashed name could be any.
        let is = |line: &str| line.starts_with("|1|") || line.split([' ', ',']).next() == Some(name);
        let lacks = |seen: &Option<Seen<String>>, is: &dyn Fn(&str) -> bool| match seen {
            None => false,
            Some(Seen::Missing) => true,
            Some(Seen::There(text)) => !text.lines().any(is),
        };
        if lacks(&pinned, &is) {
            let text = format!("the host key of {name} is not pinned in {known}; compare the one that is shown then");
            report.add(Broken, "ssh-host-key", name, text, [set_up(name)]);
        }
        if lacks(&stanzas, &|line| line == format!("Host {name}")) {
            report.add(Broken, "ssh-config", name, format!("{way} does not say how to reach it"), [set_up(name)]);
        }
    }
}

fn replica(host: &dyn Host, clients: &[&Entry], report: &mut Report) {
    let keys = "/etc/zam/authorized_keys";
    let let_in = |client: &str| format!("zamctl ssh --print --from {client} --key {client}.pub | sh");
    let text = match report.seen(keys, host.read(Path::new(keys))) {
        None => return,
        Some(Seen::Missing) => String::new(),
        Some(Seen::There(text)) => text,
    };
    if let Ok(stat) = host.stat(Path::new(keys))
        && (stat.uid != 0 || stat.mode & 0o022 != 0)
    {
        let mend = [format!("chown root:root {keys}"), format!("chmod 0644 {keys}")];
        report.add(
            Broken,
            "ssh-authorized-keys",
            keys,
            "others than root can write it, so sshd does not read it",
            mend,
        );
    }
    let allowed: Vec<(&str, String)> = clients
        .iter()
        .map(|root| {
            let client = root.client.as_deref().unwrap_or_default();
            (client, limits(client, root.source.as_str()) + " ssh-")
        })
        .collect();
    for (client, start) in &allowed {
        if !text.lines().any(|line| line.starts_with(start)) {
            let text = format!(
                "no key of it is let in; bring /var/lib/zam/send/id_ed25519.pub from there, here as {client}.pub"
            );
            report.add(Broken, "ssh-client", client, text, [let_in(client)]);
        }
    }
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') || allowed.iter().any(|(_, start)| line.starts_with(start)) {
            continue;
        }
        let (level, text) = match line.starts_with(&format!("restrict,command=\"{RECEIVE} ")) {
            true => (Warning, "a key of a client, or for a root, that the config does not have"),
            false => (Broken, "a key that may do more than start zam-receive"),
        };
        let number = number + 1;
        report.add(
            level,
            "ssh-authorized-keys",
            format!("{keys}:{number}"),
            text,
            // The other lines keep their numbers.
            [format!("sed -i '{number}s/^/#/' {keys}")],
        );
    }
    drop_in(host, report);
}

/// What sshd is told of zam-ssh, and whether it listens.
fn drop_in(host: &dyn Host, report: &mut Report) {
    let path = "/etc/ssh/sshd_config.d/zam.conf";
    let reload = "systemctl reload ssh 2>/dev/null || systemctl reload sshd";
    let write = format!("install -D -m 0644 /usr/share/doc/zam/examples/sshd-zam.conf {path}");
    let told = report.seen(path, host.read(Path::new(path)));
    // Another account than zam-ssh may have been chosen (`user` of a destination).
    let user = match &told {
        Some(Seen::There(text)) => text.lines().find_map(|line| line.strip_prefix("Match User ")).unwrap_or(USER),
        _ => USER,
    };
    let ask = format!("user={user},host=localhost,addr=127.0.0.1");
    match &told {
        Some(Seen::There(text)) if *text == DROP_IN.replace(USER, user) => {}
        None => {}
        _ => {
            let text = "sshd is not told what zam-ssh may, or not what this release of zam says";
            report.add(Broken, "sshd", path, text, [write.as_str(), reload]);
            return;
        }
    }
    // The kernel's folder for this process belongs to who runs it.
    let root = host.stat(Path::new("/proc/self")).is_ok_and(|own| own.uid == 0);
    match host.run("sshd", &["-T", "-C", &ask]) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            report.add(Broken, "sshd", "sshd", "it is not installed", ["apt-get install openssh-server"]);
        }
        Err(error) => report.not_checked.push(format!("what sshd reads: {error}")),
        Ok(said) if said.is_empty() && root => {
            report.add(Broken, "sshd", "sshd", "it does not take its own config, and says why", ["sshd -t"]);
        }
        Ok(said) if said.is_empty() => report.not_checked.push("what sshd reads: it says so to root alone".to_owned()),
        Ok(said) if said.lines().any(|line| line == "authorizedkeysfile /etc/zam/authorized_keys") => {}
        Ok(_) => {
            let main = "/etc/ssh/sshd_config";
            let include = format!("sed -i '1i Include /etc/ssh/sshd_config.d/*.conf' {main}");
            report.add(Broken, "sshd", main, format!("it does not read {path}"), [include.as_str(), reload]);
        }
    }
}
