//! Users, folders, units, doors, the clock, the release of OpenZFS.

use super::{
    Level::{Broken, Note, Warning},
    Report, Seen,
    host::{Accounts, Host},
};
use crate::{openzfs::OpenZfs, session::Session, shell::quoted, words::count};
use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
};
use zam_names::UnixTime;
use zam_policy::config::{ClockTrust, Config};
use zam_protocol::{COPIERS, Door, OPERATORS, Role};

/// What the package makes: the same files that systemd reads.
const SYSUSERS: &str = include_str!("../../../../packaging/sysusers.d/zam.conf");
const TMPFILES: &str = include_str!("../../../../packaging/tmpfiles.d/zam.conf");

/// Looks at all but the clock, which wants to know of the newest snapshot.
pub fn look(host: &dyn Host, config: Option<&Config>, session: &Session, report: &mut Report) {
    openzfs(host, report);
    let Some(Seen::There(accounts)) = report.seen("users and groups", Accounts::read(host)) else { return };
    users(&accounts, report);
    folders(host, &accounts, report);
    if let Some(config) = config {
        let running = units(host, config, &accounts, report);
        hooks(host, config, report);
        doors(host, &accounts, &running, &session.globals.runtime_dir, report);
    }
}

/// Lines of such a file, less the comments.
fn lines(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().filter(|line| !line.starts_with('#')).map(|line| line.split_whitespace().collect())
}

fn users(accounts: &Accounts, report: &mut Report) {
    const MAKE: &str = "systemd-sysusers zam.conf";
    for words in lines(SYSUSERS) {
        let (name, lacks) = match words.as_slice() {
            ["u", name, ..] => (*name, accounts.uid(name).is_none().then(|| "there is no such user".to_owned())),
            ["g", name, ..] => (*name, accounts.gid(name).is_none().then(|| "there is no such group".to_owned())),
            ["m", name, group] => {
                let member = accounts.members(group).iter().any(|member| member == name);
                let expected = accounts.uid(name).is_some() && accounts.gid(group).is_some();
                (*name, (expected && !member).then(|| format!("it is not in the group {group}")))
            }
            _ => continue,
        };
        if let Some(text) = lacks {
            report.add(Broken, "account", name, text, [MAKE]);
        }
    }
    for name in accounts.members(OPERATORS).iter().filter(|name| name.starts_with("zam-")) {
        let text = format!("a role's user is in {OPERATORS}, which is for people; the daemons do not let it in as one");
        report.add(Warning, "account", name, text, [format!("gpasswd -d {name} {OPERATORS}")]);
    }
    report.checked.push("users and groups".to_owned());
}

fn folders(host: &dyn Host, accounts: &Accounts, report: &mut Report) {
    for words in lines(TMPFILES) {
        let ["d", path, mode, owner, group, ..] = words.as_slice() else { continue };
        let make = format!("install -d -m {mode} -o {owner} -g {group} {path}");
        owned(host, accounts, report, "folder", path, mode, (owner, group), vec![make]);
    }
    report.checked.push("folders".to_owned());
}

/// Compares owner and mode of a path; `make` is what makes or mends it.
#[expect(clippy::too_many_arguments, reason = "a line of the table that it compares with, and where to tell")]
fn owned(
    host: &dyn Host,
    accounts: &Accounts,
    report: &mut Report,
    check: &'static str,
    path: &str,
    mode: &str,
    (owner, group): (&str, &str),
    make: Vec<String>,
) {
    // Who is missing has been told.
    let (Some(uid), Some(gid)) = (accounts.uid(owner), accounts.gid(group)) else { return };
    let text = match report.seen(path, host.stat(Path::new(path))) {
        None => return,
        Some(Seen::Missing) => "it is not there".to_owned(),
        Some(Seen::There(stat)) if (stat.uid, stat.gid) != (uid, gid) => {
            format!("it does not belong to {owner}:{group}")
        }
        Some(Seen::There(stat)) if u32::from_str_radix(mode, 8) != Ok(stat.mode) => {
            format!("its mode is {:04o}, and should be {mode}", stat.mode)
        }
        Some(Seen::There(_)) => return,
    };
    report.add(Broken, check, path, text, make);
}

/// The daemons that this config needs.
pub fn needed(config: &Config) -> impl Iterator<Item = Role> {
    let any =
        |is: &dyn Fn(&zam_policy::config::Entry) -> bool| config.entries.iter().any(|entry| entry.enabled && is(entry));
    let acts = any(&|_| true);
    let sends = any(&|entry| !entry.destinations.is_empty());
    let receives = any(&|entry| entry.is_replica() || entry.destinations.iter().any(|to| to.is_local()));
    let wanted = move |role: &Role| match role {
        Role::Snap | Role::Prune | Role::Watch => acts,
        Role::Send => sends,
        Role::Recv => receives,
    };
    Role::ALL.into_iter().filter(wanted)
}

/// Says which of them run.
fn units(host: &dyn Host, config: &Config, accounts: &Accounts, report: &mut Report) -> Vec<Role> {
    let daemons = needed(config).map(|role| (format!("{role}.service"), role.to_string(), Some(role)));
    let sockets = hook_names(config).into_iter().map(|name| format!("zam-hook@{name}.socket"));
    let needed: Vec<(String, String, Option<Role>)> =
        daemons.chain(sockets.map(|socket| (socket.clone(), socket, None))).collect();
    let mut names: Vec<&str> = needed.iter().map(|(name, ..)| name.as_str()).collect();
    // Who comes in by ssh has no user manager.
    let manager = accounts.uid("zam-ssh").map(|uid| format!("user@{uid}.service"));
    names.extend(manager.as_deref());
    let mut args = vec!["show", "--property=Id,LoadState,UnitFileState,ActiveState"];
    args.extend(names);
    let said = host.run("systemctl", &args).unwrap_or_default();
    let state = |block: &str| -> HashMap<String, String> {
        let pairs = block.lines().filter_map(|line| line.split_once('='));
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    };
    let states: Vec<HashMap<String, String>> = said.split("\n\n").map(state).collect();
    let mut running = Vec::new();
    if states.iter().all(|state| !state.contains_key("Id")) {
        report.not_checked.push("units: systemd does not answer".to_owned());
        return running;
    }
    for (name, short, role) in &needed {
        let is = |key: &str, value: &str| {
            let unit = states.iter().find(|state| state.get("Id") == Some(name));
            unit.and_then(|state| state.get(key)).is_some_and(|said| said == value)
        };
        let active = is("ActiveState", "active") || is("ActiveState", "reloading");
        running.extend(role.filter(|_| active));
        let enable = format!("systemctl enable --now {short}");
        let (level, text, commands) = match (is("UnitFileState", "enabled"), active) {
            (true, true) => continue,
            _ if is("LoadState", "not-found") => {
                let commands = vec!["systemctl daemon-reload".to_owned(), enable];
                (Broken, "systemd does not know it: is the package installed as a whole?".to_owned(), commands)
            }
            _ if is("LoadState", "masked") => {
                (Broken, "it is masked".to_owned(), vec![format!("systemctl unmask {short}"), enable])
            }
            (true, false) => {
                let why = if is("ActiveState", "failed") { "it failed" } else { "it does not run" };
                (Broken, format!("{why}: `journalctl -u {short}` says why"), vec![format!("systemctl restart {short}")])
            }
            (false, true) => (Warning, "it runs, and will not after the next boot".to_owned(), vec![enable]),
            (false, false) => (Broken, "the config needs it, and it is not switched on".to_owned(), vec![enable]),
        };
        report.add(level, "unit", name, text, commands);
    }
    if let Some(manager) = manager {
        let unit = states.iter().find(|state| state.get("Id") == Some(&manager));
        if unit.is_some_and(|state| state.get("LoadState").is_some_and(|state| state != "masked")) {
            let text = "whoever comes in as zam-ssh could have it start programs";
            report.add(Warning, "unit", &manager, text, [format!("systemctl mask {manager}")]);
        }
    }
    report.checked.push(count(needed.len(), "unit"));
    running
}

fn hook_names(config: &Config) -> BTreeSet<&str> {
    let hooks = config.entries.iter().filter(|entry| entry.enabled).filter_map(|entry| entry.hook.as_ref());
    hooks.map(|hook| hook.name.as_str()).collect()
}

/// The programs that run around snapshots.
fn hooks(host: &dyn Host, config: &Config, report: &mut Report) {
    for path in hook_names(config).into_iter().map(|name| format!("/etc/zam/hooks/{name}")) {
        let (text, mend) = match report.seen(&path, host.stat(Path::new(&path))) {
            None => continue,
            Some(Seen::Missing) => {
                let text = "the config has it run around snapshots, and it is not there";
                (text, vec![format!("${{EDITOR:-vi}} {path}"), format!("chmod 755 {path}")])
            }
            Some(Seen::There(stat)) if stat.uid != 0 || stat.mode & 0o022 != 0 => {
                let text = "others than root can change what runs with the rights of its unit's user";
                // Whoever may read it still may, and nobody else.
                (text, vec![format!("chown root {path}"), format!("chmod go-w {path}")])
            }
            Some(Seen::There(stat)) if stat.mode & 0o111 == 0 => {
                ("nobody can run it", vec![format!("chmod +x {path}")])
            }
            Some(Seen::There(_)) => continue,
        };
        report.add(Broken, "hook", &path, text, mend);
    }
}

/// The sockets of those that run.
fn doors(host: &dyn Host, accounts: &Accounts, running: &[Role], folder: &Path, report: &mut Report) {
    for role in running {
        for door in role.doors() {
            let path = role.socket(folder, *door).display().to_string();
            let (mode, group) = match door {
                Door::Status => ("0666", "root"),
                Door::Control => ("0660", OPERATORS),
                Door::Peer | Door::Stream => ("0660", COPIERS),
            };
            let missing =
                matches!(host.stat(Path::new(&path)), Err(error) if error.kind() == std::io::ErrorKind::NotFound);
            let make = match missing {
                true => vec![format!("systemctl restart {role}")],
                false => {
                    vec![format!("chown root:{group} {}", quoted(&path)), format!("chmod {mode} {}", quoted(&path))]
                }
            };
            owned(host, accounts, report, "door", &path, mode, ("root", group), make);
        }
    }
    report.checked.push("doors".to_owned());
}

/// The clock, judged as the daemons do (`runtime/src/clock.rs`), less the jumps that only they can see.
pub fn clock(host: &dyn Host, config: &Config, newest: Option<UnixTime>, now: UnixTime, report: &mut Report) {
    const WAITS: &str = "so nothing expires: `clock = \"trust\"` in the config is for a machine without a time server";
    if let Some(newest) = newest.filter(|newest| now < *newest) {
        let text = format!("it is {} s behind the newest snapshot, so nothing expires", newest.since(now));
        report.add(Broken, "clock", "the clock", text, ["timedatectl set-ntp true"]);
    }
    let is_there = |path: &str| host.stat(Path::new(path)).is_ok();
    let uptime = host.read(Path::new("/proc/uptime")).unwrap_or_default();
    let first_hour = uptime.split('.').next().and_then(|seconds| seconds.parse().ok()).unwrap_or(u64::MAX) < 3600;
    let restart = ["systemctl restart systemd-timesyncd"];
    if config.clock == ClockTrust::Always || is_there("/run/systemd/timesync/synchronized") {
    } else if is_there("/run/systemd/timesync") {
        report.add(Warning, "clock", "the clock", format!("no time server has set it since boot, {WAITS}"), restart);
    } else if first_hour {
        let text = format!("nothing says that it is set; it is trusted an hour after boot, {WAITS}");
        report.add(Note, "clock", "the clock", text, ["timedatectl set-ntp true"]);
    }
    report.checked.push("the clock".to_owned());
}

/// Releases in which whoever can make a user namespace is the pools' administrator: the first, and the first good one.
const NAMESPACES: [([u16; 3], [u16; 3]); 3] = [([2, 2, 0], [2, 2, 11]), ([2, 3, 0], [2, 3, 9]), ([2, 4, 0], [2, 4, 4])];

fn openzfs(host: &dyn Host, report: &mut Report) {
    let Ok(version) = host.read(Path::new("/sys/module/zfs/version")) else {
        report.add(Broken, "openzfs", "zfs", "the kernel has no ZFS", ["modprobe zfs"]);
        return;
    };
    let Ok(here) = version.parse::<OpenZfs>() else {
        report.not_checked.push(format!("OpenZFS: its version is {:?}", version.trim()));
        return;
    };
    let holed = NAMESPACES.into_iter().any(|(from, to)| here >= OpenZfs::new(from) && here < OpenZfs::new(to));
    let closed = ["/proc/sys/user/max_user_namespaces", "/proc/sys/kernel/unprivileged_userns_clone"];
    let closed = closed.into_iter().any(|path| host.read(Path::new(path)).is_ok_and(|text| text.trim() == "0"));
    if holed {
        let text = "in this release whoever can make a user namespace passes for the pools' administrator";
        let (level, more) = match closed {
            true => (Note, "; here only root can make one"),
            false => (Warning, ". Until there is a newer one: sysctl -w user.max_user_namespaces=0"),
        };
        let upgrade = ["apt-get install --only-upgrade zfs-dkms zfsutils-linux"];
        report.add(level, "openzfs", format!("OpenZFS {here}"), format!("{text}{more}"), upgrade);
    }
    report.checked.push(format!("OpenZFS {here}"));
}
