//! Properties of waiting: whatever the machine is like, a task runs at its limit, and not before what it waits for.
#![allow(missing_docs, clippy::unwrap_used)]

use jiff::{Timestamp, tz::TimeZone};
use proptest::prelude::*;
use zam_names::UnixTime;
use zam_policy::{
    schedule::{Facts, Possible, Task, next_possible},
    when::{Hours, When},
};

/// The days around both changes of the clocks, and some in between.
const FROM: i64 = 1_774_656_000;

fn conditions() -> impl Strategy<Value = When> {
    let times = prop::sample::select(&["22:00-06:00", "02:30-02:45", "01:59-03:01", "09:00-17:00", "23:59-00:00"][..]);
    let between = proptest::option::of(times.prop_map(|text| Hours::try_from(text.to_owned()).unwrap()));
    let idle = proptest::option::of(prop::sample::select(&["1m", "5m", "2h"][..]));
    let limit = prop::sample::select(&["90m", "8h", "1d", "3d"][..]);
    (idle, any::<bool>(), between, limit).prop_map(|(idle, ac_power, between, limit)| When {
        idle: idle.map(|text| text.parse().unwrap()),
        ac_power,
        between,
        reachable: false,
        at_latest: limit.parse().unwrap(),
    })
}

fn facts() -> impl Strategy<Value = Facts> {
    (0_i64..10_000, any::<bool>()).prop_map(|(idle_for, on_battery)| Facts { obstacle: None, idle_for, on_battery })
}

/// Whether all that it waits for is so.
fn is_met(when: &When, facts: &Facts, now: UnixTime, zone: &TimeZone) -> bool {
    let inside = |hours: &Hours| {
        let time = Timestamp::from_second(now.0).unwrap().to_zoned(zone.clone()).strftime("%H:%M").to_string();
        let text = hours.to_string();
        let (from, to) = text.split_once('-').unwrap();
        if from < to { from <= &*time && &*time < to } else { from <= &*time || &*time < to }
    };
    when.between.as_ref().is_none_or(inside)
        && !(when.ac_power && facts.on_battery)
        && when.idle.is_none_or(|idle| facts.idle_for >= idle.approximate_seconds())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_runs_at_its_limit_and_before_that_only_when_all_is_so(
        when in conditions(), facts in proptest::collection::vec(facts(), 1..20), start in 0_i64..240 * 86_400,
        zone in prop::sample::select(&["UTC", "Europe/Vienna", "Australia/Lord_Howe", "America/New_York"][..]),
    ) {
        let zone = TimeZone::get(zone).unwrap();
        let ran = UnixTime(FROM + start);
        let task = Task { when: Some((&when, ran)), ..Task::every("10m".parse().unwrap(), Some(ran)) };
        let limit = when.limit(ran, &zone);
        let (mut now, mut asked) = (ran, 0);
        // The machine is another one each time that it is asked, and asked only when that was said.
        loop {
            let facts = &facts[asked % facts.len()];
            let answer = next_possible(&task, now, &zone, facts);
            if answer.is_now(now) {
                prop_assert!(now <= limit);
                prop_assert!(now == limit || is_met(&when, facts, now, &zone), "{now:?} is not its time");
                break;
            }
            if let Possible::Lacks { again, at_latest, .. } = answer {
                prop_assert!(again <= at_latest && at_latest == limit);
                prop_assert!(!is_met(&when, facts, now, &zone));
            }
            let again = answer.at().unwrap();
            prop_assert!(now < again && again <= limit, "{now:?} {again:?} {limit:?}");
            now = again;
            asked += 1;
        }
    }

    #[test]
    fn a_better_machine_is_never_later(when in conditions(), facts in facts(), ahead in 0_i64..3 * 86_400) {
        let zone = TimeZone::get("Europe/Vienna").unwrap();
        let ran = UnixTime(FROM);
        let task = Task { when: Some((&when, ran)), ..Task::every("1h".parse().unwrap(), Some(ran)) };
        let at = |facts: &Facts| next_possible(&task, ran.plus(ahead), &zone, facts).at().unwrap();
        prop_assert!(at(&Facts::QUIET) <= at(&facts));
    }
}
