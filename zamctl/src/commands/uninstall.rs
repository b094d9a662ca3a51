//! `zamctl uninstall --print`: what to type so that nothing of zam is left.

use crate::{
    failure::{Failure, Outcome},
    grants::unallow,
    look::Land,
    out,
    session::Session,
    shell::{in_batches, quoted},
    words::count,
};
use zam_names::{HOLD_TAG, KEEP_TAG, Pool, SnapshotName};
use zam_policy::copy::destination_of;
use zam_zfs::{GrantWho, Lister, Scope};

/// Print the commands that remove zam's holds, grants and bookmarks
///
/// They destroy no snapshot: every one of them stays, with its name. Read them, then run them as root.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print them (nothing is ever run)
    #[arg(long, required = true)]
    print: bool,
}

/// Each daemon, with the doors that would start it again.
const UNITS: [(&str, &[&str]); 5] = [
    ("watch", &["status", "control"]),
    ("snap", &["status", "control"]),
    ("prune", &["status", "control"]),
    ("send", &["status", "control"]),
    ("recv", &["status", "control", "peer", "stream"]),
];

/// The programs around snapshots, whatever their names are.
const HOOKS: &str = "systemctl list-units --all --plain --no-legend 'zam-hook@*.socket' |\n    \
                     while read -r unit _; do systemctl disable --now \"$unit\"; done\n";

/// Prints.
///
/// # Errors
/// If the pools cannot be listed.
pub fn run(args: &Args, session: &Session) -> Result<Outcome, Failure> {
    debug_assert!(args.print);
    let lister = session.lister();
    let land = Land::survey(&*lister)?;
    let mut text = String::from(
        "# Removes zam's holds, grants and bookmarks from the pools that are imported now. Destroys no snapshot. Read it, then run it as\n\
         # root: zamctl uninstall --print | sh\n\n\
         # First the daemons, which would hold again what the policy keeps. Until then they go on: where they run now, do all\n\
         # of this a second time, for what they take meanwhile.\n",
    );
    text.extend(UNITS.iter().map(|(role, sockets)| disable(role, sockets)));
    text += HOOKS;
    text += &holds(&*lister, &land)?;
    text += &grants(&*lister, &land)?;
    text += &bookmarks(&*lister, &land)?;
    text += "\n# Who came in by ssh. The keys that did are in /etc/zam.\n\
             rm -f /etc/ssh/sshd_config.d/zam.conf\n\
             \n# Last the package, with its users and units; your snapshots stay. Config and notes, if you want to be rid of them\n\
             # too: /etc/zam, /var/lib/zam.\n\
             # apt purge zam\n";
    out::print(&text)?;
    land.passed_over.iter().for_each(|line| out::remark(line));
    Ok(Outcome::Fine)
}

/// A unit that was never installed must not end a `sh -e`, before any hold is released.
fn disable(role: &str, sockets: &[&str]) -> String {
    let sockets: String = sockets.iter().map(|door| format!("zamd-{role}-{door}.socket ")).collect();
    format!(
        "systemctl cat zamd-{role}.service >/dev/null 2>&1 &&\n    systemctl disable --now {sockets}zamd-{role}.service\n"
    )
}

fn holds(lister: &dyn Lister, land: &Land) -> Result<String, Failure> {
    let (mut zam, mut kept): (Vec<SnapshotName>, Vec<SnapshotName>) = (Vec::new(), Vec::new());
    for pool in seen(land) {
        let names: Vec<SnapshotName> =
            lister.snapshots(Scope::Pool(&pool.name))?.into_iter().map(|(name, ..)| name).collect();
        for (name, tags) in lister.holds(&names)? {
            if tags.iter().any(|tag| tag.as_str() == HOLD_TAG) {
                zam.push(name.clone());
            }
            if tags.iter().any(|tag| tag.as_str() == KEEP_TAG) {
                kept.push(name);
            }
        }
    }
    zam.sort();
    kept.sort();
    let mut text = format!("\n# The holds of {}.\n", count(zam.len(), "snapshot"));
    text += &release(HOLD_TAG, &zam, "");
    if !kept.is_empty() {
        text += &format!(
            "\n# {} carry a pin that a person asked for with `zamctl keep`. These are not released, unless you do:\n",
            count(kept.len(), "snapshot")
        );
        text += &release(KEEP_TAG, &kept, "# ");
    }
    Ok(text)
}

/// The pools that were looked at.
fn seen(land: &Land) -> impl Iterator<Item = &Pool> {
    land.pools.iter().filter(|pool| land.datasets.iter().any(|dataset| dataset.name.pool() == pool.name))
}

fn release(tag: &str, names: &[SnapshotName], before: &str) -> String {
    in_batches(&format!("{before}zfs release {tag}"), names).map(|line| line + "\n").collect()
}

/// What zamd-send marked: `#zam-` and the replica's number.
fn bookmarks(lister: &dyn Lister, land: &Land) -> Result<String, Failure> {
    let mut lines = String::new();
    for pool in seen(land) {
        let mut names: Vec<_> = lister.bookmarks(&pool.name)?.into_iter().map(|mark| mark.name).collect();
        names.sort();
        let ours = names.iter().filter(|name| destination_of(name.tag()).is_some());
        lines.extend(ours.map(|name| format!("zfs destroy {}\n", quoted(&name.to_string()))));
    }
    if lines.is_empty() {
        return Ok(lines);
    }
    Ok(format!(
        "\n# The bookmarks, each the base from which a replica is sent more; without them it is sent all again.\n{lines}"
    ))
}

fn grants(lister: &dyn Lister, land: &Land) -> Result<String, Failure> {
    let mut lines = String::new();
    for dataset in &land.datasets {
        for grant in lister.grants(&dataset.name)? {
            if matches!(&grant.who, GrantWho::User(name) | GrantWho::Group(name) if name.starts_with("zam-")) {
                lines += &(unallow(&grant) + "\n");
            }
        }
    }
    Ok(format!("\n# The grants.\n{lines}"))
}
