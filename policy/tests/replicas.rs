//! What the two keys do to what arrived from elsewhere, where every date is a stranger's.
#![allow(missing_docs, clippy::unwrap_used)]

mod world;

use pretty_assertions::assert_eq;
use proptest::prelude::*;
use world::{World, at, replica};
use zam_names::{Guid, HOLD_TAG, QUARANTINE_TAG, UnixTime};
use zam_policy::{assess::Next, judge::Reason, notes::DatasetNotes};

const HOUR: i64 = 3600;
const HOURLY: &str = "keep = { hourly = 48 }\ngrace = \"2h\"";

fn new(keys: &str) -> World {
    World::new(replica("UTC", keys), at("2026-01-01T00:00:00Z"))
}

fn live(world: &mut World, hours: usize) -> Vec<Guid> {
    let mut arrived = Vec::new();
    for _ in 0..hours {
        arrived.push(world.arrive(world.now));
        world.keys();
        world.now = world.now.plus(HOUR);
    }
    arrived
}

fn judged(world: &World, guid: Guid) -> (Reason, Next) {
    let index = world.dataset.snapshots.iter().position(|s| s.guid == guid).unwrap();
    let seen = world.assess(&world.prune);
    (seen.verdicts[index].reason, seen.next(index))
}

#[test]
fn what_arrives_on_time_lives_as_if_it_were_taken_here() {
    let mut world = new(HOURLY);
    live(&mut world, 24 * 5);
    assert_eq!(world.dataset.snapshots.len(), 48 + 2);
}

#[test]
fn dates_in_the_future_displace_nobody_and_waiting_does_not_end_that() {
    let mut world = new(HOURLY);
    live(&mut world, 3);
    // A thief of the key sends one for each of the next hours, a minute before the honest ones.
    let forged: Vec<Guid> = (1..24).map(|hour| world.arrive(world.now.plus(hour * HOUR - 60))).collect();
    let before = world.now;
    let honest = live(&mut world, 40);
    assert!(honest.iter().all(|guid| world.lives(*guid)), "an honest snapshot lost its bucket");
    for guid in &forged {
        assert_eq!(judged(&world, *guid), (Reason::Quarantined, Next::Stays));
    }
    let put_aside: Vec<Guid> = world.prune.quarantined.iter().copied().collect();
    assert_eq!((put_aside.len(), world.snap.quarantined.len()), (forged.len(), forged.len()));
    // Without notes the hold says it.
    world.prune = DatasetNotes::default();
    world.snap = DatasetNotes::default();
    live(&mut world, 24 * 30);
    assert!(forged.iter().all(|guid| world.lives(*guid)) && world.now.since(before) > 86_400 * 30);
    // An operator ends it.
    for notes in [&mut world.snap, &mut world.prune] {
        notes.let_go.insert(forged[0], world.now);
    }
    world.unhold(forged[0], QUARANTINE_TAG);
    live(&mut world, 30);
    assert!(!world.lives(forged[0]) && world.lives(forged[1]));
}

#[test]
fn ten_minutes_are_no_future() {
    let mut world = new(HOURLY);
    let [near, far] = [600, 601].map(|ahead| world.arrive(world.now.plus(ahead)));
    world.keys();
    assert_eq!(judged(&world, near).0, Reason::Winner);
    assert_eq!(judged(&world, far).0, Reason::Quarantined);
    // The same on this host's own word is no matter.
    world.entry = world::entry("UTC", HOURLY);
    world.prune = DatasetNotes::default();
    world.unhold(far, QUARANTINE_TAG);
    assert!(matches!(judged(&world, far).0, Reason::Outdone { .. }));
}

#[test]
fn where_nobody_put_aside_the_first_look_finds_what_is_out_of_order() {
    let mut world = new(&format!("{HOURLY}\nbrake = 100"));
    world.arrive(world.now);
    let forged = world.appear("zam-20260102T000000Z", world.now);
    let mut honest = Vec::new();
    for _ in 0..48 {
        world.now = world.now.plus(HOUR);
        honest.push(world.arrive(world.now));
    }
    world.keys();
    assert_eq!(judged(&world, forged).0, Reason::Quarantined);
    live(&mut world, 1);
    assert!(honest[3..].iter().all(|guid| world.lives(*guid)));
    assert!(world.prune.quarantined.contains(&forged));
}

#[test]
fn a_date_before_its_predecessors_counts_as_that() {
    let mut world = new(HOURLY);
    let arrived = live(&mut world, 4);
    let late = world.arrive(UnixTime(0));
    let index = world.dataset.snapshots.len() - 1;
    let seen = world.assess(&world.prune);
    assert_eq!(seen.verdicts[index].date, seen.verdicts[index - 1].date);
    assert_eq!(judged(&world, late).0, Reason::Outdone { tier: 0, by: index - 1 });
    live(&mut world, 2);
    assert!(arrived.iter().all(|guid| world.lives(*guid)));
}

#[test]
fn a_source_that_fell_silent_loses_nothing_and_one_that_retired_ages() {
    let mut world = new(HOURLY);
    live(&mut world, 24 * 3);
    let idle = |world: &mut World| {
        for _ in 0..24 * 30 {
            world.now = world.now.plus(HOUR);
            world.keys();
        }
    };
    let mut retired = world.clone();
    retired.entry = replica("UTC", &format!("{HOURLY}\nretired = \"2026-01-04\""));
    idle(&mut world);
    // Three days of patience in which all may age.
    assert!(world.assess(&world.prune).silent);
    idle(&mut retired);
    assert_eq!(retired.dataset.snapshots.len(), 1, "the newest stays");
    let mut fresh = new("keep = { hourly = 480 }");
    live(&mut fresh, 24 * 3);
    idle(&mut fresh);
    assert_eq!(fresh.dataset.snapshots.len(), 24 * 3);
    assert!(fresh.dataset.snapshots.iter().all(|s| s.is_held_by(HOLD_TAG)));
}

/// Policies with one, two and three tiers.
fn policies() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just("keep = { hourly = 12 }"),
        Just("keep = { hourly = 12, daily = 3 }"),
        Just(
            "windows = [{ max-age = \"6h\", period = \"10m\" }, { max-age = \"1w\", period = \"6h\" }, { period = \"1w\" }]"
        ),
        Just("at-least = 3\nwindows = [{ max-age = \"2d\", period = \"1h\" }]"),
    ]
}

/// Minutes until the next one arrives, and how many minutes off its date is.
fn arrivals() -> impl Strategy<Value = Vec<(i64, i64)>> {
    let off = prop_oneof![6 => Just(0_i64), 1 => -9..9_i64, 1 => -10_000..0_i64, 1 => 0..10_000_i64];
    proptest::collection::vec((prop_oneof![8 => 5_i64..200, 1 => 200_i64..20_000], off), 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn losing_notes_on_a_replica_keeps_at_least_as_much(
        policy in policies(), arrivals in arrivals(), lost in 1_usize..80, which in 0_u8..3,
    ) {
        let play = |lose: bool| {
            let mut world = new(&format!("{policy}\ngrace = \"2h\"\nbrake = 100\nsilence = 0"));
            for (index, (gap, off)) in arrivals.iter().enumerate() {
                world.arrive(world.now.plus(off * 60));
                if lose && index == lost.min(arrivals.len() - 1) {
                    if which != 1 { world.snap = DatasetNotes::default(); }
                    if which != 0 { world.prune = DatasetNotes::default(); }
                }
                world.keys();
                world.now = world.now.plus(gap * 60);
            }
            world.keys();
            world
        };
        let (kept, lost) = (play(false), play(true));
        for snapshot in &kept.dataset.snapshots {
            prop_assert!(lost.lives(snapshot.guid), "{} died of lost notes", snapshot.tag);
        }
    }

    #[test]
    fn no_later_arrival_moves_an_expiry_and_the_put_aside_stay(policy in policies(), arrivals in arrivals()) {
        let mut world = new(&format!("{policy}\ngrace = \"2h\"\nbrake = 100\nsilence = 0"));
        let mut ends = std::collections::BTreeMap::new();
        let mut aside = Vec::new();
        for (gap, off) in arrivals {
            let guid = world.arrive(world.now.plus(off * 60));
            if off > 10 { aside.push(guid); }
            let seen = world.assess(&world.prune);
            for (snapshot, verdict) in world.dataset.snapshots.iter().zip(&seen.verdicts) {
                let end = *ends.entry(snapshot.guid).or_insert(verdict.expires);
                if !verdict.expired(world.now) {
                    prop_assert_eq!(end, verdict.expires, "{}", &snapshot.tag);
                }
            }
            world.keys();
            world.now = world.now.plus(gap * 60);
        }
        prop_assert!(aside.iter().all(|guid| world.lives(*guid)));
    }
}
