use crate::world::{QUICK, TREE, World, wait_for};
use serde_json::Value;
use std::fs;

/// What `zamctl alerts --json` says, as `kind about`.
fn alarms(world: &World) -> Vec<String> {
    let all = world.json(&["alerts", "--json"]);
    let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    all.as_array().unwrap().iter().map(|row| format!("{} {}", text(row, "kind"), text(row, "about"))).collect()
}

fn has(world: &World, alarm: &str) -> bool {
    alarms(world).iter().any(|one| one == alarm)
}

fn code(world: &World, words: &[&str]) -> Option<i32> {
    world.zamctl(words).status.code()
}

fn login(world: &World) -> String {
    fs::read_to_string(world.path("run/watch/login/alarms")).unwrap_or_default()
}

/// Three daemons, and all is well.
fn watched(config: &str) -> World {
    let mut world = World::running(TREE, config);
    world.start("watch");
    wait_for("a tick", || world.count("tank/home") > 0);
    wait_for("that all is well", || alarms(&world).is_empty() && login(&world).is_empty());
    world
}

#[test]
fn a_daemon_that_is_gone_is_heard_and_so_is_what_it_leaves_undone_and_both_end() {
    let mut world = watched(QUICK);
    assert_eq!(code(&world, &["alerts"]), Some(0));
    world.end("snap", "-KILL");
    wait_for("the alarms", || has(&world, "down zamd-snap") && has(&world, "stale tank/home"));
    assert_eq!(code(&world, &["alerts"]), Some(3));
    assert_eq!(code(&world, &["health"]), Some(2));
    wait_for("what log-in shells say", || login(&world).contains("tank/home: no good snapshot for"));
    assert!(world.log("watch").contains("critical: zamd-snap: zamd-snap does not answer"), "the journal has it");
    world.start("snap");
    wait_for("the end of all alarms", || alarms(&world).is_empty() && login(&world).is_empty());
    assert_eq!(code(&world, &["health"]), Some(0));
    assert!(world.log("watch").contains("over: "), "and the end");
}

#[test]
fn alarms_outlive_a_restart_and_what_is_known_stays_known() {
    let mut world = watched(QUICK);
    world.end("snap", "-KILL");
    wait_for("the alarm", || has(&world, "stale tank/home") && has(&world, "down zamd-snap"));
    let since = |world: &World| {
        let all = world.json(&["alerts", "--json"]);
        let stale = all.as_array().unwrap().iter().find(|row| row["about"] == "tank/home").cloned().unwrap();
        (stale["since"].clone(), stale["known"].clone())
    };
    let before = since(&world);
    assert_eq!(before.1, false);
    world.end("watch", "-KILL");
    assert_eq!(code(&world, &["health"]), Some(3), "nobody answers");
    world.start("watch");
    assert_eq!(since(&world), before);
    wait_for("all stale datasets", || alarms(&world).len() == 5);
    assert!(world.say(&["alerts", "--ack", "--all"]).contains("5 new alarms"));
    assert_eq!((code(&world, &["alerts"]), since(&world).1), (Some(0), true.into()));
    wait_for("silence at log-in", || login(&world).is_empty());
    world.end("watch", "-KILL");
    world.start("watch");
    assert_eq!(since(&world), (before.0, true.into()));
}

#[test]
fn what_one_user_knows_is_told_to_the_others() {
    let mut world = watched(QUICK);
    world.end("snap", "-TERM");
    wait_for("the alarms", || alarms(&world).len() == 5);
    world.say(&["alerts", "--ack"]);
    assert_eq!(code(&world, &["alerts"]), Some(0));
    assert!(fs::read_to_string(world.path("data/zam/alerts-before")).unwrap().trim().parse::<u64>().is_ok());
    assert!(!login(&world).is_empty(), "others are told");
    assert_eq!(code(&world, &["health"]), Some(2));
    fs::remove_file(world.path("data/zam/alerts-before")).unwrap();
    assert_eq!(code(&world, &["alerts"]), Some(3));
}

#[test]
fn a_unit_that_failed_is_told_with_the_end_of_its_log() {
    let world = watched(QUICK);
    fs::create_dir_all(world.path("state/watch/failed")).unwrap();
    fs::write(world.path("state/watch/failed/zamd-prune.service"), "first\nkilled by signal 9\n").unwrap();
    wait_for("the alarm", || has(&world, "failed zamd-prune.service"));
    let text = world.say(&["alerts"]);
    assert!(text.contains("killed by signal 9") && text.contains("journalctl -u zamd-prune.service"), "{text}");
    assert_eq!(code(&world, &["health"]), Some(1));
}

#[test]
fn a_pool_that_is_away_is_told_once_and_not_for_each_dataset() {
    let world = watched(QUICK);
    world.admin("exported tank");
    let own = ["stale", "trouble"].map(|kind| format!("{kind} tank/home"));
    wait_for("the pool's alarm", || has(&world, "pool tank"));
    assert!(own.iter().all(|alarm| !has(&world, alarm)), "{:?}", alarms(&world));
    world.admin("exported tank off");
    wait_for("its end", || alarms(&world).is_empty());
}

#[test]
fn a_copy_that_does_not_come_about_is_told_by_destination() {
    let config = QUICK.replace(
        "prune-period",
        "replication-period = \"1s\"\ndestinations = [{ remote-host = \"olympus\", stale-after = \"3s\" }]\nprune-period",
    );
    let mut world = World::running(TREE, &config);
    world.ssh("exit 255\n");
    world.start("send");
    world.start("watch");
    wait_for("the copy's alarm", || has(&world, "behind tank/home"));
    let all = world.json(&["alerts", "--json"]);
    let behind = all.as_array().unwrap().iter().find(|row| row["kind"] == "behind").unwrap();
    assert_eq!(behind["place"], "olympus");
    assert!(behind["todo"].as_str().unwrap().contains("zamctl replicate tank --to olympus"), "{behind}");
}

#[test]
fn a_config_that_was_refused_is_told_until_it_is_mended() {
    let world = watched(QUICK);
    world.configure("managed-datasets = 3");
    for role in ["snap", "watch"] {
        world.signal(role, "-HUP");
    }
    wait_for("the alarms", || has(&world, "config zamd-snap") && has(&world, "config zamd-watch"));
    world.configure(QUICK);
    for role in ["snap", "watch"] {
        world.signal(role, "-HUP");
    }
    wait_for("their end", || alarms(&world).is_empty());
}
