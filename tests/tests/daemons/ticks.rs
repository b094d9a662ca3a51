use crate::world::{QUICK, TREE, World, all_held, wait_for};
use std::{collections::BTreeMap, thread::sleep, time::Duration};
use zam_names::HOLD_TAG;

#[test]
fn a_tick_takes_all_datasets_in_one_transaction_and_holds_them() {
    let world = World::running(TREE, &QUICK.replace("grace = \"2s\"", "grace = \"1d\""));
    wait_for("three ticks", || world.count("tank/vm") >= 3);
    let managed = world.managed("tank", "/cache");
    let first = |place: usize| -> Vec<_> { managed.iter().map(|d| d.snapshots[place].createtxg).collect() };
    for place in 0..3 {
        assert!(first(place).windows(2).all(|two| two[0] == two[1]), "one createtxg a tick");
    }
    assert_eq!(managed.len(), 4);
    assert!(managed.iter().all(|dataset| dataset.snapshots[..2].iter().all(|s| s.is_held_by(HOLD_TAG))));
    assert_eq!(world.count("tank/cache"), 0, "excluded");
}

#[test]
fn what_explain_foretells_is_what_happens() {
    let world = World::running(TREE, QUICK);
    wait_for("some snapshots", || world.count("tank/home") >= 5);
    // When each snapshot expires, as said while it lives.
    let mut foretold: BTreeMap<String, Option<i64>> = BTreeMap::new();
    let mut died = BTreeMap::new();
    for _ in 0..60 {
        let explained = world.json(&["explain", "tank/home", "--json"]);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
        let mut alive = Vec::new();
        for row in explained["snapshots"].as_array().unwrap() {
            let tag = row["snapshot"].as_str().unwrap().to_owned();
            let expires = row["expires"].as_str().map(|at| at.parse::<jiff::Timestamp>().unwrap().as_second());
            let known = *foretold.entry(tag.clone()).or_insert(expires);
            // Once it has expired, the notes' instant is shown: when that was first seen.
            if expires.is_none_or(|end| end > now) {
                assert_eq!(expires, known, "{tag}");
            }
            alive.push(tag);
        }
        for tag in foretold.keys().filter(|tag| !alive.contains(tag)) {
            died.entry(tag.clone()).or_insert(now);
        }
        if died.len() >= 12 {
            break;
        }
        sleep(Duration::from_millis(500));
    }
    assert!(died.len() >= 6, "{died:?}");
    for (tag, when) in died {
        // Two seconds of grace come after the end, and each key looks once a second.
        let end = foretold[&tag].unwrap_or_else(|| panic!("{tag} was to stay for ever"));
        assert!(when >= end + 2, "{tag} died at {when}, foretold for {end}");
    }
}

#[test]
fn thinning_leaves_one_a_period_and_what_is_young() {
    let world = World::running(TREE, QUICK);
    wait_for("a long enough history", || world.count("tank/home") >= 8);
    sleep(Duration::from_secs(25));
    let count = world.count("tank/home");
    // One in ten seconds of half a minute or so, the last four seconds, and what is in its grace.
    assert!((6..=20).contains(&count), "{count} snapshots");
    let log = world.log("prune");
    assert!(log.contains("destroy tank/home@zam-") && !log.contains("ERROR"), "{log}");
    assert!(!world.log("snap").contains("destroy"));
}

#[test]
fn a_dataset_made_later_is_taken_and_one_outside_is_not() {
    let world = World::running(TREE, QUICK);
    world.wait_for_a_tick("tank/home");
    world.admin("create tank/home/bob\ncreate tank/cache/deep\npool other\ncreate other/data");
    wait_for("the new dataset's snapshot", || world.count("tank/home/bob") > 0);
    assert_eq!((world.count("tank/cache/deep"), world.count("other/data")), (0, 0));
}

#[test]
fn the_first_key_gone_mad_makes_the_second_destroy_nothing_that_policy_keeps() {
    let keep = QUICK
        .replace(r#"{ max-age = "4s", period = "1s" }, { max-age = "1h", period = "10s" }"#, r#"{ period = "1s" }"#);
    let mut world = World::running(TREE, &keep);
    wait_for("some snapshots", || world.count("tank/home") >= 5);
    assert!(world.end("snap", "-TERM"), "zamd-snap ends well");
    let before = world.dataset("tank/home").snapshots;
    for snapshot in before.iter().filter(|s| s.is_held_by(HOLD_TAG)) {
        world.admin(&format!("release {HOLD_TAG} tank/home@{}", snapshot.tag));
    }
    sleep(Duration::from_secs(8));
    let after = world.dataset("tank/home").snapshots;
    assert_eq!(after.len(), before.len());
    let oldest = format!("tank/home@{}", before[0].tag);
    assert_eq!(world.zamctl(&["expire", &oldest]).status.code(), Some(5), "one key does not answer");
    // Back again, it holds what policy keeps.
    world.start("snap");
    wait_for("the holds", || all_held(&world.dataset("tank/home")));
    // Positive control: what both keys are asked to let go of does go.
    world.say(&["expire", &oldest]);
    wait_for("the death that both were asked for", || {
        !world.dataset("tank/home").snapshots.iter().any(|s| s.guid == before[0].guid)
    });
}

#[test]
fn daemons_that_are_killed_again_and_again_leave_nothing_unheld_and_kill_nothing_that_is_kept() {
    let keep = QUICK
        .replace(r#"{ max-age = "4s", period = "1s" }, { max-age = "1h", period = "10s" }"#, r#"{ period = "1s" }"#);
    let mut world = World::running(TREE, &keep);
    world.wait_for_a_tick("tank/home");
    let mut seen = world.dataset("tank/home").snapshots.len();
    for pause in [130, 470, 820, 1010, 1330] {
        sleep(Duration::from_millis(pause));
        for role in ["snap", "prune"] {
            world.end(role, "-KILL");
            world.start(role);
        }
        let now = world.count("tank/home");
        assert!(now >= seen, "{now} of {seen} are left");
        seen = now;
    }
    world.wait_for_a_tick("tank/home");
    wait_for("the holds", || {
        let dataset = world.dataset("tank/home");
        // The newest may be between its birth and its hold.
        dataset.snapshots.split_last().is_some_and(|(_, older)| older.iter().all(|s| s.is_held_by(HOLD_TAG)))
    });
    assert!(!world.log("prune").contains("op=\"destroy\""));
}
