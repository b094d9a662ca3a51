//! Properties of the planner, over generated policies and histories.
#![allow(missing_docs, clippy::unwrap_used)]

mod world;

use proptest::prelude::*;
use std::collections::BTreeMap;
use world::{World, entry};
use zam_names::{Guid, UnixTime};
use zam_policy::notes::DatasetNotes;

const START: i64 = 1_780_000_000;

/// Tiers with room: each spans at least two of its periods, as real ones do.
fn policies() -> impl Strategy<Value = String> {
    let zone = prop_oneof![Just("UTC"), Just("Europe/Vienna"), Just("Australia/Lord_Howe")];
    let first = prop_oneof![Just(("6h", "10m")), Just(("2d", "1h")), Just(("36h", "3h"))];
    let second = prop_oneof![Just(None), Just(Some(("1w", "6h"))), Just(Some(("8d", "1d")))];
    let third = prop_oneof![
        Just(""),
        Just("{ period = \"1w\" }"),
        Just("{ max-age = \"3mo\", period = \"1w\" }"),
        Just("{ period = \"1mo\" }")
    ];
    (zone, first, second, third, 0_u32..4).prop_map(|(zone, (age, period), second, third, at_least)| {
        let mut tiers = vec![format!("{{ max-age = {age:?}, period = {period:?} }}")];
        tiers.extend(second.map(|(age, period)| format!("{{ max-age = {age:?}, period = {period:?} }}")));
        tiers.extend((!third.is_empty()).then(|| third.to_owned()));
        let keys = format!(
            "windows = [{}]\nat-least = {at_least}\ngrace = \"2h\"\nsilence = 0\nbrake = 100",
            tiers.join(", ")
        );
        format!("{zone}|{keys}")
    })
}

fn world(policy: &str) -> World {
    let (zone, keys) = policy.split_once('|').unwrap();
    World::new(entry(zone, keys), UnixTime(START))
}

/// Minutes between the snapshots of a history; now and then a long pause.
fn gaps() -> impl Strategy<Value = Vec<i64>> {
    proptest::collection::vec(prop_oneof![8 => 5_i64..200, 1 => 200_i64..20_000], 1..120)
}

/// Every snapshot's expiry, by GUID.
fn expiries(world: &World, notes: &DatasetNotes) -> BTreeMap<Guid, Option<UnixTime>> {
    let seen = world.assess(notes);
    world.dataset.snapshots.iter().zip(&seen.verdicts).map(|(s, v)| (s.guid, v.expires)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_plan_of_a_plans_result_is_empty(policy in policies(), gaps in gaps()) {
        let mut world = world(&policy);
        for gap in gaps {
            world.take();
            world.keys();
            world.now = world.now.plus(gap * 60);
        }
        world.keys();
        world.keys();
        let seen = world.assess(&world.snap);
        prop_assert!(seen.to_hold().is_empty() && seen.to_release().is_empty());
        prop_assert!(world.assess(&world.prune).to_destroy(false).is_empty());
    }

    #[test]
    fn keep_and_expire_partition_the_listing(policy in policies(), gaps in gaps(), later in 0_i64..10_000_000) {
        let mut world = world(&policy);
        for gap in gaps {
            world.take();
            world.now = world.now.plus(gap * 60);
        }
        world.now = world.now.plus(later);
        let kept = world.kept();
        let seen = world.assess(&world.prune);
        prop_assert_eq!(seen.verdicts.len(), world.dataset.snapshots.len());
        let gone = seen.verdicts.iter().filter(|v| v.expired(world.now)).count();
        prop_assert_eq!(kept.len() + gone, world.dataset.snapshots.len());
    }

    #[test]
    fn the_forecast_at_birth_is_what_happens_however_the_daemons_are_restarted(
        policy in policies(), gaps in gaps(), restarts in proptest::collection::vec(any::<bool>(), 120),
    ) {
        let mut world = world(&policy);
        let mut forecast = BTreeMap::new();
        for (gap, restart) in gaps.into_iter().zip(restarts) {
            let guid = world.take();
            forecast.insert(guid, expiries(&world, &world.prune)[&guid]);
            world.keys();
            if restart {
                // What is written down is all that a restart keeps.
                world.snap = serde_json::from_str(&serde_json::to_string(&world.snap).unwrap()).unwrap();
                world.prune = serde_json::from_str(&serde_json::to_string(&world.prune).unwrap()).unwrap();
            }
            // The keys look every hour in between, as they do.
            for _ in 0..(gap / 60).min(50) {
                world.now = world.now.plus(3600);
                world.keys();
            }
            world.now = world.now.plus((gap - (gap / 60).min(50) * 60) * 60);
            world.keys();
            for (guid, expires) in expiries(&world, &world.prune) {
                let expired = expires.is_some_and(|end| end <= world.now);
                let foretold = forecast[&guid];
                prop_assert_eq!(expired, foretold.is_some_and(|end| end <= world.now), "{:?} foretold {:?} at {:?}", expires, foretold, world.now);
                if !expired {
                    prop_assert_eq!(expires, foretold);
                }
            }
        }
        for (guid, died) in &world.graves {
            prop_assert!(forecast[guid].is_some_and(|end| end <= *died), "died before its time");
        }
    }

    #[test]
    fn later_arrivals_move_no_expiry_whatever_date_they_claim(
        policy in policies(), gaps in gaps(), claims in proptest::collection::vec(-8_000_000_i64..8_000_000, 1..30),
    ) {
        let mut world = world(&policy);
        for gap in gaps {
            world.take();
            world.now = world.now.plus(gap * 60);
        }
        let before = expiries(&world, &world.prune);
        for claim in claims {
            let date = UnixTime(world.now.0 + claim);
            let tag = zam_policy::tags::scheduled("zam", date).unwrap();
            world.appear(tag.as_str(), date);
        }
        let after = expiries(&world, &world.prune);
        for (guid, expires) in before {
            prop_assert_eq!(after[&guid], expires);
        }
    }

    #[test]
    fn a_vetoed_snapshot_never_goes(
        policy in policies(), gaps in gaps(), pinned in proptest::collection::vec(0_usize..120, 1..20), clones in any::<bool>(),
    ) {
        let mut world = world(&policy);
        let mut guids = Vec::new();
        for (index, gap) in gaps.into_iter().enumerate() {
            let guid = world.take();
            if pinned.contains(&index) {
                if clones { world.snapshot(guid).clones = 1 } else { world.hold(guid, "mine") }
                guids.push(guid);
            }
            world.keys();
            world.now = world.now.plus(gap * 60);
        }
        for _ in 0..5 {
            world.now = world.now.plus(86_400 * 200);
            world.keys();
        }
        for guid in guids {
            prop_assert!(world.lives(guid));
        }
        prop_assert!(!world.dataset.snapshots.is_empty(), "the newest stays");
    }

    #[test]
    fn losing_notes_in_the_middle_keeps_at_least_as_much(
        policy in policies(), gaps in gaps(), pinned in proptest::collection::vec(0_usize..60, 0..8), lost in 1_usize..100, which in 0_u8..3,
    ) {
        let play = |lose: bool| {
            let mut world = world(&policy);
            for (index, gap) in gaps.iter().enumerate() {
                let guid = world.take();
                if pinned.contains(&index) {
                    world.hold(guid, "mine");
                }
                if lose && index == lost.min(gaps.len() - 1) {
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
}
