use super::*;
use crate::{
    cli::Globals,
    commands::ssh::{DROP_IN, limits},
    forecast::Remembered,
};
use host::Stat;
use pretty_assertions::assert_eq;
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    path::Path,
};
use zam_names::{Dataset, HOLD_TAG, Snapshot, UnixTime};
use zam_policy::{
    Zone,
    config::{self as policy, Config},
    notes::DatasetNotes,
};
use zam_protocol::Role;

const CONFIG: &str = r#"
[[managed-datasets]]
source = "tank/home"
snapshot-period = "1h"
windows = [{ period = "1h" }]
hook = { name = "db" }
destinations = [{ remote-host = "olympus" }, { pool = "usb", dataset = "zam" }]
[[replicas]]
client = "laptop"
root = "nas/laptop"
[[replicas]]
client = "here"
root = "usb/zam"
"#;

fn config() -> Config {
    policy::load(&[("/etc/zam/zam.toml".to_owned(), CONFIG.to_owned())], &Zone::utc()).unwrap().0
}

/// A machine that is made of words, and understands the commands that mend it.
struct Fake {
    files: RefCell<BTreeMap<String, (Stat, String)>>,
    units: RefCell<BTreeMap<String, [&'static str; 3]>>,
    sshd: Cell<Option<&'static str>>,
    now: Cell<i64>,
}

const NEWEST: i64 = 1_000_000;
const READS: &str = "port 22\nauthorizedkeysfile /etc/zam/authorized_keys\n";
const PASSWD: &str = "root:x:0:0::/root:/bin/sh\nzam-snap:x:101:101::/:\nzam-prune:x:102:102::/:\nzam-send:x:103:103::/:\n\
    zam-recv:x:104:104::/:\nzam-watch:x:105:105::/:\nzam-ssh:x:106:106::/:\nzam-hook:x:109:109::/:\n";
const GROUP: &str = "root:x:0:\nzam-snap:x:101:\nzam-prune:x:102:\nzam-send:x:103:\nzam-recv:x:104:\nzam-watch:x:105:\n\
    zam-ssh:x:106:\nzam-hook:x:109:\nzam-copy:x:107:zam-ssh,zam-send\nzam-operators:x:108:ann\n";
const RUNS: [&str; 3] = ["loaded", "enabled", "active"];

impl Fake {
    /// One on which all is well.
    fn well() -> Self {
        let fake = Self {
            files: RefCell::default(),
            units: RefCell::default(),
            sshd: Cell::new(Some(READS)),
            now: Cell::new(NEWEST + 10),
        };
        fake.apply("systemd-sysusers zam.conf");
        for line in include_str!("../../../packaging/tmpfiles.d/zam.conf").lines().filter(|line| line.starts_with("d "))
        {
            let words: Vec<&str> = line.split(' ').collect();
            fake.apply(&format!("install -d -m {} -o {} -g {} {}", words[2], words[3], words[4], words[1]));
        }
        for role in Role::ALL {
            fake.apply(&format!("systemctl enable --now {role}"));
        }
        fake.apply("systemctl enable --now zam-hook@db.socket");
        fake.apply("${EDITOR:-vi} /etc/zam/hooks/db");
        fake.apply("chmod 755 /etc/zam/hooks/db");
        fake.apply("systemctl mask user@106.service");
        for line in ["zamctl ssh --print olympus | sh", "zamctl ssh --print --from laptop --key laptop.pub | sh"] {
            fake.apply(line);
        }
        fake.apply("install -D -m 0644 /usr/share/doc/zam/examples/sshd-zam.conf /etc/ssh/sshd_config.d/zam.conf");
        fake.apply("systemctl restart systemd-timesyncd");
        fake.apply("modprobe zfs");
        fake.write("/proc/uptime", "9000.00 100.00\n");
        fake
    }

    fn write(&self, path: &str, text: &str) {
        let stat = Stat { uid: 0, gid: 0, mode: 0o644 };
        self.files.borrow_mut().insert(path.to_owned(), (stat, text.to_owned()));
    }

    fn remove(&self, path: &str) {
        assert!(self.files.borrow_mut().remove(path).is_some(), "{path} was there");
    }

    fn change(&self, path: &str, change: impl FnOnce(&mut Stat, &mut String)) {
        let mut files = self.files.borrow_mut();
        let (stat, text) = files.get_mut(path).unwrap_or_else(|| unreachable!("{path}"));
        change(stat, text);
    }

    fn number(&self, file: &str, name: &str) -> u32 {
        let files = self.files.borrow();
        let line = files[file].1.lines().find(|line| line.starts_with(&format!("{name}:"))).unwrap().to_owned();
        line.split(':').nth(2).unwrap().parse().unwrap()
    }

    /// What root's shell would do.
    fn apply(&self, command: &str) {
        let words: Vec<&str> = command.split(' ').collect();
        let mode = |mode: &str| u32::from_str_radix(mode, 8).unwrap();
        match words.as_slice() {
            ["systemd-sysusers", "zam.conf"] => {
                self.write("/etc/passwd", PASSWD);
                self.write("/etc/group", GROUP);
            }
            ["gpasswd", "-d", name, "zam-operators"] => {
                self.change("/etc/group", |_, text| *text = text.replace(&format!(",{name}"), ""));
            }
            ["install", "-d", "-m", bits, "-o", owner, "-g", group, path] => {
                let (uid, gid) = (self.number("/etc/passwd", owner), self.number("/etc/group", group));
                let stat = Stat { uid, gid, mode: mode(bits) };
                self.files.borrow_mut().insert((*path).to_owned(), (stat, String::new()));
            }
            ["install", "-D", "-m", "0644", "/usr/share/doc/zam/examples/sshd-zam.conf", path] => {
                self.write(path, DROP_IN)
            }
            ["${EDITOR:-vi}", path] => self.write(path, "#!/bin/sh\n"),
            ["chmod", "go-w", path] => self.change(path, |stat, _| stat.mode &= !0o022),
            ["chmod", "+x", path] => self.change(path, |stat, _| stat.mode |= 0o111),
            ["chown", "root", path] => self.change(path, |stat, _| stat.uid = 0),
            ["chmod", bits, path] => self.change(path, |stat, _| stat.mode = mode(bits)),
            ["chown", owner, path] => {
                let (owner, group) = owner.split_once(':').unwrap();
                let (uid, gid) = (self.number("/etc/passwd", owner), self.number("/etc/group", group));
                self.change(path, |stat, _| (stat.uid, stat.gid) = (uid, gid));
            }
            ["sed", "-i", "'1i", ..] => self.sshd.set(Some(READS)),
            ["sed", "-i", line, path] => {
                let line: usize = line.strip_prefix('\'').unwrap().strip_suffix("s/^/#/'").unwrap().parse().unwrap();
                self.change(path, |_, text| {
                    let lines = text.lines().enumerate();
                    let out = |(number, line_text): (usize, &str)| {
                        format!("{}{line_text}\n", if number + 1 == line { "#" } else { "" })
                    };
                    *text = lines.map(out).collect();
                });
            }
            ["systemctl", "daemon-reload"] | ["systemctl", "reload", ..] => {}
            ["systemctl", "restart", "systemd-timesyncd"] => {
                self.write("/run/systemd/timesync", "");
                self.write("/run/systemd/timesync/synchronized", "");
            }
            ["systemctl", "mask", unit] => self.unit(unit, ["masked", "", ""]),
            ["systemctl", "unmask", role] => {
                self.unit(&format!("{role}.service"), ["loaded", "disabled", "inactive"]);
            }
            ["systemctl", "enable", "--now", socket] if socket.ends_with(".socket") => self.unit(socket, RUNS),
            ["systemctl", "enable", "--now", role] | ["systemctl", "restart", role] => {
                self.unit(&format!("{role}.service"), RUNS);
                let role = Role::ALL.into_iter().find(|known| known.daemon() == *role).unwrap();
                for door in role.doors() {
                    let gid = match door {
                        zam_protocol::Door::Status => 0,
                        zam_protocol::Door::Control => 108,
                        _ => 107,
                    };
                    let stat = Stat { uid: 0, gid, mode: if gid == 0 { 0o666 } else { 0o660 } };
                    let path = role.socket(Path::new("/run/zam"), *door).display().to_string();
                    self.files.borrow_mut().insert(path, (stat, String::new()));
                }
            }
            ["timedatectl", "set-ntp", "true"] => {
                self.now.set(NEWEST + 10);
                self.apply("systemctl restart systemd-timesyncd");
            }
            ["zamctl", "ssh", "--print", host, "|", "sh"] => {
                let key = (Stat { uid: 103, gid: 103, mode: 0o600 }, "secret".to_owned());
                self.files.borrow_mut().entry("/var/lib/zam/send/id_ed25519".to_owned()).or_insert(key);
                self.write("/var/lib/zam/send/known_hosts", &format!("{host} ssh-ed25519 AAAA\n"));
                self.write("/etc/zam/ssh_config", &format!("Host {host}\n    HostName {host}\n"));
            }
            ["zamctl", "ssh", "--print", "--from", client, "--key", _, "|", "sh"] => {
                let line = format!("{} ssh-ed25519 AAAA zam-send@{client}\n", limits(client, &format!("nas/{client}")));
                self.write("/etc/zam/authorized_keys", &line);
            }
            ["apt-get", "install", "openssh-server"] => self.sshd.set(Some(READS)),
            ["modprobe", "zfs"] | ["apt-get", "install", "--only-upgrade", ..] => {
                self.write("/sys/module/zfs/version", "2.3.9-1\n");
            }
            _ => unreachable!("nobody told the fake what this does: {command}"),
        }
    }

    fn look(&self) -> Report {
        let (config, mut report) = (config(), Report::default());
        let globals = Globals { config: "unused".into(), runtime_dir: "/run/zam".into(), simulate: None };
        machine::look(self, Some(&config), &Session::new(globals), &mut report);
        reach::look(self, Some(&config), &mut report);
        machine::clock(self, &config, Some(UnixTime(NEWEST)), UnixTime(self.now.get()), &mut report);
        report
    }
}

impl Host for Fake {
    fn read(&self, path: &Path) -> io::Result<String> {
        let files = self.files.borrow();
        let (stat, text) = files.get(path.to_str().unwrap()).ok_or(io::ErrorKind::NotFound)?;
        if stat.mode == 0 { Err(io::ErrorKind::PermissionDenied.into()) } else { Ok(text.clone()) }
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        Ok(self.files.borrow().get(path.to_str().unwrap()).ok_or(io::ErrorKind::NotFound)?.0)
    }

    fn run(&self, program: &str, args: &[&str]) -> io::Result<String> {
        if program == "sshd" {
            return self.sshd.get().map(str::to_owned).ok_or_else(|| io::ErrorKind::NotFound.into());
        }
        assert_eq!(program, "systemctl");
        let units = self.units.borrow();
        let shown = args[2..].iter().map(|unit| {
            let [load, file, active] = units.get(*unit).copied().unwrap_or(["not-found", "", "inactive"]);
            format!("Id={unit}\nLoadState={load}\nActiveState={active}\nUnitFileState={file}\n")
        });
        Ok(if units.is_empty() { String::new() } else { shown.collect::<Vec<_>>().join("\n") })
    }
}

#[test]
fn a_good_installation_is_found_well() {
    let report = Fake::well().look();
    assert_eq!((report.findings, report.not_checked), (vec![], Vec::<String>::new()));
    let checked = ["OpenZFS 2.3.9", "users and groups", "folders", "6 units", "doors"];
    assert_eq!(report.checked[..5], checked.map(str::to_owned));
}

/// What spoils a good machine, and which check finds it, about what.
type Case = (fn(&Fake), &'static str, &'static str);

const CASES: &[Case] = &[
    (|fake| fake.change("/etc/passwd", |_, text| *text = text.replace("zam-snap", "else")), "account", "zam-snap"),
    (
        |fake| fake.change("/etc/group", |_, text| *text = text.replace("zam-operators", "else")),
        "account",
        "zam-operators",
    ),
    (|fake| fake.change("/etc/group", |_, text| *text = text.replace(",zam-send", "")), "account", "zam-send"),
    (
        |fake| fake.change("/etc/group", |_, text| *text = text.replace(":ann", ":ann,zam-prune")),
        "account",
        "zam-prune",
    ),
    (|fake| fake.remove("/var/lib/zam/recv"), "folder", "/var/lib/zam/recv"),
    (|fake| fake.change("/var/lib/zam/snap", |stat, _| stat.uid = 102), "folder", "/var/lib/zam/snap"),
    (|fake| fake.change("/etc/zam", |stat, _| stat.mode = 0o777), "folder", "/etc/zam"),
    (|fake| _ = fake.units.borrow_mut().remove("zamd-snap.service"), "unit", "zamd-snap.service"),
    (|fake| fake.apply("systemctl mask zamd-prune.service"), "unit", "zamd-prune.service"),
    (|fake| fake.apply("systemctl unmask zamd-recv"), "unit", "zamd-recv.service"),
    (|fake| fake.unit("zamd-watch.service", ["loaded", "enabled", "failed"]), "unit", "zamd-watch.service"),
    (|fake| fake.unit("zamd-send.service", ["loaded", "disabled", "active"]), "unit", "zamd-send.service"),
    (|fake| fake.unit("zam-hook@db.socket", ["loaded", "disabled", "inactive"]), "unit", "zam-hook@db.socket"),
    (|fake| fake.remove("/etc/zam/hooks/db"), "hook", "/etc/zam/hooks/db"),
    (|fake| fake.change("/etc/zam/hooks/db", |stat, _| stat.mode = 0o644), "hook", "/etc/zam/hooks/db"),
    (|fake| fake.change("/etc/zam/hooks/db", |stat, _| stat.mode = 0o775), "hook", "/etc/zam/hooks/db"),
    (|fake| fake.change("/etc/zam/hooks/db", |stat, _| stat.uid = 109), "hook", "/etc/zam/hooks/db"),
    (|fake| fake.unit("user@106.service", ["loaded", "static", "inactive"]), "unit", "user@106.service"),
    (|fake| fake.remove("/run/zam/recv/peer.sock"), "door", "/run/zam/recv/peer.sock"),
    (
        |fake| fake.change("/run/zam/snap/control.sock", |stat, _| stat.mode = 0o666),
        "door",
        "/run/zam/snap/control.sock",
    ),
    (|fake| fake.change("/run/zam/snap/control.sock", |stat, _| stat.gid = 7), "door", "/run/zam/snap/control.sock"),
    (|fake| fake.remove("/run/systemd/timesync/synchronized"), "clock", "the clock"),
    (|fake| fake.now.set(NEWEST - 10), "clock", "the clock"),
    (|fake| fake.write("/sys/module/zfs/version", "2.3.8-1\n"), "openzfs", "OpenZFS 2.3.8"),
    (|fake| fake.write("/sys/module/zfs/version", "2.2.0\n"), "openzfs", "OpenZFS 2.2.0"),
    (|fake| fake.remove("/sys/module/zfs/version"), "openzfs", "zfs"),
    (|fake| fake.remove("/var/lib/zam/send/id_ed25519"), "ssh-key", "/var/lib/zam/send/id_ed25519"),
    (
        |fake| fake.change("/var/lib/zam/send/id_ed25519", |stat, _| stat.mode = 0o644),
        "ssh-key",
        "/var/lib/zam/send/id_ed25519",
    ),
    (
        |fake| fake.change("/var/lib/zam/send/id_ed25519", |stat, _| stat.uid = 0),
        "ssh-key",
        "/var/lib/zam/send/id_ed25519",
    ),
    (|fake| fake.write("/var/lib/zam/send/known_hosts", "other ssh-ed25519 A\n"), "ssh-host-key", "olympus"),
    (|fake| fake.remove("/etc/zam/ssh_config"), "ssh-config", "olympus"),
    (|fake| fake.remove("/etc/zam/authorized_keys"), "ssh-client", "laptop"),
    (
        |fake| fake.change("/etc/zam/authorized_keys", |stat, _| stat.mode = 0o664),
        "ssh-authorized-keys",
        "/etc/zam/authorized_keys",
    ),
    (
        |fake| fake.change("/etc/zam/authorized_keys", |_, text| text.insert_str(0, "ssh-ed25519 AAAA root@laptop\n")),
        "ssh-authorized-keys",
        "/etc/zam/authorized_keys:1",
    ),
    (
        |fake| {
            fake.change("/etc/zam/authorized_keys", |_, text| *text += &(limits("old", "nas/old") + " ssh-rsa AA\n"))
        },
        "ssh-authorized-keys",
        "/etc/zam/authorized_keys:2",
    ),
    (|fake| fake.remove("/etc/ssh/sshd_config.d/zam.conf"), "sshd", "/etc/ssh/sshd_config.d/zam.conf"),
    (|fake| fake.write("/etc/ssh/sshd_config.d/zam.conf", "PermitTTY yes"), "sshd", "/etc/ssh/sshd_config.d/zam.conf"),
    (|fake| fake.sshd.set(None), "sshd", "sshd"),
    (|fake| fake.sshd.set(Some("authorizedkeysfile .ssh/authorized_keys\n")), "sshd", "/etc/ssh/sshd_config"),
];

impl Fake {
    fn unit(&self, name: &str, state: [&'static str; 3]) {
        self.units.borrow_mut().insert(name.to_owned(), state);
    }
}

#[test]
fn each_fault_is_found_and_mended_by_what_is_printed() {
    for (number, (spoil, check, about)) in CASES.iter().enumerate() {
        let fake = Fake::well();
        spoil(&fake);
        let report = fake.look();
        let found: Vec<_> = report.findings.iter().map(|finding| (finding.check, finding.about.as_str())).collect();
        assert_eq!(found, [(*check, *about)], "case {number}");
        assert_eq!(report.outcome(), Outcome::Attention, "case {number}");
        let commands = &report.findings[0].commands;
        assert!(!commands.is_empty(), "case {number}");
        commands.iter().for_each(|command| fake.apply(command));
        assert_eq!(fake.look().findings, [], "case {number}, after {commands:?}");
    }
}

#[test]
fn what_is_done_about_one_key_leaves_the_numbers_of_the_others() {
    let fake = Fake::well();
    let bad = "ssh-ed25519 AAAA root@laptop\n";
    fake.change("/etc/zam/authorized_keys", |_, text| *text = format!("{bad}{text}{bad}{bad}"));
    let commands: Vec<String> = fake.look().findings.into_iter().flat_map(|finding| finding.commands).collect();
    assert_eq!(commands.len(), 3);
    commands.iter().for_each(|command| fake.apply(command));
    assert_eq!(fake.look().findings, []);
}

#[test]
fn an_sshd_that_says_nothing_to_root_takes_no_config() {
    let fake = Fake::well();
    fake.sshd.set(Some(""));
    assert_eq!(fake.look().findings, [], "control: to others it says nothing anyway");
    fake.write("/proc/self", "");
    assert_eq!(fake.look().findings[0].commands, ["sshd -t"]);
}

#[test]
fn what_is_good_to_know_is_nothing_to_mend() {
    let fake = Fake::well();
    fake.write("/sys/module/zfs/version", "2.3.8-1\n");
    fake.write("/proc/sys/user/max_user_namespaces", "0\n");
    assert_eq!(fake.look().findings[0].level, Level::Note);
    assert_eq!(fake.look().outcome(), Outcome::Fine);
    // Another time server than systemd's leaves no mark; the clock is trusted later.
    fake.files.borrow_mut().retain(|path, _| !path.starts_with("/run/systemd"));
    fake.apply("modprobe zfs");
    assert_eq!(fake.look().findings, []);
    fake.write("/proc/uptime", "9.00 1.00\n");
    assert_eq!((fake.look().findings[0].check, fake.look().outcome()), ("clock", Outcome::Fine));
}

#[test]
fn what_cannot_be_looked_at_is_named_and_no_fault() {
    let fake = Fake::well();
    fake.change("/var/lib/zam/send/known_hosts", |stat, _| stat.mode = 0);
    fake.sshd.set(Some(""));
    fake.units.borrow_mut().clear();
    let report = fake.look();
    assert_eq!((&report.findings, report.outcome()), (&vec![], Outcome::Fine));
    let not = [
        "units: systemd does not answer",
        "/var/lib/zam/send/known_hosts: only root can look at it",
        "what sshd reads: it says so to root alone",
    ];
    assert_eq!(report.not_checked, not);
    let text = report.text();
    assert!(text.starts_with("# All is well: looked at ") && text.contains("\n# not looked at: units"), "{text}");
}

#[test]
fn the_worst_comes_first_and_a_shell_takes_all_of_it() {
    let fake = Fake::well();
    fake.write("/sys/module/zfs/version", "2.3.8-1\n");
    fake.remove("/var/lib/zam/recv");
    let text = fake.look().text();
    crate::golden::is_shell(&text);
    let expected = "\
# 2 things to mend. Read, then run what you agree with as root.

# BROKEN: /var/lib/zam/recv: it is not there
install -d -m 0750 -o zam-recv -g zam-recv /var/lib/zam/recv

# warning: OpenZFS 2.3.8: in this release whoever can make a user namespace passes for the pools' administrator. Until there is \
a newer one: sysctl -w user.max_user_namespaces=0
apt-get install --only-upgrade zfs-dkms zfsutils-linux
";
    assert_eq!(text, expected);
}

/// R-CTL-4: a daemon that was taken over says why it refused a config.
#[test]
fn what_others_say_is_no_command() {
    let mut report = Report::default();
    let said = "no good:\nreboot\n\n  |\r1 | ; reboot\n";
    report.add(Level::Warning, "reload", "zamd-snap", said, ["systemctl reload zamd-snap"]);
    report.not_checked.push(said.to_owned());
    let text = report.text();
    let commands: Vec<&str> = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert_eq!(commands, ["systemctl reload zamd-snap"], "{text}");
    assert!(!text.contains('\r') && text.contains("#   |\n# 1 | ; reboot\nsystemctl"), "{text}");
}

#[test]
fn this_machine_can_be_looked_at() {
    let stat = Here.stat(Path::new("/")).unwrap();
    assert_eq!((stat.uid, stat.gid, stat.mode & 0o022), (0, 0, 0));
    assert_eq!(Here.stat(Path::new("/no/such")).unwrap_err().kind(), io::ErrorKind::NotFound);
    let accounts = host::Accounts::read(&Here).unwrap();
    assert_eq!((accounts.uid("root"), accounts.gid("root"), accounts.uid("no-such")), (Some(0), Some(0), None));
    assert_eq!(Here.run("echo", &["a", "b"]).unwrap(), "a b\n");
}

#[test]
fn a_hold_on_what_zam_neither_made_nor_adopted_has_no_owner() {
    let snapshot = |tag: &str, guid: u64| Snapshot {
        tag: tag.parse().unwrap(),
        guid: zam_names::Guid(guid),
        createtxg: zam_names::CreateTxg(guid),
        creation: UnixTime(NEWEST),
        holds: vec![HOLD_TAG.parse().unwrap()],
        clones: 0,
        deferred: false,
        used: None,
    };
    let dataset = Dataset {
        name: "tank/home".parse().unwrap(),
        guid: zam_names::Guid(1),
        kind: zam_names::Kind::Filesystem,
        used: 0,
        used_by_snapshots: 0,
        snapshots_changed: None,
        snapshots: vec![snapshot("mine", 1), snapshot("named", 2), snapshot("zam-19700112T134640Z", 3)],
    };
    let mut notes = DatasetNotes { accepted: Some(config().entries[1].rule.clone()), ..DatasetNotes::default() };
    notes.manual.insert(zam_names::Guid(2), None);
    let look = |snap| {
        let mut report = Report::default();
        let newest =
            pools::holds(&config(), &dataset, &Remembered { snap, prune: None }, UnixTime(NEWEST + 100), &mut report);
        (report.findings, newest)
    };
    let (found, newest) = look(Some(notes));
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (found[0].check, found[0].commands.as_slice()),
        ("hold-without-owner", &["zfs release zam tank/home@mine".to_owned()][..])
    );
    assert_eq!(newest, Some(UnixTime(NEWEST)));
    let off = "[[managed-datasets]]\nsource = \"tank/home\"\nkeep = { hourly = 1 }\nenabled = false";
    let out = "[[managed-datasets]]\nsource = \"tank\"\nkeep = { hourly = 1 }\nrecursive = true\nexclude = [\"home\"]";
    for (text, why) in [(off, "is switched off"), (out, "left out by `exclude`")] {
        let config = policy::load(&[("zam.toml".to_owned(), text.to_owned())], &Zone::utc()).unwrap().0;
        let mut report = Report::default();
        pools::holds(&config, &dataset, &Remembered::default(), UnixTime(NEWEST + 100), &mut report);
        assert!(report.findings[0].text.starts_with("zam holds 3 snapshots") && report.findings[0].text.contains(why));
    }
    // Without zamd-snap's word it may be one that somebody asked for by that name.
    assert_eq!(look(None).0, []);
}
