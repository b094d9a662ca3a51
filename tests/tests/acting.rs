//! What people ask for with zamctl, done by the real daemons on simulated pools, each a process of its own.
//! Needs the programs: `cargo build --workspace --bins` first, as `./test` does.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use pretty_assertions::assert_eq;
use std::{
    fs::{self, File},
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command},
    thread::sleep,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use zam_zfs::sim::Admin;

const CONFIG: &str = r#"
clock = "trust"
timezone = "UTC"

[[managed-datasets]]
source = "tank/home"
recursive = true
snapshot-period = "1d"
windows = [ { max-age = "2d", period = "1d" } ]
"#;

const POOLS: &str = "
    pool tank
    create tank/home/ann tank/srv
    allow zam-snap both snapshot,hold,release tank/home
    allow zam-prune descendent destroy,mount tank/home
";

/// Two daemons, their pools and their config.
struct Machine {
    folder: TempDir,
    daemons: Vec<Child>,
}

#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Machine {
    fn start(config: &str, pools: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(folder.path().join("zam.toml"), config).unwrap();
        Admin::open(&folder.path().join("pools")).unwrap().script(pools).unwrap();
        let mut this = Self { folder, daemons: Vec::new() };
        for daemon in ["zamd-snap", "zamd-prune"] {
            let log = File::create(this.path(&format!("{daemon}.log"))).unwrap();
            let mut command = this.command(&program(daemon));
            command.args(["--state-dir", "state"]).stderr(log.try_clone().unwrap()).stdout(log);
            this.daemons.push(command.spawn().unwrap());
        }
        this.until("both daemons to have looked around", |this| {
            let status = this.run("status --json");
            status.code != Some(5) && status.out.contains("in_grace\": 0") && status.out.contains("\"last\": \"")
        });
        this
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.folder.path()).env_clear().env("TZ", "UTC");
        command.args(["--config", "zam.toml", "--simulate", "pools", "--runtime-dir", "run"]);
        command
    }

    fn run(&self, line: &str) -> Said {
        said(self.command(&program("zamctl")).args(line.split_whitespace()))
    }

    /// Runs what must go well.
    fn ok(&self, line: &str) -> String {
        let said = self.run(line);
        assert_eq!(said.code, Some(0), "{line}: {said:?}");
        said.out
    }

    fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !is_so(self) {
            if begun.elapsed() > Duration::from_secs(60) {
                let log = |name: &str| fs::read_to_string(self.path(name)).unwrap_or_default();
                panic!("waited for {what} in vain\n{}\n{}", log("zamd-snap.log"), log("zamd-prune.log"));
            }
            sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        for daemon in &mut self.daemons {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

fn said(command: &mut Command) -> Said {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// A program of this workspace, built beside this test.
fn program(name: &str) -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let path = here.ancestors().nth(2).unwrap().join(name);
    assert!(path.exists(), "{} is not built: `cargo build --workspace --bins` first", path.display());
    path
}

#[test]
fn a_snapshot_on_request_is_known_to_both_keys() {
    let machine = Machine::start(CONFIG, POOLS);
    let taken = machine.ok("snapshot tank/home -r --name before-upgrade --for 30d");
    assert!(taken.contains("took tank/home@before-upgrade\ntook tank/home/ann@before-upgrade\nkept until "), "{taken}");
    let explained = machine.ok("explain tank/home/ann@before-upgrade");
    assert!(explained.contains("asked for by hand, until ") && explained.contains("held     by zam"), "{explained}");
    assert!(!explained.contains("Without"), "{explained}");

    let again = machine.run("snapshot tank/home --name before-upgrade");
    assert_eq!(again.code, Some(1), "{again:?}");
    let unmanaged = machine.run("snapshot tank/srv");
    assert_eq!(unmanaged.code, Some(1));
    assert!(unmanaged.err.contains("tank/srv is not managed"), "{}", unmanaged.err);
}

#[test]
fn what_is_let_go_dies_after_its_grace_or_at_once_if_asked_and_what_is_pinned_stays() {
    let machine = Machine::start(CONFIG, POOLS);
    for name in ["pinned", "gone", "newest"] {
        machine.ok(&format!("snapshot tank/home --name {name}"));
    }
    machine.ok("keep tank/home@pinned --for 1y --why audit");
    for name in ["pinned", "gone", "newest"] {
        let done = machine.ok(&format!("expire tank/home@{name}"));
        assert!(done.contains("zamd-snap") && done.contains("zamd-prune"), "{done}");
    }
    machine.ok("prune");
    let plan = machine.ok("plan tank/home");
    assert!(plan.contains("grace  gone ") && plan.contains("stays  pinned "), "{plan}");
    assert_eq!(machine.ok("prune tank/home --now"), "destroyed tank/home@gone\n");
    let left = machine.ok("explain tank/home");
    assert!(left.contains("\npinned ") && left.contains("\nnewest ") && !left.contains("\ngone "), "{left}");
    let pinned = machine.ok("explain tank/home@pinned");
    assert!(pinned.contains("pinned by uid ") && pinned.contains(": audit"), "{pinned}");

    machine.ok("unkeep tank/home@pinned");
    machine.ok("prune --now");
    assert!(!machine.ok("explain tank/home").contains("\npinned "));
    assert_eq!(machine.run("expire tank/home@gone").code, Some(1));
}

#[test]
fn a_plan_that_nobody_foretold_waits_for_its_approval() {
    let old: String = (0..8)
        .map(|n| {
            let names = format!("tank/home@zam-2020010{}T000000Z", n + 1);
            format!("snapshot {names} at {}\n hold zam {names}\n", 1_577_836_800 + n * 86_400)
        })
        .collect();
    let machine = Machine::start(CONFIG, &format!("{POOLS}{old}"));
    let status = machine.run("status");
    assert_eq!(status.code, Some(3), "{status:?}");
    let (_, plan) = status.out.split_once("--approve ").unwrap();
    let plan = plan.split_whitespace().next().unwrap();
    assert_eq!(machine.run("plan").code, Some(3));
    assert_eq!(machine.run("prune --approve 1234").code, Some(1));
    let released = machine.ok(&format!("prune --approve {plan}"));
    assert_eq!(
        released.lines().filter(|line| line.starts_with("released tank/home@zam-2020")).count(),
        8,
        "{released}"
    );
    machine.until("the brake to be off", |machine| machine.run("status").code == Some(0));
    assert_eq!(machine.ok("prune --now").lines().count(), 8);
}

#[test]
fn root_may_ask_zam_to_step_aside_and_to_go_on() {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        eprintln!("SKIPPED: only root may unhold");
        return;
    }
    let machine = Machine::start(CONFIG, POOLS);
    let paused = machine.ok("unhold tank/home -r");
    assert!(paused.contains("paused tank/home/ann\n") && paused.contains("released tank/home@zam-"), "{paused}");
    let status = machine.run("status");
    assert_eq!(status.code, Some(3));
    assert!(status.out.contains("paused by root: zamctl unhold tank/home --undo"), "{}", status.out);
    assert!(!machine.ok("explain tank/home").contains(" zam  "));
    machine.ok("unhold tank/home -r --undo");
    machine.until("all to be held again", |machine| {
        let status = machine.run("status");
        status.code == Some(0) && status.out.contains("1/1")
    });
}

#[test]
fn a_stranger_sees_everything_and_may_do_nothing() {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        eprintln!("SKIPPED: only root can be somebody else");
        return;
    }
    let machine = Machine::start(CONFIG, POOLS);
    // Who built the program may not let strangers in there.
    let copy = machine.path("zamctl");
    assert!(Command::new("cp").arg(program("zamctl")).arg(&copy).status().unwrap().success());
    let stranger = |line: &str| said(machine.command(&copy).args(line.split_whitespace()).uid(65_534).gid(65_534));
    for line in ["status", "plan", "explain tank/home", "check", "grant --check"] {
        let said = stranger(line);
        assert_eq!(said.code, Some(0), "{line}: {said:?}");
        assert!(!said.out.contains("Without"), "{line}: {}", said.out);
    }
    for line in ["snapshot tank/home", "prune --now", "keep tank/home@x", "unhold tank/home"] {
        let said = stranger(line);
        assert_eq!(said.code, Some(4), "{line}: {said:?}");
        assert!(said.err.contains("zam-operators"), "{line}: {}", said.err);
    }
}
