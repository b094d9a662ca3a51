//! What windows keep, held against calendars worked out by hand.
#![allow(missing_docs, clippy::unwrap_used)]

mod world;

use pretty_assertions::assert_eq;
use world::{World, at, entry};
use zam_names::UnixTime;
use zam_policy::assess::Next;

/// Hourly ticks from `start` to before `end`; the keys act once a day and at the end. Gives what policy keeps then.
fn hourly(zone: &str, windows: &str, start: &str, end: &str) -> World {
    let keys = format!("snapshot-period = \"1h\"\ngrace = \"1h\"\nwindows = {windows}");
    let mut world = World::new(entry(zone, &keys), at(start));
    let end = at(end);
    world.keys();
    while world.now < end {
        world.take();
        world.now = world.now.plus(3600);
        if world.now.0 % 86_400 == 0 && world.now < end {
            world.keys();
        }
    }
    world.now = end.plus(-1);
    world
}

#[test]
fn a_year_of_hourly_ticks_keeps_what_each_tier_alone_says() {
    for (period, count) in [("1h", 8760), ("1d", 365), ("1mo", 12)] {
        let windows = format!("[{{ max-age = \"1y\", period = {period:?} }}]");
        let world = hourly("UTC", &windows, "2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z");
        assert_eq!(world.kept().len(), count, "one per {period}");
    }
}

#[test]
fn a_year_in_tiers_thins_step_by_step() {
    let windows = r#"[{ max-age = "2d", period = "1h" }, { max-age = "60d", period = "1d" }, { period = "1mo" }]"#;
    let mut world = hourly("UTC", windows, "2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z");
    // The last two days hourly; one a day back to 3 November; the first of each month before.
    world.now = at("2026-01-01T01:00:00Z");
    world.keys();
    assert_eq!(world.kept().len(), 46 + 58 + 11);
    let seen = world.assess(&world.prune);
    // Nothing else is left but what is in its grace.
    for index in 0..seen.verdicts.len() {
        let next = seen.next(index);
        assert!(matches!(next, Next::Stays | Next::Grace(Some(_))), "{}: {next:?}", seen.snapshots()[index].tag);
    }
    assert!(world.dataset.snapshots.len() < 200);
}

#[test]
fn the_weekend_on_which_vienna_leaves_summer_time_has_73_hours() {
    for (period, count) in [("1h", 73), ("1d", 3), ("1mo", 1)] {
        let windows = format!("[{{ max-age = \"1y\", period = {period:?} }}]");
        let world = hourly("Europe/Vienna", &windows, "2026-10-23T00:00:00+02:00", "2026-10-26T00:00:00+01:00");
        assert_eq!(world.kept().len(), count, "one per {period}");
    }
}

#[test]
fn the_weekend_on_which_vienna_enters_summer_time_has_71_hours() {
    for (period, count) in [("1h", 71), ("1d", 3), ("1mo", 1)] {
        let windows = format!("[{{ max-age = \"1y\", period = {period:?} }}]");
        let world = hourly("Europe/Vienna", &windows, "2026-03-27T00:00:00+01:00", "2026-03-30T00:00:00+02:00");
        assert_eq!(world.kept().len(), count, "one per {period}");
    }
}

#[test]
fn an_admins_hold_does_not_win_july_for_the_first_of_july() {
    let windows = r#"[{ max-age = "7d", period = "1d" }, { max-age = "60d", period = "1w" }, { period = "1mo" }]"#;
    let keys = format!("snapshot-period = \"1d\"\nwindows = {windows}");
    let mut world = World::new(entry("UTC", &keys), at("2026-06-01T00:00:00Z"));
    let (mut first, mut sixth, mut june29) = (None, None, None);
    while world.now < at("2027-03-01T00:00:00Z") {
        let guid = world.take();
        match world.now {
            now if now == at("2026-06-29T00:00:00Z") => june29 = Some(guid),
            now if now == at("2026-07-01T00:00:00Z") => {
                world.hold(guid, "admin");
                first = Some(guid);
            }
            now if now == at("2026-07-06T00:00:00Z") => sixth = Some(guid),
            now if now == at("2026-09-15T00:00:00Z") => world.unhold(first.unwrap(), "admin"),
            _ => {}
        }
        world.keys();
        if world.now == at("2026-07-08T00:00:00Z") {
            let seen = world.assess(&world.prune);
            let index = world.dataset.snapshots.iter().position(|s| Some(s.guid) == first).unwrap();
            assert_eq!(seen.verdicts[index].expires, Some(world.now), "1 July loses its week to 29 June at 7 days");
        }
        if world.now == at("2026-09-10T00:00:00Z") {
            assert!(!world.lives(june29.unwrap()), "29 June loses June to 1 June at 60 days");
            assert!(world.lives(first.unwrap()), "the admin's hold keeps 1 July alive");
        }
        world.now = world.now.plus(86_400);
    }
    assert!(!world.lives(first.unwrap()), "1 July goes when the admin lets go");
    assert!(world.lives(sixth.unwrap()), "6 July wins its week and July");
    let seen = world.assess(&world.prune);
    let index = world.dataset.snapshots.iter().position(|s| Some(s.guid) == sixth).unwrap();
    assert_eq!(seen.verdicts[index].expires, None, "and keeps July for ever");
}

#[test]
fn counts_mean_the_tiers_they_spell() {
    let counts = entry("UTC", "keep = { hourly = 48, daily = 30, monthly = 12 }");
    let tiers = r#"windows = [{ max-age = "48h", period = "1h" }, { max-age = "30d", period = "1d" }, { max-age = "12mo", period = "1mo" }]"#;
    assert_eq!(counts.rule, entry("UTC", tiers).rule);
}

#[test]
fn at_least_keeps_the_newest_however_old() {
    let keys = "at-least = 3\ngrace = \"1s\"\nwindows = [{ max-age = \"1h\", period = \"10m\" }]\nbrake = 100";
    let mut world = World::new(entry("UTC", keys), UnixTime(600_000));
    for _ in 0..6 {
        world.take();
        world.now = world.now.plus(600);
    }
    for _ in 0..4 {
        world.now = world.now.plus(86_400);
        world.keys();
    }
    assert_eq!(world.dataset.snapshots.len(), 3);
}
