//! Its units, users and folders say the same as the programs; and what systemd says of them.

use crate::read;
use pretty_assertions::assert_eq;
use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};
use zam_protocol::{COPIERS, Door, OPERATORS, Role};
use zam_runtime::role::user;
use zam_tests::{files, top};

/// The lines `Key=value` of a unit file, each with its section.
struct Unit(Vec<(String, String, String)>);

impl Unit {
    fn read(name: &str) -> Self {
        let mut section = String::new();
        let mut lines = Vec::new();
        for line in read(&format!("packaging/systemd/{name}")).lines() {
            if let Some(header) = line.strip_prefix('[') {
                section = header.trim_end_matches(']').to_owned();
            } else if let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) {
                lines.push((section.clone(), key.to_owned(), value.to_owned()));
            } else {
                assert!(line.is_empty() || line.starts_with('#'), "{name}: {line}");
            }
        }
        Self(lines)
    }

    fn all(&self, section: &str, key: &str) -> Vec<&str> {
        self.0.iter().filter(|line| line.0 == section && line.1 == key).map(|line| line.2.as_str()).collect()
    }

    fn one(&self, section: &str, key: &str) -> &str {
        match self.all(section, key).as_slice() {
            [value] => value,
            values => panic!("[{section}] {key}: {values:?}"),
        }
    }
}

fn lines(path: &str) -> Vec<String> {
    let text = read(path);
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

#[test]
fn each_role_has_its_service_and_its_doors() {
    let mut expected = BTreeSet::new();
    for role in Role::ALL {
        let daemon = role.daemon();
        let service = Unit::read(&format!("{daemon}.service"));
        assert_eq!(service.one("Service", "ExecStart"), format!("/usr/bin/{daemon}"));
        assert_eq!(service.one("Service", "ExecStartPre"), format!("/usr/bin/{daemon} --check"));
        assert_eq!(service.one("Service", "User"), user(role));
        assert_eq!(service.one("Service", "Group"), user(role));
        assert_eq!(service.one("Unit", "OnFailure"), "zam-failed@%n.service");
        assert_eq!(service.one("Service", "StateDirectory"), format!("zam/{}", role.folder()));
        let mut sockets = Vec::new();
        for &door in role.doors() {
            let (mode, group) = match door {
                Door::Status => ("0666", None),
                Door::Control => ("0660", Some(OPERATORS)),
                Door::Peer | Door::Stream => ("0660", Some(COPIERS)),
            };
            let name = format!("{daemon}-{door}.socket");
            let socket = Unit::read(&name);
            let path = role.socket(Path::new("/run/zam"), door);
            assert_eq!(Path::new(socket.one("Socket", "ListenStream")), path);
            assert_eq!(socket.one("Socket", "FileDescriptorName"), door.to_string());
            assert_eq!(socket.one("Socket", "SocketMode"), mode);
            assert_eq!(socket.all("Socket", "SocketGroup"), Vec::from_iter(group));
            assert_eq!(socket.one("Socket", "Service"), format!("{daemon}.service"));
            // Who stops a daemon does not want the next `zamctl status` to start it again.
            assert_eq!(socket.one("Unit", "PartOf"), format!("{daemon}.service"));
            sockets.push(name);
        }
        assert_eq!(service.one("Service", "Sockets"), sockets.join(" "));
        assert_eq!(service.one("Install", "Also"), sockets.join(" "));
        expected.extend(sockets);
        expected.insert(format!("{daemon}.service"));
    }
    let there = files(&top().join("packaging/systemd"), "").into_iter();
    let there: BTreeSet<_> = there.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    let others = ["zam.preset", "zam-failed@.service", "zam-hook@.service", "zam-hook@.socket"].map(str::to_owned);
    assert_eq!(there, &expected | &BTreeSet::from(others));
    for unit in expected {
        assert_eq!(Unit::read(&unit).one("Unit", "ConditionPathExists"), "/etc/zam/zam.toml", "{unit}");
        assert!(read("packaging/deb/prerm").contains(&unit), "prerm does not stop {unit}");
    }
}

#[test]
fn no_role_is_less_confined_than_another() {
    // Those that may go out have a network, and all else as the others have it.
    const NETWORK: [&str; 2] = ["PrivateNetwork", "RestrictAddressFamilies"];
    // What log-in shells say is written in a folder of its own; where messages go may be a secret.
    const TELLING: [&str; 3] = ["ReadWritePaths", "ExecStopPost", "LoadCredential"];
    let box_of = |role: Role| -> Vec<String> {
        let unit = Unit::read(&format!("{}.service", role.daemon()));
        let own = unit.0.into_iter().filter(|(section, key, _)| {
            section == "Service"
                && key != "Sockets"
                && !(matches!(role, Role::Send | Role::Watch) && NETWORK.contains(&key.as_str()))
                && !(role == Role::Watch && TELLING.contains(&key.as_str()))
        });
        own.map(|(_, key, value)| format!("{key}={}", value.replace(role.folder(), "ROLE"))).collect()
    };
    let snap = box_of(Role::Snap);
    assert_eq!(box_of(Role::Prune), snap);
    assert_eq!(box_of(Role::Recv), snap);
    assert_eq!(Unit::read("zamd-watch.service").one("Service", "ReadWritePaths"), "/run/zam/watch/login");
    let without_network = |line: &String| !NETWORK.iter().any(|key| line.starts_with(key));
    for role in [Role::Send, Role::Watch] {
        assert_eq!(box_of(role), snap.iter().filter(|line| without_network(line)).cloned().collect::<Vec<_>>());
        let unit = Unit::read(&format!("{}.service", role.daemon()));
        assert_eq!(unit.one("Service", "RestrictAddressFamilies"), "AF_UNIX AF_INET AF_INET6");
        assert!(unit.all("Service", "PrivateNetwork").is_empty());
    }
    assert_eq!(Unit::read("zamd-watch.service").one("Service", "LoadCredential"), "zam:/etc/zam/credentials");
    let service = Unit::read("zamd-snap.service");
    for (key, value) in [
        ("CapabilityBoundingSet", ""),
        ("AmbientCapabilities", ""),
        ("NoNewPrivileges", "yes"),
        ("RestrictNamespaces", "yes"),
        ("PrivateNetwork", "yes"),
        ("RestrictAddressFamilies", "AF_UNIX"),
        ("ProtectSystem", "strict"),
        ("DevicePolicy", "closed"),
        ("DeviceAllow", "/dev/zfs rw"),
    ] {
        assert_eq!(service.one("Service", key), value, "{key}");
    }
    // Either would take the grants away, or /dev/zfs.
    assert!(service.all("Service", "PrivateUsers").is_empty() && service.all("Service", "PrivateDevices").is_empty());
}

#[test]
fn the_users_are_those_of_the_units_and_no_role_is_an_operator() {
    let declared: Vec<_> = lines("packaging/sysusers.d/zam.conf");
    let names = |kind| -> Vec<_> {
        let of_kind = declared.iter().filter(|line| line.starts_with(kind));
        of_kind.map(|line| line.split_whitespace().nth(1).unwrap()).collect()
    };
    assert_eq!(names("u "), [&Role::ALL.map(user)[..], &["zam-ssh", "zam-hook"]].concat());
    assert_eq!(names("g "), [COPIERS, OPERATORS]);
    let members = declared.iter().filter(|line| line.starts_with("m "));
    let members: Vec<Vec<&str>> = members.map(|line| line.split_whitespace().skip(1).collect()).collect();
    // Who may bring copies; people join the operators by an admin's hand.
    assert_eq!(members, [["zam-ssh", COPIERS], ["zam-send", COPIERS]]);
    assert_eq!(names("u ").len() + names("g ").len() + members.len(), declared.len());
    for user in declared.iter().filter(|line| line.starts_with("u ")) {
        // sshd starts a forced command by the shell of the account.
        let shell = if user.contains("zam-ssh") { "/bin/sh" } else { "/usr/sbin/nologin" };
        assert!(user.ends_with(&format!("\" / {shell}")), "{user}");
        let described = user.split('"').nth(1).unwrap();
        assert!(!described.contains(':'), "systemd-sysusers takes no colon: {described}");
    }
    // Who has a shell has no user manager that would start programs for it.
    assert!(read("packaging/deb/postinst").contains("mask \"user@$uid.service\""));
    assert!(read("packaging/deb/postrm").contains("rm -f \"/etc/systemd/system/user@$uid.service\""));
}

#[test]
fn the_folders_are_those_of_the_programs() {
    let folders = lines("packaging/tmpfiles.d/zam.conf");
    let has = |path: PathBuf, rest: String| {
        let line = format!("d {} {rest}", path.display());
        assert!(folders.contains(&line), "{line}");
    };
    for role in Role::ALL {
        has(Path::new("/run/zam").join(role.folder()), "0755 root root -".into());
        has(Path::new("/var/lib/zam").join(role.folder()), format!("0750 {0} {0} -", user(role)));
    }
    has("/run/zam/hook".into(), "0755 root root -".into());
    has("/etc/zam/hooks".into(), "0755 root root -".into());
    has("/run/zam/watch/login".into(), "0755 zam-watch zam-watch -".into());
    has("/etc/zam/credentials".into(), "0700 root root -".into());
    has("/var/lib/zam/watch/failed".into(), "0750 zam-watch zam-watch -".into());
    let failed = Unit::read("zam-failed@.service");
    assert_eq!(failed.one("Service", "User"), "zam-watch");
    assert_eq!(failed.one("Service", "ReadWritePaths"), "/var/lib/zam/watch/failed");
}

/// R-HOOK-1 R-HOOK-3
#[test]
fn a_hook_is_asked_by_zam_snap_alone_and_has_no_zfs() {
    let socket = Unit::read("zam-hook@.socket");
    assert_eq!(socket.one("Socket", "ListenStream"), "/run/zam/hook/%i.sock");
    assert_eq!((socket.one("Socket", "SocketUser"), socket.one("Socket", "SocketMode")), (user(Role::Snap), "0600"));
    assert!(socket.all("Socket", "Accept").is_empty() && socket.all("Socket", "SocketGroup").is_empty());
    let service = Unit::read("zam-hook@.service");
    for (key, value) in [
        ("ExecStart", "/usr/bin/zam-hook /etc/zam/hooks/%i"),
        ("ExecStopPost", "/usr/bin/zam-hook --died /etc/zam/hooks/%i"),
        ("User", "zam-hook"),
        ("PrivateDevices", "yes"),
        ("NoNewPrivileges", "yes"),
        ("CapabilityBoundingSet", ""),
    ] {
        assert_eq!(service.one("Service", key), value, "{key}");
    }
    assert!(read("packaging/deb/prerm").contains("'zam-hook@*.socket'"));
}

/// What systemd itself says of the units, in a root of their own.
#[test]
fn systemd_understands_every_line_of_the_units() {
    let system = Path::new("/usr/lib/systemd/system");
    if Command::new("systemd-analyze").arg("--version").output().is_err() || !system.exists() {
        eprintln!("SKIPPED: no systemd-analyze here");
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let units = root.path().join("usr/lib/systemd/system");
    let programs = root.path().join("usr/bin");
    fs::create_dir_all(&programs).unwrap();
    fs::create_dir_all(units.parent().unwrap()).unwrap();
    let copied = Command::new("cp").arg("-r").arg(system).arg(&units).status().unwrap();
    assert!(copied.success());
    std::os::unix::fs::symlink("usr/bin", root.path().join("bin")).unwrap();
    for program in Role::ALL.map(Role::daemon).into_iter().chain(["sh", "man", "zam-hook"]) {
        fs::write(programs.join(program), "#!/bin/sh\n").unwrap();
        fs::set_permissions(programs.join(program), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut ours = Vec::new();
    for unit in
        files(&top().join("packaging/systemd"), "").iter().filter(|path| path.extension() != Some("preset".as_ref()))
    {
        fs::copy(unit, units.join(unit.file_name().unwrap())).unwrap();
        ours.push(unit.file_name().unwrap().to_owned());
    }
    let verify = |names: &[std::ffi::OsString]| {
        let output = Command::new("systemd-analyze")
            .args(["verify", "--man=no", "--root"])
            .arg(root.path())
            .args(names)
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert_eq!(verify(&ours), "");
    // And it would have said so.
    let bad = read("packaging/systemd/zamd-snap.service").replace("[Install]", "NoSuchKey=yes\n[Install]");
    fs::write(units.join("bad.service"), bad).unwrap();
    assert!(verify(&["bad.service".into()]).contains("NoSuchKey"), "systemd-analyze verifies nothing here");
}

/// How much of the machine a unit leaves open to what runs in it, as systemd counts: 10 is all of it.
#[test]
fn systemd_finds_little_exposed() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("SKIPPED: no systemd-analyze here");
        return;
    }
    let exposed = |unit: &Path, most: &str| {
        let judged = Command::new("systemd-analyze")
            .args(["security", "--no-pager", "--offline=yes", &format!("--threshold={most}")])
            .arg(unit)
            .output()
            .unwrap();
        (!judged.status.success()).then(|| String::from_utf8_lossy(&judged.stdout).into_owned())
    };
    for role in Role::ALL {
        // In tenths. A network is what these two are for.
        let most = match role {
            Role::Send | Role::Watch => "15",
            _ => "8",
        };
        let unit = top().join(format!("packaging/systemd/{}.service", role.daemon()));
        assert_eq!(exposed(&unit, most), None, "{role}");
    }
    // And it would have said so.
    let folder = tempfile::tempdir().unwrap();
    let open = folder.path().join("open.service");
    fs::write(&open, read("packaging/systemd/zamd-snap.service").replace("ProtectSystem=strict", "")).unwrap();
    assert!(exposed(&open, "8").is_some(), "systemd-analyze judges nothing here");
}
