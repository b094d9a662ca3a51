use crate::world::{QUICK, TREE, World, wait_for};
use zam_names::{HOLD_TAG, KEEP_TAG};

/// Snapshots by the day, so that only what is asked for happens.
const SLOW: &str = r#"
    clock = "trust"
    [[managed-datasets]]
    source = "tank"
    recursive = true
    snapshot-period = "1d"
    prune-period = "1s"
    grace = "1d"
    windows = [ { max-age = "2d", period = "1d" } ]
"#;

fn newest(world: &World, dataset: &str) -> String {
    format!("{dataset}@{}", world.dataset(dataset).snapshots.last().unwrap().tag)
}

#[test]
fn a_snapshot_by_hand_is_held_and_ends_when_both_keys_know() {
    let world = World::running(TREE, SLOW);
    wait_for("the first tick", || world.count("tank/home") == 1);
    let said = world.say(&["snapshot", "tank/home", "--name", "before", "--for", "1h"]);
    assert!(said.contains("took tank/home@before"), "{said}");
    let taken = world.dataset("tank/home").snapshots.into_iter().find(|s| s.tag.as_str() == "before").unwrap();
    assert!(taken.is_held_by(HOLD_TAG));
    for role in ["snap", "prune"] {
        let notes = std::fs::read_to_string(world.path(&format!("state/{role}/notes.json"))).unwrap();
        assert!(notes.contains(&format!("\"manual\":{{\"{}\":", taken.guid)), "{role}: {notes}");
    }
    assert_eq!(
        world.zamctl(&["snapshot", "tank/home", "--name", "before"]).status.code(),
        Some(1),
        "the name is taken"
    );
    assert_eq!(world.zamctl(&["snapshot", "nopool/x"]).status.code(), Some(1), "not managed");
}

#[test]
fn keep_pins_and_unkeep_lets_go() {
    let world = World::running(TREE, SLOW);
    wait_for("the first tick", || world.count("tank/home") == 1);
    let name = newest(&world, "tank/home");
    world.say(&["keep", &name, "--why", "to look at"]);
    assert!(world.dataset("tank/home").snapshots[0].is_held_by(KEEP_TAG));
    assert!(world.say(&["explain", &name]).contains("to look at"));
    world.say(&["unkeep", &name]);
    assert!(!world.dataset("tank/home").snapshots[0].is_held_by(KEEP_TAG));
}

#[test]
fn expire_is_asked_of_both_keys_and_prune_now_skips_the_grace() {
    let world = World::running(TREE, SLOW);
    wait_for("the first tick", || world.count("tank/home") == 1);
    world.say(&["snapshot", "tank/home"]);
    let manual = newest(&world, "tank/home");
    world.say(&["snapshot", "tank/home", "--name", "newer"]);
    world.say(&["expire", &manual]);
    wait_for("the release", || {
        world.dataset("tank/home").snapshots.iter().any(|s| manual.ends_with(s.tag.as_str()) && s.holds.is_empty())
    });
    assert_eq!(world.count("tank/home"), 3, "the grace is a day");
    // zamd-prune has to have seen it released.
    wait_for("the death", || {
        world.say(&["prune", "tank/home", "--now"]);
        world.count("tank/home") == 2
    });
    world.admin("snapshot tank/home@by-hand");
    let refused = world.zamctl(&["expire", "tank/home@by-hand"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("zam did not make"), "{refused:?}");
}

#[test]
fn unhold_pauses_and_releases_and_its_undo_holds_again() {
    let world = World::running(TREE, QUICK);
    world.wait_for_a_tick("tank/home");
    let unheld = world.zamctl(&["unhold", "tank/home", "-r"]);
    if std::process::Command::new("id").arg("-u").output().unwrap().stdout != b"0\n" {
        assert_eq!(unheld.status.code(), Some(4), "root alone may");
        return;
    }
    assert!(unheld.status.success(), "{unheld:?}");
    assert!(world.dataset("tank/home").snapshots.iter().all(|s| s.holds.is_empty()));
    let count = world.count("tank/home");
    world.wait_for_a_tick("tank/vm");
    world.wait_for_a_tick("tank/vm");
    assert!(world.count("tank/home") <= count, "paused");
    world.say(&["unhold", "tank/home", "-r", "--undo"]);
    world.wait_for_a_tick("tank/home");
}

#[test]
fn a_narrowed_window_waits_for_approval() {
    let wide = QUICK.replace(
        r#"{ max-age = "4s", period = "1s" }, { max-age = "1h", period = "10s" }"#,
        r#"{ max-age = "1h", period = "1s" }"#,
    );
    let world = World::running(TREE, &wide);
    wait_for("some history", || world.count("tank/home") >= 10);
    let narrow = wide.replace("max-age = \"1h\"", "max-age = \"3s\"");
    world.configure(&narrow);
    world.signal("snap", "-HUP");
    world.signal("prune", "-HUP");
    wait_for("the brake", || world.say(&["status"]).contains("--approve"));
    let count = world.count("tank/home");
    world.wait_for_a_tick("tank/home");
    assert!(world.count("tank/home") >= count && !world.log("prune").contains("op=\"destroy\""));
    let status = world.say(&["status"]);
    let plan =
        status.split("--approve ").nth(1).unwrap().split(|c: char| !c.is_ascii_hexdigit()).next().unwrap().to_owned();
    assert_eq!(world.zamctl(&["prune", "--approve", "0000000000000bad"]).status.code(), Some(1), "another plan");
    world.say(&["prune", "--approve", &plan]);
    wait_for("the thinning", || world.count("tank/home") < 10 && world.log("prune").contains("op=\"destroy\""));
}

#[test]
fn without_daemons_zamctl_says_so_and_still_plans() {
    let world = World::new(TREE, QUICK);
    let status = world.zamctl(&["status"]);
    assert_eq!(status.status.code(), Some(5));
    assert!(world.say(&["plan"]).contains("tank/home"));
}
