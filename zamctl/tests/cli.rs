//! zamctl as its users run it: the built program, on simulated pools, without any daemon.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use pretty_assertions::assert_eq;
use std::{
    fs,
    io::Write as _,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _},
        net::UnixListener,
        process::CommandExt as _,
    },
    path::PathBuf,
    process::{Command, Stdio},
};
use tempfile::TempDir;
use zam_zfs::sim::Admin;

/// A config and pools to play on.
struct Stage {
    folder: TempDir,
}

/// What a run said.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Nothing is ever taken, so that nothing depends on the clock; what is there is dated in a year that is not over soon.
const CONFIG: &str = r#"
timezone = "UTC"

[[managed-datasets]]
source = "tank/home"
recursive = true
exclude = ["cache"]
prune-period = "1h"
windows = [ { max-age = "2d", period = "1h" }, { max-age = "1w", period = "1d" } ]
"#;

const POOLS: &str = "
    pool tank
    create tank/home/ann tank/home/cache tank/srv
    snapshot tank/home@zam-21000101T000000Z tank/home/ann@zam-21000101T000000Z at 4102444800
    snapshot tank/home@zam-21000101T060000Z tank/home/ann@zam-21000101T060000Z at 4102466400
    snapshot tank/home@mine at 4102466500
    snapshot tank/home@zam-21000102T000000Z tank/home/ann@zam-21000102T000000Z at 4102531200
    hold zam tank/home@zam-21000101T000000Z tank/home@zam-21000101T060000Z tank/home@zam-21000102T000000Z
    hold zam tank/home/ann@zam-21000101T000000Z tank/home/ann@zam-21000101T060000Z tank/home/ann@zam-21000102T000000Z
    hold pin tank/home/ann@zam-21000101T060000Z
    write 2000000 tank/home
";

impl Stage {
    fn new() -> Self {
        Self::with(CONFIG, POOLS)
    }

    fn with(config: &str, pools: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("zam.toml"), config).unwrap();
        Admin::open(&folder.path().join("pools")).unwrap().script(pools).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zamctl"));
        command.current_dir(self.folder.path()).env_clear().env("TZ", "UTC");
        command.args(["--config", "zam.toml", "--simulate", "pools", "--runtime-dir", "run"]);
        command.args(line.split_whitespace());
        command
    }

    fn run(&self, line: &str) -> Said {
        let output = self.command(line).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Compares with a golden file; `ZAM_BLESS=1` writes it anew.
    fn shows(&self, line: &str, file: &str) {
        let said = self.run(line);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{line}");
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
        if std::env::var_os("ZAM_BLESS").is_some() {
            fs::write(&path, &said.out).unwrap();
        }
        assert_eq!(said.out, fs::read_to_string(&path).unwrap_or_default(), "{line}: ZAM_BLESS=1 writes it anew");
    }
}

#[test]
fn plan_and_explain_say_what_happens_when_and_why() {
    let stage = Stage::new();
    stage.shows("plan --at 2100-01-05", "plan.txt");
    stage.shows("plan --at 2100-01-05T00:00:00Z --json", "plan.json");
    stage.shows("explain tank/home --at 2100-01-05", "explain.txt");
    stage.shows("explain tank/home --at 2100-01-05 --json", "explain.json");
    stage.shows("explain tank/home@zam-21000101T000000Z --at 2100-01-05", "explain-kept.txt");
    stage.shows("explain tank/home/ann@zam-21000101T060000Z --at 2100-01-05", "explain-pinned.txt");
    stage.shows("explain tank/home@zam-21000101T060000Z --at 2100-01-05 --json", "explain-snapshot.json");
}

#[test]
fn explain_says_why_a_dataset_is_not_managed() {
    let stage = Stage::new();
    let excluded = stage.run("explain tank/home/cache").out;
    assert!(excluded.contains("(zam.toml:4) leaves it out by the pattern \"cache\""), "{excluded}");
    let uncovered = stage.run("explain tank/srv").out;
    assert!(uncovered.contains("no entry covers it") && uncovered.contains("source = \"tank/srv\""), "{uncovered}");
    let gone = stage.run("explain tank/home/eve");
    assert_eq!(gone.code, Some(1));
    assert!(gone.err.contains("there is no dataset tank/home/eve") && gone.err.contains("zam.toml:4"), "{}", gone.err);
    assert_eq!(stage.run("explain tank/home@nope").code, Some(1));
}

#[test]
fn check_tells_good_from_bad() {
    let stage = Stage::new();
    let good = stage.run("check");
    assert_eq!((good.code, good.out.as_str()), (Some(0), "config ok: 1 entry, covering 2 datasets in 1 pool\n"));
    let effective = stage.run("check --print-effective").out;
    fs::write(stage.path("again.toml"), &effective).unwrap();
    assert_eq!(stage.run("check --print-effective --config again.toml").out, effective);

    fs::write(stage.path("bad.toml"), "[[managed-datasets]]\nsorce = \"tank\"\n").unwrap();
    let bad = stage.run("check --config bad.toml");
    assert_eq!((bad.code, bad.out.as_str()), (Some(2), ""));
    assert!(bad.err.contains("bad.toml:2:1: error:") && bad.err.contains("^^^^^"), "{}", bad.err);
    assert_eq!(stage.run("check --config missing.toml").code, Some(2));
}

#[test]
fn check_names_entries_that_cover_nothing() {
    let more = "[[managed-datasets]]\nsource = \"tank/gone\"\n[[managed-datasets]]\nsource = \"usb\"\n\
                [[managed-datasets]]\nsource = \"drawer\"\nabsent = \"expected\"\n";
    let said = Stage::with(&format!("{CONFIG}\n{more}"), POOLS).run("check");
    assert_eq!(said.code, Some(0));
    assert!(said.err.contains("tank/gone covers nothing: no dataset of its pool matches it"), "{}", said.err);
    assert!(said.err.contains("usb covers nothing: its pool is not imported"), "{}", said.err);
    assert!(!said.err.contains("drawer covers nothing"), "{}", said.err);
}

#[test]
fn drop_ins_are_read_too() {
    let stage = Stage::new();
    fs::create_dir(stage.path("zam.d")).unwrap();
    fs::write(stage.path("zam.d/10-srv.toml"), "[[managed-datasets]]\nsource = \"tank/srv\"\n").unwrap();
    fs::write(stage.path("zam.d/.swap.toml"), "no config").unwrap();
    assert!(stage.run("check").out.starts_with("config ok: 2 entries, covering 3 datasets"));
    assert!(stage.run("explain tank/srv").out.contains("zam.d/10-srv.toml:1"));
}

#[test]
fn grants_are_printed_compared_and_mended() {
    let stage = Stage::new();
    let allow = |line: &str| Admin::open(&stage.path("pools")).unwrap().script(line).unwrap();
    let missing = stage.run("grant --check");
    assert_eq!(missing.code, Some(3));
    let commands = |text: &str| -> Vec<String> {
        text.lines().filter(|line| line.starts_with("zfs ")).map(str::to_owned).collect()
    };
    let mut printed = commands(&stage.run("grant --print").out);
    let mut mending = commands(&missing.out);
    printed.sort();
    mending.sort();
    assert_eq!(mending, printed);

    allow("allow zam-snap both snapshot,hold,release tank/home\n allow zam-prune descendent destroy,mount tank/home");
    let good = stage.run("grant --check");
    assert_eq!(
        (good.code, good.out.as_str()),
        (Some(0), "grants ok: 5 datasets compared, nothing missing, nothing surplus\n")
    );

    allow("allow zam-prune both release tank/home/ann");
    let surplus = stage.run("grant --check");
    assert_eq!(surplus.code, Some(3));
    assert!(surplus.out.contains("DANGER") && surplus.out.contains("zfs unallow -u zam-prune release tank/home/ann"));
    assert_eq!(stage.run("grant --check --role snap").code, Some(0));
}

#[test]
fn a_shell_takes_what_grant_prints() {
    let odd = "[[managed-datasets]]\nsource = \"tank/my data\"\nsnapshot-period = \"1h\"\nhold = false\n";
    let stage = Stage::with(odd, "pool tank");
    fs::write(stage.path("grant.sh"), stage.run("grant --print").out).unwrap();
    let shell = "set -eu; zfs() { printf '<%s>' \"$@\"; echo; }; . ./grant.sh";
    let output = Command::new("sh").args(["-c", shell]).current_dir(stage.folder.path()).output().unwrap();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "<allow><-l><-u><zam-snap><snapshot,hold,release><tank/my data>\n\
         <allow><-d><-u><zam-prune><destroy,mount><tank/my data>\n"
    );
}

#[test]
fn uninstall_prints_what_takes_everything_back() {
    let stage = Stage::new();
    let admin = Admin::open(&stage.path("pools")).unwrap();
    admin.script("allow zam-snap both snapshot,hold,release tank/home\n hold zam-keep tank/home@mine").unwrap();
    admin
        .script("bookmark tank/home@mine tank/home#mine\n bookmark tank/home@mine tank/home#zam-0badcafe-mine")
        .unwrap();
    let said = stage.run("uninstall --print");
    is_shell(&said.out);
    assert!(said.out.contains("zfs destroy 'tank/home#zam-0badcafe-mine'\n"), "{}", said.out);
    let destroyed = said.out.lines().filter(|line| line.contains("destroy ") && !line.contains("#zam-"));
    assert_eq!(destroyed.count(), 0, "{}", said.out);
    assert_eq!(said.code, Some(0));
    assert!(said.out.contains("zfs release zam tank/home@zam-21000101T000000Z tank/home@"), "{}", said.out);
    assert!(said.out.contains("# zfs release zam-keep tank/home@mine"), "{}", said.out);
    assert!(said.out.contains("zfs unallow -u zam-snap hold,release,snapshot tank/home"), "{}", said.out);
}

#[test]
fn what_uninstall_prints_goes_on_where_a_daemon_was_never_installed() {
    let stage = Stage::new();
    let said = stage.run("uninstall --print");
    fs::write(stage.path("away.sh"), said.out).unwrap();
    let shell = "set -eu
        systemctl() {
            case $1 in
            cat) [ $2 = zamd-snap.service ] ;;
            list-units) echo zam-hook@db.socket loaded active listening ;;
            *) echo systemctl \"$@\" ;;
            esac
        }
        zfs() { echo zfs \"$1\"; }
        rm() { :; }
        . ./away.sh";
    let output = Command::new("sh").args(["-c", shell]).current_dir(stage.folder.path()).output().unwrap();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "systemctl disable --now zamd-snap-status.socket zamd-snap-control.socket zamd-snap.service\n\
         systemctl disable --now zam-hook@db.socket\nzfs release\n"
    );
    assert!(output.status.success(), "{}", output.status);
}

#[test]
fn without_daemons_status_shows_what_it_can_and_acting_fails() {
    let stage = Stage::new();
    let status = stage.run("status");
    assert_eq!(status.code, Some(5));
    assert!(status.out.contains("zamd-snap does not answer") && status.out.contains("zamd-prune does not answer"));
    assert!(status.out.contains("tank/home/ann") && status.out.contains("zamctl's own look"), "{}", status.out);
    assert_eq!(stage.run("status --json").code, Some(5));
    for line in [
        "snapshot tank/home",
        "prune --now",
        "prune --approve beef",
        "keep tank/home@mine --why audit",
        "unkeep tank/home@mine",
        "expire tank/home@mine",
        "unhold tank/home -r",
        "replicate",
        "replicate tank/home -r --full --wait",
    ] {
        let said = stage.run(line);
        assert_eq!(said.code, Some(5), "{line}: {said:?}");
        assert!(said.err.contains("does not answer at run/") && said.err.contains("systemctl"), "{line}: {said:?}");
    }
    assert_eq!(stage.run("expire tank/home@nope").code, Some(1));
}

#[test]
fn a_door_that_keeps_this_user_out_ends_with_code_4() {
    let stage = Stage::new();
    fs::create_dir_all(stage.path("run/snap")).unwrap();
    let _socket = UnixListener::bind(stage.path("run/snap/control.sock")).unwrap();
    fs::set_permissions(stage.path("run/snap/control.sock"), fs::Permissions::from_mode(0o000)).unwrap();
    let mut command = stage.command("keep tank/home@mine");
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        // Root is let in everywhere, so this has to be somebody else, who may not even see where the program was built.
        let program = stage.path("zamctl");
        fs::copy(env!("CARGO_BIN_EXE_zamctl"), &program).unwrap();
        fs::set_permissions(stage.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let mut other = Command::new(program);
        other.current_dir(stage.folder.path()).env_clear().args(command.get_args());
        other.uid(65_534);
        command = other;
    }
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("zam-operators") && said.contains("zamctl status"), "{said}");
}

#[test]
fn bad_usage_ends_with_code_2_and_the_right_words() {
    let stage = Stage::new();
    for (line, word) in [
        ("explain tank//x", "a component is empty"),
        ("plan --at tomorrow", "2026-12-24 18:00"),
        ("plan --at 2000-01-01", "has passed"),
        ("grant", "--print"),
        ("grant --print --role watch", "snap, prune, send, recv"),
        ("grant --print --openzfs new", "2.3.2"),
        ("ssh --print nowhere", "nowhere"),
        ("replicate tank/home --rotate", "--to"),
        ("replicate -r", "DATASET"),
        ("keep tank/home", "it has no @"),
        ("prune --approve xyz", "zamctl status"),
        ("stauts", "status"),
    ] {
        let said = stage.run(line);
        assert_eq!(said.code, Some(2), "{line}: {said:?}");
        assert!(said.err.contains(word), "{line}: {}", said.err);
    }
}

#[test]
fn a_reader_that_goes_away_is_no_trouble() {
    let stage = Stage::new();
    let mut child = stage.command("explain tank/home").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn the_package_gets_completions_and_man_pages() {
    let stage = Stage::new();
    assert!(stage.run("completions bash").out.contains("zamctl"));
    assert_eq!(stage.run("man pages").code, Some(0));
    let page = fs::read_to_string(stage.path("pages/zamctl-explain.1")).unwrap();
    assert!(page.contains("zamctl"), "{page}");
}

const COPIES: &str = r#"
timezone = "UTC"
[[managed-datasets]]
source = "tank/home"
recursive = true
windows = [ { max-age = "2d", period = "1h" }, { max-age = "1w", period = "1d" } ]
destinations = [ { remote-host = "olympus" }, { pool = "usb", dataset = "zam" } ]
[[replicas]]
client = "me"
root = "usb/zam"
"#;

#[test]
fn what_the_other_machine_needs_is_printed_here() {
    let stage = Stage::with(COPIES, POOLS);
    fs::write(stage.path("key.pub"), "ssh-ed25519 AAAAC3Nza zam-send@me\n").unwrap();
    let there = "--client me --root nas/zam/me";
    for (line, word) in [
        ("ssh --print olympus --client me".to_owned(), "ssh-keygen -q -t ed25519 -N '' -C zam-send@me"),
        (
            format!("ssh --print olympus --on replica --key key.pub {there}"),
            "line='restrict,command=\"/usr/bin/zam-receive --client me --root nas/zam/me\" ssh-ed25519 AAAAC3Nza zam-send@me'\n",
        ),
        (
            format!(
                "restore --print tank/home/ann@zam-21000101T000000Z --from olympus --to tank/back --login ann {there}"
            ),
            "ssh ann@olympus 'zfs send -w nas/zam/me/tank/home/ann@zam-21000101T000000Z' | zfs receive -s -u tank/back\n",
        ),
        (
            "restore --print tank/home@zam-21000101T000000Z --from usb --to tank/back".to_owned(),
            "zfs send -w usb/zam/tank/home@zam-21000101T000000Z | zfs receive -s -u tank/back\n",
        ),
        (
            "ssh --print --from me --key key.pub".to_owned(),
            "line='restrict,command=\"/usr/bin/zam-receive --client me --root usb/zam\" ssh-ed25519 AAAAC3Nza zam-send@me'\n",
        ),
        ("grant --print --replica".to_owned(), "zfs allow -u zam-recv receive:append,create,mount,hold usb/zam\n"),
        ("grant --print --openzfs 2.4.1".to_owned(), "zfs allow -d -u zam-send send tank/home\n"),
    ] {
        let said = stage.run(&line);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{line}");
        assert!(said.out.contains(word), "{line}: {}", said.out);
        is_shell(&said.out);
    }
    let block = stage.run(&format!("replica-config --print olympus {there}"));
    assert_eq!(block.code, Some(0), "{block:?}");
    fs::write(stage.path("there.toml"), &block.out).unwrap();
    assert_eq!(stage.run("check --config there.toml").code, Some(0));
    // More than one destination, none of that name, one that needs no ssh, a root that is nowhere said.
    for line in [
        "ssh --print",
        "ssh --print delphi",
        "ssh --print usb",
        "ssh --print --from delphi --key key.pub",
        "replica-config --print olympus --client me",
    ] {
        assert_eq!(stage.run(line).code, Some(2), "{line}");
    }
}

#[test]
fn where_something_is_copied_who_copies_is_missed() {
    let stage = Stage::with(COPIES, POOLS);
    let status = stage.run("status").out;
    assert!(status.contains("zamd-send does not answer") && status.contains("zamd-recv does not answer"), "{status}");
    for line in ["plan", "explain tank/home"] {
        let said = stage.run(line).out;
        assert!(said.contains("Without what is to be sent, since zamd-send does not answer"), "{line}: {said}");
    }
    for line in ["replicate tank/home -r --to olympus --full --wait", "replicate --rotate tank/home --to usb/zam"] {
        assert_eq!(stage.run(line).code, Some(5), "{line}");
    }
    let nowhere = stage.run("replicate --to delphi");
    assert_eq!(nowhere.code, Some(2), "{nowhere:?}");
    // A pool of this host is received here too, whatever `replicas` says.
    let here = Stage::with("[[managed-datasets]]\nsource = \"tank/home\"\ndestinations = [{ pool = \"usb\" }]", POOLS);
    assert!(here.run("status").out.contains("zamd-recv does not answer"));
    let local = Stage::new();
    assert!(!local.run("status").out.contains("zamd-recv") && !local.run("status").out.contains("zamd-send"));
    assert!(!local.run("plan").out.contains("zamd-send"));
}

#[test]
fn a_replica_is_compared_and_its_guarantee_said() {
    let stage = Stage::with(COPIES, POOLS);
    let admin = Admin::open(&stage.path("pools")).unwrap();
    admin.script("pool usb\n create usb/zam").unwrap();
    let missing = stage.run("grant --check --replica");
    assert_eq!(missing.code, Some(3));
    assert!(missing.out.contains("zfs allow -c destroy,mount usb/zam"), "{}", missing.out);
    assert!(missing.out.contains("# usb/zam: append-only by the kernel"), "{}", missing.out);
    let exposed =
        "zfs set mountpoint=none readonly=on setuid=off exec=off devices=off volmode=none snapdev=hidden usb/zam\n";
    assert!(missing.out.contains(exposed), "{}", missing.out);
    admin
        .script(
            "set mountpoint=none usb/zam\n set readonly=on usb/zam\n set setuid=off usb/zam\n set exec=off usb/zam
             set devices=off usb/zam\n set volmode=none usb/zam\n set snapdev=hidden usb\n allow creator destroy,mount usb/zam
             allow zam-recv both receive:append,create,mount,hold usb/zam",
        )
        .unwrap();
    let good = stage.run("grant --check --replica --role recv");
    assert_eq!(good.code, Some(0), "{good:?}");
    assert!(good.out.ends_with("can add, and cannot roll back, held or not\n"), "{}", good.out);
    admin.script("set setuid=on usb/zam").unwrap();
    assert!(stage.run("grant --check").out.contains("zfs set setuid=off usb/zam\n"));
    let old = stage.run("grant --check --replica --openzfs 2.1.11");
    assert!(old.out.contains("append-only by holds and zamd-recv alone: OpenZFS 2.1.11"), "{}", old.out);
}

/// A shell takes all of it.
fn is_shell(text: &str) {
    let mut shell = Command::new("sh");
    let mut shell = shell.arg("-n").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut shell.stdin.take().unwrap(), text.as_bytes()).unwrap();
    let said = shell.wait_with_output().unwrap();
    assert!(said.status.success() && said.stderr.is_empty(), "{}{text}", String::from_utf8_lossy(&said.stderr));
}

#[test]
fn a_foreign_config_that_is_wrong_prints_no_config() {
    let stage = Stage::new();
    fs::write(stage.path("sanoid.conf"), "[tank/home]\nhourly = 3\n[tank/home/x]\nhuorly = 3\n").unwrap();
    let wrong = stage.run("import sanoid sanoid.conf");
    assert_eq!((wrong.code, wrong.out.as_str()), (Some(2), ""));
    assert!(wrong.err.contains("sanoid.conf:4: sanoid has no key \"huorly\""), "{}", wrong.err);
    let gone = stage.run("import zrepl gone.yml");
    assert_eq!((gone.code, gone.out.as_str()), (Some(2), ""));
    assert!(gone.err.contains("cannot read gone.yml"), "{}", gone.err);
    // It reads well, and zam cannot do it: two clients below one root.
    let pull =
        "{type: pull, name: a, root_fs: nas/a, connect: {type: tcp, address: \"a:1\"}, pruning: {keep_receiver: []}}";
    fs::write(stage.path("z.yml"), format!("jobs: [{pull}, {pull}]")).unwrap();
    let overlap = stage.run("import zrepl z.yml");
    assert_eq!((overlap.code, overlap.out.as_str()), (Some(2), ""));
    assert!(overlap.err.contains("overlap"), "{}", overlap.err);
}

#[test]
fn all_pools_are_those_of_this_machine() {
    let stage = Stage::new();
    fs::write(stage.path("cron"), "zfs-auto-snapshot -l hourly -k 24 //\n").unwrap();
    let said = stage.run("import zfs-auto-snapshot cron");
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    assert!(said.out.contains("source = \"tank\"\nrecursive = true\nsnapshot-period = \"1h\""), "{}", said.out);
}

#[test]
fn a_replica_on_another_machine_needs_its_listing() {
    let stage = Stage::new();
    fs::write(stage.path("sanoid.conf"), "[tank/home]\nrecursive = yes\n").unwrap();
    let blind = stage.run("import sanoid sanoid.conf --replica tank/home=olympus:nas/home");
    assert_eq!((blind.code, blind.out.as_str()), (Some(2), ""));
    assert!(
        blind.err.contains("ssh olympus 'zfs get -Hpr ") && blind.err.contains(" nas/home' >FILE"),
        "{}",
        blind.err
    );

    // The identities are those of the snapshots here.
    let names = ["tank/home@zam-21000101T060000Z", "tank/home@mine"].map(|name| name.parse().unwrap());
    let open = zam_zfs::Open::Sim { folder: stage.path("pools"), user: "nobody".to_owned() };
    let details = open.lister().details(&names).unwrap();
    let mut listing = String::new();
    let dataset = [
        ("type", "filesystem"),
        ("guid", "1"),
        ("encryption", "off"),
        ("readonly", "off"),
        ("written", "0"),
        ("receive_resume_token", "-"),
    ];
    for (property, value) in dataset {
        listing += &format!("nas/home\t{property}\t{value}\n");
    }
    for (name, snapshot) in details {
        for (property, value) in
            [("guid", snapshot.guid.0), ("createtxg", snapshot.createtxg.0), ("creation", 4_102_466_400)]
        {
            listing += &format!("nas/home@{}\t{property}\t{value}\n", name.tag());
        }
    }
    fs::write(stage.path("there"), listing).unwrap();
    let said = stage.run("import sanoid sanoid.conf --replica tank/home=olympus:nas/home --listing there");
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    for line in [
        "#    zfs bookmark tank/home@mine 'tank/home#before-zam'",
        "# First, on olympus, as root:\n#    zfs set readonly=on nas/home\n",
        "#    tank/home@mine (GUID ",
        "#    tank/home/ann: the replica has no such dataset\n",
        "destinations = [{ remote-host = \"olympus\", pool = \"nas\", dataset = \"home\" }]",
    ] {
        assert!(said.out.contains(line), "{line:?} is not in {}", said.out);
    }
    for idle in ["--listing there --replica tank/home=tank/srv", "--client me"] {
        let said = stage.run(&format!("import sanoid sanoid.conf {idle}"));
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{idle}");
        assert!(said.err.contains("does nothing here"), "{}", said.err);
    }
    let alone = stage.run("import sanoid sanoid.conf --replica tank/home=tank/home/ann");
    assert_eq!(alone.out, "", "within itself: {}", alone.err);
    assert_eq!(alone.code, Some(2));
}

impl Stage {
    /// What root's shell would do with a command that zamctl printed: to the simulated pools, or really, in this folder.
    fn mend(&self, command: &str) {
        let script = |line: &str| Admin::open(&self.path("pools")).unwrap().script(line).unwrap();
        // The rest of the options, `run` adds.
        let command = &command.replace("zamctl --config zam.toml ", "zamctl ");
        let words: Vec<&str> = command.split_whitespace().collect();
        let scope = |words: &[&str]| match words.iter().find_map(|word| word.strip_prefix('-')) {
            Some("l") => "local",
            Some("d") => "descendent",
            _ => "both",
        };
        match words.as_slice() {
            ["zfs", "allow", "-c", permissions, dataset] => script(&format!("allow creator {permissions} {dataset}")),
            ["zfs", "allow", flags @ .., user, permissions, dataset] => {
                script(&format!("allow {user} {} {permissions} {dataset}", scope(flags)));
            }
            ["zfs", "unallow", .., user, _, dataset] => script(&format!("unallow {user} {dataset}")),
            ["zfs", "set", properties @ .., dataset] => {
                properties.iter().for_each(|property| script(&format!("set {property} {dataset}")));
            }
            ["zfs", verb @ ("hold" | "release"), rest @ ..] => script(&format!("{verb} {}", rest.join(" "))),
            ["zfs", "list", rest @ .., dataset] => {
                if self.run(&format!("explain {dataset}")).code != Some(0) {
                    script(&format!("create {dataset}"));
                }
                let properties = rest.iter().filter(|word| word.contains('='));
                properties.for_each(|property| script(&format!("set {property} {dataset}")));
            }
            ["zpool", "import", pool] => script(&format!("exported {pool} off")),
            ["zpool", "clear", pool] => script(&format!("suspended {pool} off")),
            ["zamctl", "prune", "--now"] => script("full tank off"),
            ["zamctl", "setup", "--write"] => drop(self.run("setup --write --dataset tank/srv")),
            ["zamctl", verbs @ .., "|", "sh"] => {
                let printed = self.run(&verbs.join(" ")).out;
                printed.lines().filter(|line| line.starts_with("zfs ")).for_each(|line| self.mend(line));
            }
            ["zamctl", "check" | "explain", ..] => {}
            _ => {
                fs::write(self.path("editor"), "#!/bin/sh\ncp zam.toml.good zam.toml\n").unwrap();
                fs::set_permissions(self.path("editor"), fs::Permissions::from_mode(0o755)).unwrap();
                let mut shell = Command::new("sh");
                let shell = shell.args(["-c", command]).env("EDITOR", "./editor").current_dir(self.folder.path());
                assert!(shell.status().unwrap().success(), "{command}");
            }
        }
    }

    /// What `doctor` finds: how bad, by which check, about what, and the commands.
    fn findings(&self) -> Vec<(String, String, String, Vec<String>)> {
        let said = self.run("doctor --json");
        let report: serde_json::Value = serde_json::from_str(&said.out).unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let findings = report["findings"].as_array().unwrap().iter().map(|finding| {
            let commands = finding["commands"].as_array().unwrap().iter().map(text).collect();
            (text(&finding["level"]), text(&finding["check"]), text(&finding["about"]), commands)
        });
        let findings: Vec<_> = findings.collect();
        let bad = findings.iter().any(|finding| finding.0 != "note");
        assert_eq!(said.code, Some(if bad { 3 } else { 0 }), "{said:?}");
        findings
    }
}

const WELL: &str = r#"
timezone = "UTC"

[[managed-datasets]]
source = "tank/home"
recursive = true
snapshot-period = "1h"
windows = [ { period = "1h" } ]
destinations = [ { pool = "usb", dataset = "zam" } ]

[[replicas]]
client = "me"
root = "usb/zam"
windows = [ { period = "1h" } ]
"#;

/// All is well, and one dataset is nobody's.
fn well() -> Stage {
    let stage = Stage::with(
        WELL,
        "pool tank\n create tank/home/ann tank/srv\n pool usb\n snapshot tank/home@zam-20200101T000000Z at 1577836800\n
         hold zam tank/home@zam-20200101T000000Z",
    );
    fs::write(stage.path("zam.toml.good"), WELL).unwrap();
    stage.mend("zamctl grant --print --replica | sh");
    stage.mend("zamctl grant --print | sh");
    stage
}

#[test]
fn doctor_finds_nothing_where_all_is_well() {
    let stage = well();
    let note = (
        "note".into(),
        "uncovered".into(),
        "tank/srv".into(),
        vec!["zamctl --config zam.toml explain tank/srv".into()],
    );
    assert_eq!(stage.findings(), [note]);
    let said = stage.run("doctor");
    assert!(said.out.starts_with("# All is well: looked at the config, grants, 6 datasets in 2 pools"), "{}", said.out);
    assert!(said.out.contains("\n# not looked at: this machine, since the pools are simulated\n"), "{}", said.out);
    is_shell(&said.out);
}

#[test]
fn doctor_finds_what_is_wrong_with_pools_and_config_and_what_it_prints_mends_it() {
    let admin = |stage: &Stage, line: &str| Admin::open(&stage.path("pools")).unwrap().script(line).unwrap();
    let config = |stage: &Stage, more: &str| fs::write(stage.path("zam.toml"), WELL.to_owned() + more).unwrap();
    type Spoil<'a> = &'a dyn Fn(&Stage);
    let cases: &[(Spoil<'_>, &str, &str)] = &[
        (&|stage| admin(stage, "unallow zam-prune tank/home"), "grant-missing", "tank/home"),
        (&|stage| admin(stage, "allow zam-prune both release tank/home/ann"), "grant-surplus", "tank/home/ann"),
        (&|stage| admin(stage, "set setuid=on usb/zam"), "replica-properties", "usb/zam"),
        (&|stage| admin(stage, "full tank"), "room", "tank"),
        (&|stage| admin(stage, "suspended tank"), "pool", "tank"),
        (&|stage| admin(stage, "exported usb"), "covers-nothing", "usb/zam"),
        (&|stage| admin(stage, "destroy -r usb/zam"), "covers-nothing", "usb/zam"),
        (
            &|stage| config(stage, "[[managed-datasets]]\nsource = \"tank/hoem\"\nkeep = { hourly = 1 }\n"),
            "covers-nothing",
            "tank/hoem",
        ),
        (&|stage| admin(stage, "release zam tank/home@zam-20200101T000000Z"), "unheld", "tank/home"),
        (
            &|stage| {
                admin(
                    stage,
                    "snapshot tank/srv@zam-20200101T000000Z at 1577836800\n hold zam tank/srv@zam-20200101T000000Z",
                )
            },
            "hold-without-owner",
            "tank/srv",
        ),
        (
            &|stage| fs::set_permissions(stage.path("zam.toml"), fs::Permissions::from_mode(0o666)).unwrap(),
            "config-mode",
            "zam.toml",
        ),
        (
            &|stage| fs::set_permissions(stage.path("zam.toml"), fs::Permissions::from_mode(0o600)).unwrap(),
            "config-mode",
            "zam.toml",
        ),
    ];
    for (spoil, check, about) in cases {
        let stage = well();
        let before = stage.findings();
        spoil(&stage);
        let mut found = stage.findings();
        found.retain(|finding| finding.0 != "note");
        let names: Vec<(&str, &str)> =
            found.iter().map(|(_, check, about, _)| (check.as_str(), about.as_str())).collect();
        assert!(names.iter().all(|name| *name == (*check, *about)) && !names.is_empty(), "{check}: {found:?}");
        found.iter().flat_map(|(.., commands)| commands).for_each(|command| stage.mend(command));
        assert_eq!(stage.findings(), before, "{check}: after {found:?}");
    }
}

#[test]
fn doctor_goes_on_without_a_good_config() {
    let stage = well();
    fs::write(stage.path("zam.toml"), "sorce = 1\n").unwrap();
    let found = stage.findings();
    assert_eq!(
        (found.len(), found[0].1.as_str(), found[0].3.as_slice()),
        (1, "config", &["zamctl --config zam.toml check".to_owned()][..])
    );
    fs::write(stage.path("zam.toml"), "[[managed-datasets]]\nsource = \"tank/home\"\nexclude = [\"x\"]\n").unwrap();
    let odd = stage.findings();
    assert!(odd.iter().any(|finding| finding.1 == "config-odd" && finding.0 == "note"), "{odd:?}");
    let edit = odd.iter().find(|finding| finding.1 == "config-odd").unwrap().3[0].clone();
    assert!(edit.starts_with("${EDITOR:-vi} +"), "{edit}");
    stage.mend(&edit);
    assert!(stage.findings().iter().all(|finding| finding.1 == "uncovered"));
    fs::remove_file(stage.path("zam.toml")).unwrap();
    let found = stage.findings();
    assert_eq!((found.len(), found[0].1.as_str()), (1, "config"));
    stage.mend(&found[0].3[0]);
    assert!(stage.path("zam.toml").exists() && stage.findings().iter().all(|finding| finding.1 != "config"));
}

const CROWDED: &str = "
    pool tank
    create tank/home/ann tank/srv tank/docker/0123abc tank/ROOT/debian tank/lxd/containers/web
    volume tank/data/vm-100-disk-0
    pool usb
    pool rpool
    create rpool/ROOT/debian-1 rpool/data/subvol-101-disk-0
";

/// For each set of answers: what is written loads without a warning, is planned, and after what is printed all is well.
#[test]
fn what_setup_writes_is_good() {
    for set in [
        "--dataset tank/home --dataset tank/srv --every 1h --keep days",
        "--dataset tank --dataset rpool",
        "--dataset rpool/ROOT/debian-1",
        "--dataset tank/home --to usb",
        "--dataset tank --to usb/copies --every 10s --client me",
        "--dataset tank/home --to host:olympus --root nas/zam/me --client me",
        "--dataset tank/home --to usb/copies --to host:olympus --root nas/zam/me --keep years",
        "--replica --client laptop --root usb/zam/laptop --key ssh-ed25519_AAAA",
    ] {
        let stage = Stage::with("", CROWDED);
        fs::remove_file(stage.path("zam.toml")).unwrap();
        let setup = |more: &str| {
            let mut command = stage.command("setup");
            command.args(set.split(' ').map(|word| word.replace('_', " "))).args(more.split_whitespace());
            let output = command.output().unwrap();
            assert_eq!(
                (output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()),
                (Some(0), ""),
                "{set}"
            );
            String::from_utf8(output.stdout).unwrap()
        };
        let script = setup("");
        is_shell(&script);
        assert!(!stage.path("zam.toml").exists(), "{set}: it writes nothing by itself");
        let said = setup("--write");
        is_shell(&said);
        let config = fs::read_to_string(stage.path("zam.toml")).unwrap();
        assert!(script.contains(&format!("cat >zam.toml <<'END'\n{config}END\n")), "{set}");
        assert_eq!(fs::metadata(stage.path("zam.toml")).unwrap().mode() & 0o777, 0o644, "{set}");
        for line in said.lines().filter(|line| line.contains(" grant ")) {
            stage.mend(&line.replace("--config zam.toml ", ""));
        }
        let check = stage.run("check");
        assert_eq!((check.code, check.err.as_str()), (Some(0), ""), "{set}\n{config}");
        assert_eq!(stage.run("plan").code, Some(0), "{set}");
        assert_eq!(stage.findings().iter().find(|finding| finding.0 != "note"), None, "{set}\n{config}");
        let last = said.lines().last().unwrap();
        assert_eq!(last, "zamctl --config zam.toml doctor", "{set}");
    }
}

#[test]
fn whatever_how_often_and_how_long_are_check_warns_of_nothing() {
    let stage = Stage::with("", CROWDED);
    for every in ["10s", "15m", "1h", "1d", "1w", "1mo"] {
        for keep in ["days", "months", "years"] {
            fs::remove_file(stage.path("zam.toml")).unwrap();
            let set = format!("setup --dataset tank/home --every {every} --keep {keep} --write");
            assert_eq!(stage.run(&set).code, Some(0), "{set}");
            let check = stage.run("check");
            assert_eq!((check.code, check.err.as_str()), (Some(0), ""), "{set}");
        }
    }
}

#[test]
fn setup_leaves_alone_what_other_software_manages() {
    let stage = Stage::with("", CROWDED);
    stage.shows("setup --dataset tank --dataset rpool --to usb/copies --client me", "setup.sh");
    stage.shows("setup --dataset tank/home --to host:olympus --root nas/zam/me --client me", "setup-host.sh");
    fs::write(stage.path("key.pub"), "ssh-ed25519 AAAA x@y\n").unwrap();
    fs::remove_file(stage.path("zam.toml")).unwrap();
    stage.shows("setup --replica --client laptop --root usb/zam/laptop --key key.pub", "setup-replica.sh");
}

#[test]
fn setup_writes_over_nothing_and_asks_nobody_who_is_not_there() {
    let stage = Stage::with("# mine\n", CROWDED);
    let over = stage.run("setup --dataset tank/home --write");
    assert_eq!(over.code, Some(1));
    assert!(over.err.contains("will not write over the config zam.toml") && over.err.contains("zam.d"), "{}", over.err);
    assert_eq!(fs::read_to_string(stage.path("zam.toml")).unwrap(), "# mine\n");
    // A client on a machine that has a config gets a file of its own, once.
    fs::create_dir(stage.path("zam.d")).unwrap();
    fs::write(stage.path("key.pub"), "ssh-ed25519 AAAA x@y\n").unwrap();
    let client = "setup --replica --client laptop --root usb/zam/laptop --key key.pub --write";
    assert_eq!(stage.run(client).code, Some(0));
    assert!(fs::read_to_string(stage.path("zam.d/laptop.toml")).unwrap().contains("client = \"laptop\""));
    assert_eq!(stage.run(client).code, Some(1));
    // What does not go with the rest of the config is not written.
    let below = stage.run("setup --replica --client desk --root usb/zam/laptop/desk --key key.pub --write");
    assert!(below.code == Some(2) && below.err.contains("overlap"), "{below:?}");
    assert!(!stage.path("zam.d/desk.toml").exists());
    fs::remove_file(stage.path("zam.d/laptop.toml")).unwrap();
    fs::remove_file(stage.path("zam.toml")).unwrap();
    for (line, word) in [
        ("setup", "--dataset tank/data [--every 10m] [--keep months] [--to usb/copies"),
        ("setup --replica", "--replica --client laptop --root"),
        ("setup --replica --client laptop --root usb/x", "--key"),
        ("setup --dataset tank/home --to host:olympus", "--root nas/zam/laptop"),
        ("setup --dataset tank/home --to tank/copies", "a copy of"),
        ("setup --dataset tank/home --to drawer/zam", "the pools are: rpool, tank, usb"),
        ("setup --dataset tank/hoem", "there is no dataset tank/hoem"),
        ("setup --dataset tank/home --keep decades", "days, months, years"),
        ("setup --dataset tank/home --every often", "often"),
        ("setup --dataset tank/home --replica", "--replica"),
    ] {
        let said = stage.run(&format!("{line} --write"));
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{line}: {said:?}");
        assert!(said.err.contains(word), "{line}: {}", said.err);
        assert!(!stage.path("zam.toml").exists(), "{line}");
    }
}

/// The questions, on a terminal of its own.
#[test]
fn setup_asks_on_a_terminal() {
    let answer = |stage: &Stage, line: &str, typed: &str| {
        let pty = nix::pty::openpty(None, None).unwrap();
        let mut command = stage.command(line);
        let child = command.stdin(pty.slave).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(command);
        fs::File::from(pty.master.try_clone().unwrap()).write_all(typed.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    };
    let stage = Stage::with("", CROWDED);
    fs::remove_file(stage.path("zam.toml")).unwrap();
    let said = answer(&stage, "setup --client me", "tank/hoem\ntank/home tank/srv\n\nyears\nusb/copies\n");
    assert_eq!(said.code, Some(0), "{said:?}");
    for word in
        ["Which datasets", "tank/hoem is neither", "How often", "[10m]", "[months]", "usb, a pool of this machine"]
    {
        assert!(said.err.contains(word), "{word}: {}", said.err);
    }
    let options = "setup --client me --dataset tank/home --dataset tank/srv --keep years --to usb/copies";
    assert_eq!(said.out, stage.run(options).out, "the same as by options");
    let said = answer(&stage, "setup --replica", "lap top\nlaptop\nusb/zam/laptop\nssh-ed25519 AAAA\n\n");
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(!said.err.contains("Which datasets"), "a replica is asked for no sources");
    assert!(said.out.contains("zam-receive --client laptop --root usb/zam/laptop"), "{}", said.out);
    let gone = answer(&stage, "setup --write", "tank/home\n\x04");
    assert_eq!((gone.code, stage.path("zam.toml").exists()), (Some(2), false), "{gone:?}");
}
