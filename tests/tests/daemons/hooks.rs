//! Hooks: what runs before and after snapshots, whatever becomes of it.

use crate::world::{QUICK, TREE, World, all_held, wait_for};
use std::{collections::BTreeSet, fs};

/// Ticks of a second over all of `tank`; `tank/home` has the hook.
fn world(script: &str, keys: &str) -> World {
    let hooked = format!(
        "[[managed-datasets]]\n    source = \"tank/home\"\n    recursive = false\n    hook = {{ name = \"db\", {keys} }}"
    );
    // None of it ages while the test runs.
    let quick = QUICK.replace("max-age = \"4s\"", "max-age = \"10m\"");
    let mut world = World::new(TREE, &format!("{quick}\n    {hooked}"));
    world.hook(script);
    world.start("snap");
    world
}

fn lines(world: &World) -> Vec<String> {
    fs::read_to_string(world.path("log")).unwrap_or_default().lines().map(str::to_owned).collect()
}

fn problems(world: &World) -> String {
    world.row("tank/home").map(|row| row["why"].to_string()).unwrap_or_default()
}

#[test]
fn each_snapshot_of_its_entry_lies_between_before_and_after() {
    // What it prepares is not there before it has done so, and is there when it may stop: by the name that nothing else has.
    let there = "grep -rqF \"$ZAM_SNAPSHOT\" $own/pools";
    let script = format!(
        "echo \"$1 $ZAM_SNAPSHOT $ZAM_DATASETS\" >>$own/log; \
         case $1-$ZAM_SNAPSHOT in before-zam-manual*) sleep 0.3; ! {there};; after-zam-manual*) {there};; esac || echo $1 >>$own/wrong"
    );
    let mut world = world(&script, "timeout = \"10s\"");
    wait_for("some snapshots", || world.count("tank/home") >= 3 && world.count("tank/vm") >= 3);
    let said = world.say(&["snapshot", "tank/home"]);
    assert!(said.contains("took tank/home@zam-manual-"), "{said}");
    wait_for("the end of the last", || world.dataset("tank/home").snapshots.len() * 2 <= lines(&world).len());
    assert!(world.end("snap", "-TERM"));
    wait_for("its end", || lines(&world).len().is_multiple_of(2));
    let lines = lines(&world);
    for pair in lines.chunks(2) {
        assert!(pair[0].starts_with("before zam-") && pair[0].ends_with(" tank/home"), "{lines:?}");
        assert_eq!(pair[1].strip_prefix("after"), pair[0].strip_prefix("before"), "{lines:?}");
    }
    assert!(!world.path("wrong").exists(), "{:?}", fs::read_to_string(world.path("wrong")));
    let run: BTreeSet<&str> = lines.iter().filter_map(|line| line.split(' ').nth(1)).collect();
    let home = world.dataset("tank/home");
    assert!(home.snapshots.iter().all(|snapshot| run.contains(snapshot.tag.as_str())), "{run:?}");
    assert!(all_held(&home));
    assert!(world.say(&["explain", "tank/home"]).contains("db before and after, at most 10s each"));
}

#[test]
fn a_hook_that_hangs_costs_others_no_tick_and_its_own_the_snapshot() {
    let world = world(
        "echo $1 >>$own/log; [ $1 = after ] || while [ -e $0 ]; do sleep 0.1; done",
        "timeout = \"3s\", on-failure = \"skip\"",
    );
    wait_for("what became of it", || problems(&world).contains("which is not taken: it did not end within 3 s"));
    // Two at least while it hung.
    assert!(world.count("tank/vm") >= 2 && world.count("tank/home") == 0);
    wait_for("after", || lines(&world).starts_with(&["before".to_owned(), "after".to_owned()]));
    let asked = world.zamctl(&["snapshot", "tank/home"]);
    assert!(!asked.status.success() && world.count("tank/home") == 0, "{asked:?}");
}

#[test]
fn what_is_taken_unprepared_is_known_until_the_hook_goes_well() {
    let world = world("echo $1 >>$own/log; [ -e $own/well ] || exit 7", "on-failure = \"take\"");
    wait_for("a snapshot all the same", || world.count("tank/home") >= 1);
    wait_for("a word about it", || problems(&world).contains("taken all the same: exit status: 7"));
    let first = world.dataset("tank/home").snapshots[0].tag.clone();
    let explain = |world: &World, tag: &str| world.say(&["explain", &format!("tank/home@{tag}")]);
    wait_for("the note", || explain(&world, first.as_str()).contains("not prepared: the hook db failed before @zam-"));
    fs::write(world.path("well"), "").unwrap();
    wait_for("that it is well again", || !problems(&world).contains("hook"));
    let last = world.dataset("tank/home").snapshots.last().unwrap().tag.clone();
    assert!(!explain(&world, last.as_str()).contains("not prepared"));
}

#[test]
fn after_runs_though_zamd_snap_is_killed_and_a_hook_that_is_not_there_is_told() {
    let mut world = world(
        "echo $1 >>$own/log; until [ -e $own/go ]; do sleep 0.1; done",
        "timeout = \"1m\", on-failure = \"skip\"",
    );
    wait_for("before", || lines(&world) == ["before"]);
    world.end("snap", "-KILL");
    fs::write(world.path("go"), "").unwrap();
    wait_for("after", || lines(&world) == ["before", "after"]);
    world.end("hook", "-KILL");
    world.start("snap");
    wait_for("that nobody answers", || problems(&world).contains("systemctl enable --now zam-hook@db.socket"));
    assert_eq!(world.count("tank/home"), 0);
}
