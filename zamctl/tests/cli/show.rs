//! What one host shows, prints and refuses.

use crate::stage::{CONFIG, POOLS, Stage, is_shell};
use pretty_assertions::assert_eq;
use std::{
    fs,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _},
        net::UnixListener,
        process::CommandExt as _,
    },
    process::{Command, Stdio},
};
use zam_zfs::sim::Admin;

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
        // By another process: what this one had open for writing, what other tests start would have open for a moment too.
        let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_zamctl")).arg(&program).status().unwrap();
        assert!(copied.success());
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
