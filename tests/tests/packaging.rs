//! What the package brings: its units, users and folders say the same as the programs.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "helpers of tests")]

use pretty_assertions::assert_eq;
use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};
use zam_policy::{Zone, config::load};
use zam_protocol::{COPIERS, Door, OPERATORS, Role};
use zam_runtime::{args::Args, role::user};
use zam_tests::{built, files, top};

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

fn read(path: &str) -> String {
    fs::read_to_string(top().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
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

/// What `zamctl/Cargo.toml` says of the package.
fn deb() -> serde_json::Value {
    let manifest = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(top())
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&manifest.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let zamctl = packages.iter().find(|package| package["name"] == "zamctl").unwrap();
    zamctl["metadata"]["deb"].clone()
}

#[test]
fn the_package_has_all_that_it_names_and_every_program() {
    let deb = deb();
    assert_eq!(deb["name"], "zam");
    let assets: Vec<_> =
        deb["assets"].as_array().expect("zamctl/Cargo.toml says what is in the package").iter().collect();
    let mut programs = BTreeSet::new();
    for asset in assets {
        let (source, to) = (asset[0].as_str().unwrap(), asset[1].as_str().unwrap());
        if let Some(program) = source.strip_prefix("target/release/") {
            assert_eq!(to, "usr/bin/");
            programs.insert(program.to_owned());
        } else if !source.contains("packaging/made/") {
            let (folder, name) = source.rsplit_once('/').unwrap();
            let folder = top().join("zamctl").join(folder);
            let there = match name.split_once('*') {
                Some((_, ending)) => !files(&folder, ending).is_empty(),
                None => folder.join(name).exists(),
            };
            assert!(there, "{source} is not there");
        }
    }
    let ours = ["zamctl", "zam-receive", "zam-hook"].into_iter().chain(Role::ALL.map(Role::daemon)).map(str::to_owned);
    assert_eq!(programs, ours.collect());
    let built = read("packaging/release-env.sh");
    let built = built.lines().find_map(|line| line.strip_prefix("PROGRAMS=(")?.strip_suffix(')')).unwrap();
    assert_eq!(programs, built.split(' ').map(str::to_owned).collect());
    for script in ["postinst", "prerm", "postrm"] {
        let path = top().join("packaging/deb").join(script);
        assert!(fs::metadata(&path).unwrap().permissions().mode() & 0o111 != 0, "{script} is not executable");
    }
}

/// Stands in for what packaging/build.sh makes; gives the two folders.
fn made(folder: &Path) -> [PathBuf; 2] {
    let (built, made) = (folder.join("built"), folder.join("made"));
    let programs = Role::ALL.map(Role::daemon).into_iter().chain(["zamctl", "zam-receive", "zam-hook"]);
    let programs = programs.map(|program| built.join(program));
    let pages = ["man/zamctl.1", "man/zamctl-check.1", "completions/bash/zamctl", "completions/zsh/_zamctl"];
    let pages = pages.into_iter().chain(["completions/fish/zamctl.fish"]).map(|page| made.join(page));
    for file in programs.chain(pages) {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, "").unwrap();
    }
    [built, made]
}

/// The files of the Debian package with their modes, less what is Debian's alone.
fn packaged(built: &Path, made: &Path) -> BTreeSet<(String, u32)> {
    let mut expected = BTreeSet::new();
    for asset in deb()["assets"].as_array().unwrap() {
        let [from, to, mode] = [0, 1, 2].map(|at| asset[at].as_str().unwrap());
        let from = match (from.strip_prefix("target/release/"), from.strip_prefix("../packaging/made/")) {
            (Some(program), _) => built.join(program),
            (_, Some(page)) => made.join(page),
            _ => top().join("zamctl").join(from),
        };
        let pattern = from.file_name().unwrap().to_str().unwrap();
        let (start, ending) = pattern.split_once('*').unwrap_or((pattern, ""));
        let exact = !pattern.contains('*');
        for entry in fs::read_dir(from.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name()) {
            let name = entry.to_str().unwrap();
            if if exact { name == pattern } else { name.starts_with(start) && name.ends_with(ending) } {
                let path = if to.ends_with('/') { format!("{to}{name}") } else { to.to_owned() };
                expected.insert((path, u32::from_str_radix(mode, 8).unwrap()));
            }
        }
    }
    expected.retain(|(path, _)| !path.starts_with("usr/share/lintian/"));
    expected
}

/// What lies below a folder, with modes.
fn installed(folder: &Path) -> BTreeSet<(String, u32)> {
    let found = files(folder, "").into_iter().map(|path| {
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
        (path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned(), mode)
    });
    found.collect()
}

#[test]
fn installing_without_a_package_puts_the_same_files_there() {
    let folder = tempfile::tempdir().unwrap();
    let ([built, made], to) = (made(folder.path()), folder.path().join("to"));
    let install = || {
        let mut script = Command::new(top().join("packaging/install.sh"));
        script.env("DESTDIR", &to).env("BUILT", &built).env("MADE", &made).output().unwrap()
    };
    let output = install();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let expected = packaged(&built, &made);
    assert!(expected.len() > 50, "{expected:?}");
    assert_eq!(installed(&to), expected);
    fs::remove_file(built.join("zamd-snap")).unwrap();
    let output = install();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("run packaging/build.sh first"), "{output:?}");
}

#[test]
fn the_package_for_arch_has_the_same_files() {
    let folder = tempfile::tempdir().unwrap();
    let ([built, made], to) = (made(folder.path()), folder.path().join("to"));
    fs::create_dir(folder.path().join("src")).unwrap();
    std::os::unix::fs::symlink(top(), folder.path().join("src/zam")).unwrap();
    let script = "set -eu; startdir=$2/packaging/arch; . \"$startdir/PKGBUILD\"; srcdir=$1/src pkgdir=$1/to; package; echo $pkgver $install";
    let mut shell = Command::new("bash");
    shell.args(["-c", script, "bash"]).arg(folder.path()).arg(top());
    let output = shell.env("BUILT", &built).env("MADE", &made).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.trim(), format!("{} zam.install", env!("CARGO_PKG_VERSION")));
    let elsewhere = |(path, mode): (String, u32)| (path.replace("zsh/vendor-completions", "zsh/site-functions"), mode);
    let mut expected: BTreeSet<_> = packaged(&built, &made).into_iter().map(elsewhere).collect();
    expected.insert(("usr/share/licenses/zam/LICENSE-MIT".to_owned(), 0o644));
    assert_eq!(installed(&to), expected);
    // It masks, restarts and stops what the Debian package does.
    let hooks = read("packaging/arch/zam.install");
    assert!(hooks.contains("uid=$(id -u zam-ssh) && systemctl --quiet mask \"user@$uid.service\""));
    for role in Role::ALL {
        assert_eq!(hooks.matches(&format!(" {}.service", role.daemon())).count(), 2, "{role}");
    }
}

#[test]
fn makepkg_understands_the_package_for_arch() {
    if Command::new("makepkg").arg("--version").output().is_err() {
        eprintln!("SKIPPED: no makepkg here");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // Whoever it runs as.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    for file in ["PKGBUILD", "zam.install"] {
        fs::copy(top().join("packaging/arch").join(file), folder.path().join(file)).unwrap();
    }
    let mut command = Command::new("makepkg");
    if fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0) {
        // It does nothing for root.
        std::os::unix::process::CommandExt::uid(&mut command, 65_534);
        std::os::unix::process::CommandExt::gid(&mut command, 65_534);
    }
    // It looks for a pacman to ask, which it does not need for this.
    command.env("PACMAN", "true");
    let output = command.arg("--printsrcinfo").current_dir(folder.path()).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let version = format!("pkgver = {}", env!("CARGO_PKG_VERSION"));
    for line in
        ["pkgbase = zam", &version, "license = MIT OR Apache-2.0", "sha256sums = SKIP", "backup = etc/profile.d/zam.sh"]
    {
        assert!(said.lines().any(|said| said.trim() == line), "{line}: {said}");
    }
}

/// Off as it is shipped; and if it is on, no upgrade waits for zam or fails by it.
#[test]
fn an_upgrade_goes_on_whatever_zam_says_to_the_hook_of_apt() {
    let text = read("packaging/examples/apt.conf");
    let folders: Vec<String> = deb()["assets"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|asset| asset[0].as_str().unwrap().ends_with("apt.conf"))
        .map(|asset| asset[1].to_string())
        .collect();
    assert_eq!(folders, ["\"usr/share/doc/zam/examples/\""]);
    let hook =
        text.lines().find_map(|line| line.strip_prefix("DPkg::Pre-Invoke { \"")?.strip_suffix("\"; };")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let run = |stub: Option<&str>| {
        if let Some(stub) = stub {
            let path = folder.path().join("zamctl");
            zam_tests::script(&path, stub);
        }
        let path = format!("{}:/usr/bin:/bin", folder.path().display());
        let output = Command::new("sh").args(["-c", hook]).env("PATH", path).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(run(Some("exit 5")), "zam: no snapshots before this\n");
    assert_eq!(run(Some("echo \"$@\"")), "snapshot tank/data -r --for 14d\n");
    fs::remove_file(folder.path().join("zamctl")).unwrap();
    if !Path::new("/usr/bin/zamctl").exists() {
        assert_eq!(run(None), "");
    }
    match Command::new("apt-config")
        .arg("-c")
        .arg(top().join("packaging/examples/apt.conf"))
        .args(["dump", "DPkg::Pre-Invoke"])
        .output()
    {
        Err(_) => eprintln!("SKIPPED: no apt-config here"),
        Ok(output) => assert!(String::from_utf8_lossy(&output.stdout).contains(hook), "{output:?}"),
    }
}

#[test]
fn the_manual_of_a_daemon_has_its_options_and_folders() {
    for role in Role::ALL {
        let page = manual(role.daemon());
        let command = Args::command(role, "");
        let known: BTreeSet<String> =
            command.get_arguments().filter_map(|arg| arg.get_long()).map(str::to_owned).collect();
        assert!(known.contains("simulate"));
        let always = ["help", "version"].map(str::to_owned);
        assert_eq!(options(&page), &known | &BTreeSet::from(always), "{role}");
        let sockets = role.doors().iter().map(|&door| role.socket(Path::new("/run/zam"), door).display().to_string());
        let folder = format!("/var/lib/zam/{}", role.folder());
        for word in sockets.chain([folder, user(role).to_owned()]) {
            assert!(page.contains(&word), "{role}: {word}");
        }
    }
}

#[test]
fn the_manuals_of_zam_receive_and_zam_hook_have_their_options() {
    for (program, words) in [
        ("zam-receive", ["client", "zam-ssh", "/etc/zam/authorized_keys"]),
        ("zam-hook", ["peer", "zam-snap", "/run/zam/hook/NAME.sock"]),
    ] {
        let help = Command::new(built(program)).arg("--help").output().unwrap();
        let help = String::from_utf8(help.stdout).unwrap();
        let known = help.split_whitespace().filter_map(|word| word.strip_prefix("--"));
        let known: BTreeSet<String> = known.map(str::to_owned).collect();
        let page = manual(program);
        assert_eq!(options(&page), known);
        assert!(known.contains(words[0]) && words.iter().all(|word| page.contains(word)), "{help}");
    }
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

/// What the dashboard and the rules ask for is what zamd-watch gives.
#[test]
fn the_dashboard_and_the_rules_know_the_metrics() {
    let source = read("zamd-watch/src/metrics.rs");
    for file in ["grafana-dashboard.json", "zam.rules.yml"] {
        let text = read(&format!("packaging/prometheus/{file}"));
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let asked: BTreeSet<&str> = words.filter_map(|word| word.strip_prefix("zam_")).collect();
        assert!(!asked.is_empty());
        for name in asked {
            assert!(source.contains(&format!("\"{name}\",")), "{file} asks for zam_{name}");
        }
    }
    let dashboard: serde_json::Value =
        serde_json::from_str(&read("packaging/prometheus/grafana-dashboard.json")).unwrap();
    assert!(dashboard["panels"].as_array().is_some_and(|panels| panels.len() > 5));
}

fn manual(program: &str) -> String {
    read(&format!("packaging/man/{program}.8")).replace("\\-", "-")
}

/// In the synopsis and in the list: each once at least.
fn options(page: &str) -> BTreeSet<String> {
    let written = page.lines().flat_map(|line| line.split("\\fB--").skip(1)).filter_map(|rest| rest.split('\\').next());
    written.map(str::to_owned).collect()
}

#[test]
fn the_example_loads_without_a_warning() {
    for path in files(&top().join("packaging/examples"), ".toml") {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let (config, warnings) = load(&[(name, text)], &Zone::utc()).unwrap_or_else(|errors| panic!("{errors}"));
        assert!(warnings.is_empty(), "{warnings:?}");
        assert!(!config.entries.is_empty());
    }
}

#[test]
fn the_role_table_of_the_readme_is_that_of_the_units() {
    let readme = read("README.md");
    let rows: Vec<Vec<&str>> = readme
        .lines()
        .filter(|line| line.starts_with("| zamd-") || line.starts_with("| `zamd-"))
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect())
        .collect();
    let table: Vec<_> = rows.iter().map(|row| (row[0], row[1])).collect();
    let units = Role::ALL.map(|role| (role.daemon(), user(role)));
    assert_eq!(table, units, "README.md: the table whose rows begin with `| zamd-… | USER |`");
    for document in ["docs/architecture.md", "SECURITY.md"] {
        let text = read(document);
        for (daemon, user) in units {
            let is_row = |line: &str| line.starts_with(&format!("| {daemon}")) && line.contains(&format!("| {user} |"));
            assert!(text.lines().any(is_row), "{document}: no row of {daemon} with {user}");
        }
    }
}

/// What an interactive shell says at its start, of a file with this text.
fn login(shell: &str, alarms: &str, before: Option<&str>) -> String {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("alarms");
    fs::write(&file, alarms).unwrap();
    let script = home.path().join("zam.sh");
    fs::write(
        &script,
        read("packaging/profile.d/zam.sh").replace("/run/zam/watch/login/alarms", file.to_str().unwrap()),
    )
    .unwrap();
    if let Some(before) = before {
        fs::create_dir_all(home.path().join(".local/share/zam")).unwrap();
        fs::write(home.path().join(".local/share/zam/alerts-before"), before).unwrap();
    }
    let output = Command::new(shell)
        .args(["-i", "-c", ". \"$1\"", "sh"])
        .arg(&script)
        // With no program to be found it does all by itself.
        .env_clear()
        .env("HOME", home.path())
        .env("PATH", "/nonexistent")
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    // Without a terminal shells have something to say of their own.
    said.lines()
        .filter(|line| line.starts_with("zam:") || line.starts_with("  "))
        .map(|line| line.to_owned() + "\n")
        .collect()
}

/// R-WATCH-5
#[test]
fn log_in_shells_say_what_is_wrong_in_plain_lines_and_else_nothing() {
    let head = "zam: something is wrong (`zamctl alerts`: what to do; `zamctl alerts --ack`: I know)\n";
    let shells: Vec<&str> =
        ["/bin/sh", "/bin/dash", "/bin/bash"].into_iter().filter(|shell| Path::new(shell).exists()).collect();
    assert!(!shells.is_empty());
    for shell in shells {
        let stale = "100 tank/a: no good snapshot for 3 h\n";
        assert_eq!(login(shell, "", None), "", "{shell}: all is well");
        assert_eq!(login(shell, stale, None), format!("{head}  tank/a: no good snapshot for 3 h\n"), "{shell}");
        assert_eq!(login(shell, stale, Some("101\n")), "", "{shell}: known");
        assert_ne!(login(shell, stale, Some("100\n")), "", "{shell}: new since");
        assert_ne!(login(shell, stale, Some("$(reboot)\n")), "", "{shell}: no date");
        for bad in ["100 \x1b[31mred\n", "100 ä\n", "x tank/a\n", "99999999999999999999 tank/a\n", "100 a\tb\n"] {
            assert_eq!(login(shell, bad, None), "", "{shell}: {bad:?}");
        }
        let code = "100 $(touch /tmp/x) `id` \\033[31m %s ; exit\n";
        assert_eq!(login(shell, code, None), format!("{head}  {}", &code[4..]), "{shell}: words, not code");
        assert_eq!(login(shell, &stale.repeat(1000), None).lines().count(), 13, "{shell}");
    }
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
