use crate::world::{QUICK, TREE, World, wait_for};
use std::{
    process::Command,
    thread::sleep,
    time::{Duration, SystemTime},
};

fn problems(world: &World, dataset: &str) -> String {
    world.row(dataset).map(|row| row.to_string()).unwrap_or_default()
}

#[test]
fn a_denied_dataset_costs_the_others_nothing_and_is_named() {
    let pools = "
        pool tank
        create tank/good tank/denied
        allow zam-snap both snapshot,hold,release tank/good
        allow zam-snap local snapshot,hold,release tank
        allow zam-prune descendent destroy,mount tank
    ";
    let world = World::running(pools, QUICK);
    wait_for("the others' snapshots", || world.count("tank/good") >= 2 && world.count("tank") >= 2);
    assert_eq!(world.count("tank/denied"), 0);
    wait_for("the status to say so", || problems(&world, "tank/denied").contains("permission denied"));
    assert!(!problems(&world, "tank/good").contains("denied"));
    // Mended, the next tick takes it.
    world.admin("allow zam-snap local snapshot,hold,release tank/denied");
    wait_for("its snapshot", || world.count("tank/denied") >= 1);
    wait_for("the status to be well again", || !problems(&world, "tank/denied").contains("permission denied"));
}

#[test]
fn a_full_pool_says_so_and_gets_its_snapshots_once_there_is_room() {
    let world = World::running(TREE, QUICK);
    world.wait_for_a_tick("tank/home");
    world.admin("full tank");
    wait_for("the status to say so", || problems(&world, "tank/home").contains("out of space"));
    world.admin("full tank off");
    world.wait_for_a_tick("tank/home");
    wait_for("the status to be well again", || !problems(&world, "tank/home").contains("out of space"));
}

#[test]
fn an_exported_pool_comes_back_by_itself_and_another_never_notices() {
    let pools = format!("{TREE}\npool other\ncreate other/data\nallow zam-snap both snapshot,hold,release other\n");
    let config = format!(
        "{QUICK}\n[[managed-datasets]]\nsource = \"other/data\"\nsnapshot-period = \"1s\"\nwindows = [{{ period = \"1s\" }}]\n"
    );
    let world = World::running(&pools, &config);
    world.wait_for_a_tick("tank/home");
    world.admin("exported tank");
    wait_for("the status to say so", || problems(&world, "tank").contains("not imported"));
    world.wait_for_a_tick("other/data");
    world.admin("exported tank off");
    world.wait_for_a_tick("tank/home");
}

#[test]
fn a_dataset_that_is_made_later_is_found_as_soon_as_its_entry_wants_it() {
    let entry = "[[managed-datasets]]\nsource = \"tank/later\"\nsnapshot-period = \"1s\"\nprune-period = \"1d\"\n";
    let other = "[[managed-datasets]]\nsource = \"tank/home\"\nsnapshot-period = \"1d\"\nprune-period = \"1d\"\n";
    let world = World::running(TREE, &format!("clock = \"trust\"\n{other}{entry}"));
    wait_for("the status to say so", || problems(&world, "tank/later").contains("no such dataset"));
    wait_for("the other's", || world.count("tank/home") > 0);
    world.admin("create tank/later");
    world.wait_for_a_tick("tank/later");
}

#[test]
fn a_suspended_pool_does_not_stop_another() {
    let pools = format!("{TREE}\npool other\ncreate other/data\nallow zam-snap both snapshot,hold,release other\n");
    let config = format!(
        "{QUICK}\n[[managed-datasets]]\nsource = \"other/data\"\nsnapshot-period = \"1s\"\nwindows = [{{ period = \"1s\" }}]\n"
    );
    let world = World::running(&pools, &config);
    world.wait_for_a_tick("tank/home");
    world.admin("suspended tank");
    world.wait_for_a_tick("other/data");
    world.wait_for_a_tick("other/data");
    wait_for("the status to say so", || problems(&world, "tank/home").contains("suspended"));
    world.admin("suspended tank off");
    world.wait_for_a_tick("tank/home");
}

#[test]
fn a_renamed_dataset_is_told_with_the_line_to_change() {
    let config = QUICK.replace("source = \"tank\"", "source = \"tank/home\"");
    let world = World::running(TREE, &config);
    world.wait_for_a_tick("tank/home");
    wait_for("the notes", || std::fs::read_to_string(world.path("state/snap/notes.json")).is_ok());
    world.admin("rename tank/home tank/people");
    wait_for("the status to say so", || problems(&world, "tank/home").contains("source = \\\"tank/people\\\""));
    assert!(problems(&world, "tank/home").contains("zam.toml:"));
    assert!(world.count("tank/people") > 0, "nothing is lost");
}

#[test]
fn a_bad_config_is_refused_and_the_old_one_stays() {
    let world = World::running(TREE, QUICK);
    world.wait_for_a_tick("tank/home");
    world.configure("clock = \"trust\"\n[[managed-datasets]]\nsuorce = \"tank\"\n");
    world.signal("snap", "-HUP");
    wait_for("the refusal", || world.say(&["status"]).contains("suorce") || world.log("snap").contains("suorce"));
    world.wait_for_a_tick("tank/home");
    // Positive control: a good one is taken.
    world.configure(&QUICK.replace("exclude = [\"cache\"]", ""));
    let check = world.say(&["check"]);
    assert!(check.contains("zamd-snap still runs by") && check.contains("suorce"), "{check}");
    world.signal("snap", "-HUP");
    wait_for("a snapshot of what was excluded", || world.count("tank/cache") > 0);
}

#[test]
fn doctor_finds_who_runs_by_an_older_config() {
    let world = World::running(TREE, QUICK);
    let older = || {
        let report = world.json(&["doctor", "--json"]);
        let findings = report["findings"].as_array().unwrap().iter();
        findings
            .filter(|finding| finding["check"] == "reload")
            .map(|finding| finding["commands"][0].to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(older(), Vec::<String>::new());
    let file = std::fs::File::options().append(true).open(world.path("zam.toml")).unwrap();
    file.set_modified(SystemTime::now() + Duration::from_secs(2)).unwrap();
    assert_eq!(older(), ["\"systemctl reload zamd-snap\"", "\"systemctl reload zamd-prune\""]);
    wait_for("the reload that it asks for", || {
        world.signal("snap", "-HUP");
        world.signal("prune", "-HUP");
        older().is_empty()
    });
}

#[test]
fn a_worker_that_dies_is_replaced() {
    let world = World::running(TREE, QUICK);
    world.wait_for_a_tick("tank/home");
    let parent = world.pid("snap").to_string();
    assert!(Command::new("pkill").args(["-KILL", "-P", &parent]).status().unwrap().success());
    world.wait_for_a_tick("tank/home");
    world.wait_for_a_tick("tank/home");
}

#[test]
fn nothing_dies_while_the_clock_is_behind_the_newest_snapshot() {
    let pools = format!("{TREE}\nsnapshot tank/home@zam-20990101T000000Z\n");
    // The first look comes when much has expired already, which the brake would stop.
    let world = World::running(&pools, &QUICK.replace("grace", "brake = 100\n    grace"));
    wait_for("some snapshots", || world.count("tank/vm") >= 8);
    sleep(Duration::from_secs(8));
    assert!(!world.log("prune").contains("op=\"destroy\"") && !world.log("snap").contains("op=\"release\""));
    // Positive control: without it, they do.
    // zamd-snap held it, as it holds all that policy keeps.
    world.admin("release zam tank/home@zam-20990101T000000Z\ndestroy tank/home@zam-20990101T000000Z");
    wait_for("the first death", || world.log("prune").contains("op=\"destroy\""));
}

#[test]
fn notes_that_cannot_be_read_are_put_aside_and_the_grace_begins_anew() {
    let mut world = World::running(TREE, QUICK);
    wait_for("the first death", || world.log("prune").contains("op=\"destroy\""));
    world.end("prune", "-TERM");
    std::fs::write(world.path("state/prune/notes.json"), "{ torn").unwrap();
    world.start("prune");
    wait_for("the status to say so", || world.say(&["status"]).contains("notes"));
    assert!(world.log("prune").contains("NOTES LOST"));
}
