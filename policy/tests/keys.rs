//! What the two keys do to one dataset: vetoes, grace, brake, silence, notes that are lost.
#![allow(missing_docs, clippy::unwrap_used)]

mod world;

use pretty_assertions::assert_eq;
use world::{World, at, entry};
use zam_names::{Guid, HOLD_TAG, UnixTime};
use zam_policy::{
    assess::{Next, Veto},
    notes::DatasetNotes,
};

const HOUR: i64 = 3600;
const TEN_DAYS: &str = "snapshot-period = \"1h\"\nwindows = [{ max-age = \"10d\", period = \"1h\" }]";
const ONE_DAY: &str = "snapshot-period = \"1h\"\nwindows = [{ max-age = \"1d\", period = \"1h\" }]";

/// Hourly snapshots for so many hours, with both keys at work.
fn after(keys: &str, hours: usize) -> World {
    let mut world = World::new(entry("UTC", keys), at("2026-01-01T00:00:00Z"));
    live(&mut world, hours);
    world
}

fn live(world: &mut World, hours: usize) {
    for _ in 0..hours {
        world.take();
        world.keys();
        world.now = world.now.plus(HOUR);
    }
}

fn next(world: &World, guid: Guid) -> Next {
    let index = world.dataset.snapshots.iter().position(|s| s.guid == guid).unwrap();
    world.assess(&world.prune).next(index)
}

#[test]
fn a_snapshot_dies_a_grace_after_both_keys_agree() {
    let world = after(TEN_DAYS, 24 * 13);
    // Ten days of windows and one of grace.
    assert_eq!(world.dataset.snapshots.len(), 24 * 11);
    let held = world.dataset.snapshots.iter().filter(|s| s.is_held_by(HOLD_TAG)).count();
    assert_eq!(held, 24 * 10);
}

#[test]
fn one_key_alone_destroys_nothing() {
    let mut world = after(TEN_DAYS, 24 * 9);
    let count = world.dataset.snapshots.len();
    // The first key gone mad releases everything: the second goes by policy, not by the missing hold.
    for guid in world.dataset.snapshots.iter().map(|s| s.guid).collect::<Vec<_>>() {
        world.unhold(guid, HOLD_TAG);
    }
    for _ in 0..48 {
        world.now = world.now.plus(60);
        assert_eq!(world.second_key(), []);
    }
    assert_eq!(world.dataset.snapshots.len(), count);
    // The first key mended holds again what it must.
    world.first_key();
    assert!(world.dataset.snapshots.iter().all(|s| s.is_held_by(HOLD_TAG)));
}

#[test]
fn a_wrong_window_can_be_taken_back_for_a_day_with_all_that_it_expired() {
    let mut world = after(TEN_DAYS, 24 * 9);
    let before = world.clone();
    world.entry = entry("UTC", &format!("{ONE_DAY}\nbrake = 100"));
    live(&mut world, 23);
    assert!(world.dataset.snapshots.iter().filter(|s| s.holds.is_empty()).count() > 100, "released by the wrong rule");
    world.entry = before.entry.clone();
    world.keys();
    assert_eq!(world.graves.len(), before.graves.len(), "nothing died of the wrong rule");
    assert!(world.dataset.snapshots.iter().all(|s| s.is_held_by(HOLD_TAG)), "all is held again");
    // Positive control: left in force for more than the grace, the same rule kills.
    let mut world = before;
    world.entry = entry("UTC", &format!("{ONE_DAY}\nbrake = 100"));
    live(&mut world, 26);
    assert!(world.graves.len() > 100);
}

#[test]
fn a_rule_that_comes_back_finds_no_old_grace() {
    let narrow = format!("{ONE_DAY}\nbrake = 100");
    let mut world = after(TEN_DAYS, 24 * 6);
    let wide = world.entry.clone();
    world.entry = entry("UTC", &narrow);
    live(&mut world, 3);
    world.entry = wide;
    live(&mut world, 24 * 2);
    let died = world.graves.len();
    world.entry = entry("UTC", &narrow);
    live(&mut world, 23);
    assert_eq!(world.graves.len(), died, "the grace began with the rule's return");
    live(&mut world, 3);
    assert!(world.graves.len() > died, "and ended a day later");
}

#[test]
fn fewer_of_the_newest_is_a_death_that_nobody_foretold() {
    let keys = "silence = 0\nat-least = 200\nwindows = [{ max-age = \"1d\", period = \"1h\" }]";
    let mut world = after(keys, 24 * 6);
    world.entry = entry("UTC", &keys.replace("200", "1"));
    live(&mut world, 48);
    assert!(world.assess(&world.prune).brake.is_some() && world.graves.is_empty());
}

#[test]
fn the_brake_stops_deaths_that_nobody_foretold_until_they_are_approved() {
    let mut world = after(TEN_DAYS, 24 * 6);
    world.entry = entry("UTC", ONE_DAY);
    live(&mut world, 72);
    assert!(world.graves.is_empty(), "braked");
    let brake = world.assess(&world.prune).brake.unwrap();
    assert_eq!(world.assess(&world.snap).brake.map(|b| b.plan), Some(brake.plan), "both keys name the same plan");
    assert!(brake.unforetold > brake.allowed);
    let oldest = world.dataset.snapshots[0].guid;
    assert_eq!(next(&world, oldest), Next::Vetoed(vec![Veto::Braked(brake.plan)]));
    world.snap.approved = Some(brake.plan);
    world.prune.approved = Some(brake.plan);
    live(&mut world, 30);
    assert!(world.graves.len() > 180, "approved");
}

#[test]
fn what_the_accepted_rule_had_foretold_passes_the_brake() {
    let mut world = after(TEN_DAYS, 24 * 12);
    let dead = world.graves.len();
    world.entry = entry("UTC", ONE_DAY);
    live(&mut world, 23);
    assert_eq!(world.graves.len(), dead, "the grace begins anew under another rule");
    live(&mut world, 10);
    assert!(world.assess(&world.prune).brake.is_some());
    // The day's worth that waited, and one an hour since.
    assert_eq!(world.graves.len(), dead + 33, "the old rule's deaths go on");
}

#[test]
fn lost_notes_keep_more() {
    let mut world = after(TEN_DAYS, 24 * 12);
    let dead = world.graves.len();
    world.snap = DatasetNotes::default();
    world.prune = DatasetNotes::default();
    live(&mut world, 23);
    assert_eq!(world.graves.len(), dead, "the grace began anew");
    live(&mut world, 24);
    assert!(world.graves.len() > dead, "and then life goes on");
}

#[test]
fn the_first_look_judges_as_all_later_ones() {
    let keys = "windows = [{ max-age = \"6h\", period = \"10m\" }, { period = \"1w\" }]\nat-least = 0\ngrace = \"2h\"\nbrake = 100";
    let mut world = World::new(entry("UTC", keys), at("2026-05-28T20:26:40Z"));
    let pinned = world.take();
    world.hold(pinned, "mine");
    world.now = world.now.plus(5 * 60);
    let next = world.take();
    world.now = world.now.plus(6 * HOUR);
    world.take();
    world.keys();
    assert!(world.prune.expired.is_empty(), "what is pinned at a first look displaces nobody, then as later");
    live(&mut world, 3);
    assert!(world.lives(next));
}

#[test]
fn silence_does_not_kill() {
    let mut world = after(TEN_DAYS, 24 * 12);
    let dead = world.graves.len();
    for _ in 0..24 * 30 {
        world.now = world.now.plus(HOUR);
        world.keys();
    }
    // Three periods pass before it counts as silence, and what dies in them had its grace behind it.
    assert!(world.graves.len() <= dead + 4, "{} died in silence", world.graves.len() - dead);
    live(&mut world, 26);
    assert!(world.graves.len() > dead + 100, "a new snapshot ends the silence");
}

#[test]
fn thinning_goes_on_in_silence() {
    let keys = "snapshot-period = \"1h\"\nwindows = [{ max-age = \"1d\", period = \"1h\" }, { max-age = \"30d\", period = \"1d\" }]";
    let mut world = after(keys, 24 * 3);
    for _ in 0..24 * 4 {
        world.now = world.now.plus(HOUR);
        world.keys();
    }
    // One per day is left, and the newest.
    assert_eq!(world.dataset.snapshots.len(), 4);
}

#[test]
fn each_veto_holds_and_nothing_else_does() {
    let mut world = after(TEN_DAYS, 24);
    world.take();
    let guids: Vec<Guid> = world.dataset.snapshots.iter().map(|s| s.guid).collect();
    world.hold(guids[0], "mine");
    world.snapshot(guids[1]).clones = 1;
    world.snapshot(guids[2]).deferred = true;
    let foreign = world.appear("by-hand", world.now);
    world.unhold(foreign, HOLD_TAG);
    world.entry = entry("UTC", "silence = 0\nwindows = [{ max-age = \"10d\", period = \"1h\" }]\nbrake = 100");
    world.now = world.now.plus(86_400 * 30);
    world.keys();
    assert_eq!(next(&world, guids[0]), Next::Vetoed(vec![Veto::Held("mine".parse().unwrap())]));
    assert_eq!(next(&world, guids[1]), Next::Vetoed(vec![Veto::Clones(1)]));
    assert_eq!(next(&world, guids[2]), Next::Vetoed(vec![Veto::Marked]));
    assert_eq!(next(&world, *guids.last().unwrap()), Next::Vetoed(vec![Veto::NewestOfZam]));
    assert_eq!(next(&world, foreign), Next::Ignored);
    assert_eq!(next(&world, guids[5]), Next::Grace(Some(world.now.plus(86_400))));
    world.now = world.now.plus(86_400);
    world.second_key();
    assert!(!world.lives(guids[5]) && world.lives(guids[0]) && world.lives(guids[1]) && world.lives(guids[2]));
}

#[test]
fn a_manual_snapshot_ends_when_it_was_told_to_and_displaces_nobody() {
    let mut world = after(TEN_DAYS, 4);
    let manual = world.appear("zam-manual-20260101T040000Z", world.now);
    let named = world.appear("before-upgrade", world.now);
    for notes in [&mut world.snap, &mut world.prune] {
        notes.manual.insert(manual, None);
        notes.manual.insert(named, Some(world.now.plus(2 * 86_400)));
    }
    let honest = world.take();
    live(&mut world, 24 * 4);
    assert!(world.lives(manual) && !world.lives(named) && world.lives(honest));
    // Let go, by both keys, it goes too, after the grace.
    world.snap.let_go.insert(manual, world.now);
    live(&mut world, 30);
    assert!(world.lives(manual), "one key alone is not enough");
    world.prune.let_go.insert(manual, world.now);
    live(&mut world, 30);
    assert!(!world.lives(manual));
}

#[test]
fn without_hold_the_second_key_and_its_grace_decide() {
    let mut world = after(&format!("{TEN_DAYS}\nhold = false"), 24 * 12);
    assert!(world.dataset.snapshots.iter().all(|s| s.holds.is_empty()));
    assert_eq!(world.dataset.snapshots.len(), 24 * 11);
    world.now = UnixTime(0);
    assert_eq!(world.second_key(), [], "nothing has expired in the past");
}

#[test]
fn a_paused_dataset_is_left_alone() {
    let mut world = after(TEN_DAYS, 24 * 12);
    let count = world.dataset.snapshots.len();
    world.snap.paused = Some(world.now);
    world.prune.paused = Some(world.now);
    for _ in 0..24 * 5 {
        world.now = world.now.plus(HOUR);
        world.keys();
    }
    assert_eq!(world.dataset.snapshots.len(), count);
}
