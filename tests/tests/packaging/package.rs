//! Its files, by each way in which they come to their places.

use crate::read;
use pretty_assertions::assert_eq;
use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};
use zam_protocol::Role;
use zam_tests::{files, top};

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
