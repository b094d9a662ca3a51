//! `zamctl restore`: what both admins type to get a snapshot back from a replica.

use crate::{
    abroad::{Abroad, There},
    failure::{Failure, Outcome},
    out,
    session::Session,
    shell::quoted,
};
use zam_names::{DatasetName, SnapshotName};

/// Print the commands that bring a snapshot back from a replica
///
/// What the admin of the replica types, who lets a person there read this one snapshot; what root types here, who receives
/// it as a new dataset; and how the replica's admin takes the right away again. Nothing is ever run, and nothing that is
/// there is overwritten.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print them (nothing is ever run)
    #[arg(long, required = true)]
    print: bool,
    /// Which snapshot, as it was called on this machine
    #[arg(value_name = "DATASET@SNAP")]
    snapshot: SnapshotName,
    /// From which destination
    #[arg(long, value_name = "DEST")]
    from: String,
    /// The dataset that it becomes here; it must not be there yet
    #[arg(long, value_name = "NEW")]
    to: DatasetName,
    /// Who logs in on the replica by ssh, from here, to send it; if not said, whoever asks
    #[arg(long, value_name = "USER", value_parser = login)]
    login: Option<String>,
    #[command(flatten)]
    there: There,
}

/// Prints.
///
/// # Errors
/// If the config is faulty, or does not say where the copies are.
pub fn run(args: &Args, session: &Session) -> Result<Outcome, Failure> {
    debug_assert!(args.print);
    let config = session.config()?.config;
    let place = Abroad::find(&config, Some(&args.from))?;
    let root = place.root(&args.there)?;
    let path = place.path(args.snapshot.dataset(), &root)?;
    let dataset = path.below(&root).map_err(|why| Failure::usage(why.to_string()))?;
    let copy = dataset.at(args.snapshot.tag()).map_err(|why| Failure::usage(why.to_string()))?;
    out::print(&text(args, place.host(), &copy))?;
    Ok(Outcome::Fine)
}

fn text(args: &Args, host: Option<&str>, copy: &SnapshotName) -> String {
    let (old, new) = (args.snapshot.dataset(), quoted(args.to.as_str()));
    let asks = || ["SUDO_USER", "USER"].into_iter().find_map(|name| login(&std::env::var(name).ok()?).ok());
    let login = args.login.clone().or_else(asks).unwrap_or_else(|| "root".to_owned());
    let (there, snapshot) = (quoted(copy.dataset().as_str()), quoted(&copy.to_string()));
    let send = format!("zfs send -w {snapshot}");
    let mut text = format!(
        "# {} back, as {}. Read it; nothing that is there is changed.\n\
         # `-w` sends as it is on disk: encrypted data stays encrypted, and needs no key on the way.\n",
        args.snapshot, args.to
    );
    text += &match host {
        Some(host) => format!(
            "\n# 1. On {host}, as root: {snapshot} is there, stays there, and {login} may read it.\n\
             #    zfs list -o name,guid,creation {snapshot}\n\
             #    zfs hold zam-restore {snapshot}\n\
             #    zfs allow -d -u {login} send {there}\n\
             \n\
             # 2. Here, as root. It is not mounted yet; a transfer that breaks off goes on with what is printed after it.\n\
             ssh {address} {send} | zfs receive -s -u {new}\n\
             # Broken off: ssh {address} zfs send -t \"$(zfs get -H -o value receive_resume_token {new})\" | zfs receive -s -u {new}\n",
            address = quoted(&format!("{login}@{host}")),
            send = quoted(&send),
        ),
        None => format!("\n# 1. Here, as root. It is not mounted yet.\n{send} | zfs receive -s -u {new}\n"),
    };
    let last = if host.is_some() { 3 } else { 2 };
    text += &format!(
        "\n# {last}. Here, as root. The key, if it is encrypted; without a passphrase, say where it is: zfs load-key -L file:///PATH {new}\n\
         case $(zfs get -H -o value keystatus {new}) in unavailable) zfs load-key {new} </dev/tty ;; esac\n\
         case $(zfs get -H -o value type {new}) in filesystem) zfs mount {new} ;; esac\n\
         # To have the key of the datasets above again, once that is loaded: zfs change-key -i {new}\n\
         # To put it in the old one's place, and go on replicating from this snapshot:\n\
         #    zfs rename {was} {before}\n\
         #    zfs rename {new} {was}\n\
         # What the replica has beyond it is then a branch of its own: zamctl replicate {was} --to {from} --rotate\n",
        from = quoted(&args.from),
        was = quoted(old.as_str()),
        before = quoted(&format!("{old}-before")),
    );
    if let Some(host) = host {
        text += &format!(
            "\n# 4. On {host}, as root, afterwards:\n\
             #    zfs unallow -d -u {login} send {there}\n\
             #    zfs release zam-restore {snapshot}\n"
        );
    }
    text
}

/// The name of a unix user.
fn login(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let good = !text.is_empty() && !text.starts_with('-') && text.chars().all(plain);
    if good { Ok(text.to_owned()) } else { Err("not the name of a user".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;

    fn args() -> Args {
        Args {
            print: true,
            snapshot: "tank/my data@zam-20260701T120000Z".parse().unwrap(),
            from: "olympus".to_owned(),
            to: "tank/back".parse().unwrap(),
            login: Some("ann".into()),
            there: There::default(),
        }
    }

    #[test]
    fn both_admins_are_told_what_to_type() {
        let copy: SnapshotName = "nas/zam/me/tank/my data@zam-20260701T120000Z".parse().unwrap();
        for (host, file) in [(Some("olympus"), "tests/golden/restore.sh"), (None, "tests/golden/restore-local.sh")] {
            let text = text(&args(), host, &copy);
            golden::is_shell(&text);
            let commands: String =
                text.lines().filter_map(|line| line.strip_prefix("#    ")).map(|line| format!("{line}\n")).collect();
            golden::is_shell(&commands);
            golden::compare(&text, file);
        }
    }
}
