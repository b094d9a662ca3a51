//! What tasks wait for, on a machine of the test's own.

use crate::{
    sending::{CONFIG, POOLS, copy, has, take},
    world::{QUICK, TREE, World, wait_for},
};

fn waits_for(world: &World, dataset: &str) -> String {
    world.row(dataset).map(|row| row["waits_for"].to_string()).unwrap_or_default()
}

/// Snapshots that wait for this, on a machine that runs on battery.
fn snapshots(when: &str) -> (World, impl Fn(&World, &str)) {
    let config = |when: &str| QUICK.replace("grace =", &format!("run-when.snapshots = {{ {when} }}\n    grace ="));
    let mut world = World::new(TREE, &config(when));
    world.machine("Discharging");
    world.start("snap");
    let change = move |world: &World, when: &str| {
        world.configure(&config(when));
        world.signal("snap", "-HUP");
    };
    (world, change)
}

#[test]
fn snapshots_wait_for_power_and_rest_and_hours_and_are_not_missed_by_anybody() {
    let (world, change) = snapshots("ac-power = true, at-latest = \"1d\"");
    wait_for("what it waits for", || waits_for(&world, "tank/home").contains("on battery; at the latest "));
    let row = world.row("tank/home").unwrap();
    assert_eq!((world.count("tank/home"), &row["need"]), (0, &"fine".into()), "{row}");
    let explained = world.say(&["explain", "tank/home"]);
    assert!(
        explained.contains("only not on battery; at the latest 1d after the last (now waits: on battery"),
        "{explained}"
    );
    // By hand it is taken at once.
    world.say(&["snapshot", "tank/home"]);
    assert_eq!(world.count("tank/home"), 1);
    world.machine("Charging");
    world.wait_for_a_tick("tank/home");

    change(&world, "idle = \"1h\"");
    wait_for("that it is in use", || {
        waits_for(&world, "tank/home").contains("in use, idle for 1h wanted; at the latest ")
    });
    change(&world, "idle = \"1s\"");
    world.wait_for_a_tick("tank/home");

    // Two minutes that are not now, whenever that is.
    let hour = (jiff::Timestamp::now().as_second() / 3600 + 12) % 24;
    change(&world, &format!("between = \"{hour:02}:00-{hour:02}:02\""));
    wait_for("the hours", || waits_for(&world, "tank/home").contains("until 20"));
    assert!(waits_for(&world, "tank/home").contains(&format!(" {hour:02}:00")));
}

#[test]
fn snapshots_wait_no_longer_than_their_limit() {
    let (world, _) = snapshots("ac-power = true, at-latest = \"2s\"");
    wait_for("some all the same", || world.count("tank/home") >= 3);
    // By their names: the limit counts by those.
    let date = |s: &zam_names::Snapshot| zam_policy::judge::claimed_date("zam", &s.tag, s.creation).0;
    let dates: Vec<i64> = world.dataset("tank/home").snapshots.iter().map(date).collect();
    assert!(dates.windows(2).all(|two| two[1] - two[0] >= 2), "{dates:?}");
}

#[test]
fn what_is_sent_waits_for_power_and_an_absent_replica_is_no_failure_before_the_limit() {
    let config = |when: &str| {
        CONFIG.replace(
            "windows = [ { period = \"1h\" } ]",
            &format!("windows = [ {{ period = \"1h\" }} ]\n    run-when.replication = {{ {when} }}"),
        )
    };
    let mut world = World::new(POOLS, &config("ac-power = true"));
    world.machine("Discharging");
    world.ssh("receive");
    let first = take(&world, &["tank/vm"], 10);
    world.start("recv");
    world.start("send");
    wait_for("what it waits for", || copy(&world, "tank/vm").to_string().contains("on battery; at the latest "));
    assert!(!has(&world, "nas/zam/olympus/tank/vm", &first));
    world.machine("Full");
    wait_for("the copy", || has(&world, "nas/zam/olympus/tank/vm", &first));

    world.ssh("echo \"ssh: connect to host $host: No route to host\" >&2; exit 255");
    world.configure(&config("reachable = true"));
    world.signal("send", "-HUP");
    take(&world, &["tank/vm"], 0);
    wait_for("that it is away", || copy(&world, "tank/vm")["waits_for"].to_string().contains("No route"));
    let row = copy(&world, "tank/vm");
    assert_eq!((&row["need"], &row["problems"]), (&"fine".into(), &serde_json::json!([])), "{row}");
    // What somebody asked for has failed.
    assert!(!world.zamctl(&["replicate", "tank/vm", "--wait"]).status.success());

    world.configure(&config("reachable = true, at-latest = \"1s\""));
    world.signal("send", "-HUP");
    let failed = || {
        world.zamctl(&["replicate", "tank/vm", "--wait"]);
        copy(&world, "tank/vm")["problems"].to_string().contains("No route")
    };
    wait_for("that it is a failure now", failed);
}
