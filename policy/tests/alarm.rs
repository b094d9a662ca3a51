//! When alarms begin, are told, told again, and end.
#![allow(missing_docs, clippy::unwrap_used)]

use pretty_assertions::assert_eq;
use proptest::prelude::*;
use std::collections::BTreeMap;
use zam_names::UnixTime;
use zam_policy::{
    Zone,
    alarm::{Board, Key, Kind, LONGEST, Look, Message, News, Rules, Source, Trouble},
};

const RULES: Rules = Rules { repeat: Some(1000), bundle: 100 };

fn stale(about: &str) -> Trouble {
    let key = Key::new(Kind::Stale, "tank", about);
    Trouble { key, source: Source::Pool("tank".into()), text: "no snapshot for 3h".into(), patience: 0 }
}

fn patient(about: &str, patience: i64) -> Trouble {
    Trouble { patience, ..stale(about) }
}

/// A message in short: its news, and what it is about.
fn short(messages: &[Message]) -> Vec<String> {
    let line = |message: &Message| {
        let about: Vec<&str> = message.alarms.iter().map(|alarm| alarm.key.about.as_str()).collect();
        format!("{:?} {}", message.news, about.join(" "))
    };
    messages.iter().map(line).collect()
}

struct Play(Board);

impl Play {
    fn look(&mut self, now: i64, troubles: &[Trouble]) -> Vec<String> {
        let look = Look { troubles: troubles.to_vec(), ..Look::default() };
        short(&self.0.look(look, UnixTime(now), RULES))
    }

    fn none(&mut self, now: i64, troubles: &[Trouble]) {
        assert_eq!(self.look(now, troubles), Vec::<String>::new(), "at {now}");
    }
}

fn play() -> Play {
    Play(Board::default())
}

#[test]
fn an_alarm_is_told_once_again_after_the_repeat_and_at_its_end() {
    let mut play = play();
    assert_eq!(play.look(0, &[stale("a")]), ["Begins a"]);
    play.none(10, &[stale("a")]);
    play.none(999, &[stale("a")]);
    assert_eq!(play.look(1000, &[stale("a")]), ["Lasts a"]);
    play.none(1001, &[stale("a")]);
    assert_eq!(play.look(1500, &[]), ["Ends a"]);
    play.none(1501, &[]);
}

#[test]
fn without_a_repeat_it_is_told_once() {
    let mut board = Board::default();
    let rules = Rules { repeat: None, ..RULES };
    let mut look = |now| board.look(Look { troubles: vec![stale("a")], ..Look::default() }, UnixTime(now), rules);
    assert_eq!(look(0).len(), 1);
    assert_eq!(look(1_000_000).len(), 0);
}

#[test]
fn what_is_over_within_its_patience_is_never_told() {
    let mut play = play();
    play.none(0, &[patient("a", 60)]);
    play.none(59, &[patient("a", 60)]);
    assert_eq!(play.0.standing().count(), 0);
    play.none(60, &[]);
    // Positive control: what lasts is told, with the time at which it began.
    play.none(70, &[patient("a", 60)]);
    assert_eq!(play.look(130, &[patient("a", 60)]), ["Begins a"]);
    assert_eq!(play.0.standing().next().unwrap().since, UnixTime(70));
}

#[test]
fn many_of_one_cause_are_one_message_and_latecomers_wait_for_the_next() {
    let mut play = play();
    assert_eq!(play.look(0, &[stale("a"), stale("b")]), ["Begins a b"]);
    let all = [stale("a"), stale("b"), stale("c"), stale("d")];
    play.none(50, &all);
    assert_eq!(play.look(100, &all), ["Begins a b c d"], "with what was told already");
    let mut elsewhere = stale("x");
    elsewhere.key.place = "usb".into();
    let more = [all.to_vec(), vec![elsewhere]].concat();
    assert_eq!(play.look(110, &more), ["Begins x"], "another cause waits for nobody");
    assert_eq!(play.look(120, &[]), ["Ends a b c d", "Ends x"]);
}

#[test]
fn who_is_not_heard_ends_nothing() {
    let mut board = Board::default();
    let brake = Trouble {
        key: Key::new(Kind::Brake, "abc", "tank/a"),
        source: Source::Daemon("zamd-prune".into()),
        text: "40 of 50 would go".into(),
        patience: 0,
    };
    let seen = |troubles: &[Trouble], unheard: &[Source]| Look {
        troubles: troubles.to_vec(),
        unheard: unheard.iter().cloned().collect(),
    };
    assert_eq!(short(&board.look(seen(std::slice::from_ref(&brake), &[]), UnixTime(0), RULES)), ["Begins tank/a"]);
    let unheard = [brake.source.clone()];
    assert_eq!(short(&board.look(seen(&[], &unheard), UnixTime(10), RULES)), Vec::<String>::new());
    assert_eq!(board.standing().count(), 1);
    assert_eq!(short(&board.look(seen(&[], &[]), UnixTime(20), RULES)), ["Ends tank/a"]);
}

#[test]
fn what_is_known_is_told_no_more_but_its_end_is() {
    let mut play = play();
    assert_eq!(play.look(0, &[stale("a")]), ["Begins a"]);
    assert_eq!(play.0.acknowledge(UnixTime(5)), 1);
    assert_eq!(play.0.acknowledge(UnixTime(6)), 0);
    play.none(5000, &[stale("a")]);
    assert_eq!(play.look(5200, &[stale("a"), stale("b")]), ["Begins b"], "what comes later is not known");
    assert_eq!(play.look(5300, &[]), ["Ends a b"]);
    assert_eq!(play.look(5400, &[stale("a")]), ["Begins a"], "nor is it when it comes back");
}

#[test]
fn a_clock_that_was_ahead_silences_nothing() {
    let mut play = play();
    assert_eq!(play.look(1_000_000, &[stale("a")]), ["Begins a"]);
    play.none(0, &[stale("a")]);
    let alarm = play.0.standing().next().unwrap();
    assert_eq!((alarm.since, alarm.raised), (UnixTime(0), Some(UnixTime(0))));
    assert_eq!(play.look(1000, &[stale("a")]), ["Lasts a"]);
}

#[test]
fn two_troubles_of_one_key_are_one_alarm_that_says_both_and_bears_less() {
    let mut play = play();
    let other = Trouble { text: "it has diverged".into(), patience: 0, ..stale("a") };
    assert_eq!(play.look(0, &[patient("a", 3600), other]), ["Begins a"]);
    assert_eq!(play.0.standing().next().unwrap().text, "no snapshot for 3h; it has diverged");
}

#[test]
fn it_survives_being_written_down() {
    let mut play = play();
    play.look(0, &[stale("a"), patient("b", 60)]);
    let text = serde_json::to_string(&play.0).unwrap();
    let mut again = Play(serde_json::from_str(&text).unwrap());
    assert_eq!(again.0, play.0);
    again.none(10, &[stale("a"), patient("b", 60)]);
    assert_eq!(again.look(100, &[stale("a"), patient("b", 60)]), ["Begins a b"]);
}

#[test]
fn a_message_says_what_since_when_and_what_to_do() {
    let mut board = Board::default();
    let look = Look { troubles: vec![stale("tank/a"), stale("tank/b")], ..Look::default() };
    let messages = board.look(look, UnixTime(60), RULES);
    assert_eq!(messages[0].subject("nas"), "[zam] nas: critical: tank/a: no snapshot for 3h (and 1 more)");
    let text = messages[0].text(&Zone::utc());
    assert!(
        text.contains("tank/b: no snapshot for 3h\n  since 1970-01-01 00:01\n  what to do: `zamctl status tank/b`")
    );
    let over = board.look(Look::default(), UnixTime(70), RULES);
    assert_eq!(over[0].subject("nas"), "[zam] nas: over: tank/a: no snapshot for 3h (and 1 more)");
    assert!(!over[0].text(&Zone::utc()).contains("what to do"));
}

/// R-WATCH-6
#[test]
fn what_others_say_is_one_line_of_bounded_length() {
    let mut board = Board::default();
    let text = format!("a\x1b[31m\nb{}", "x".repeat(1000));
    let look = Look { troubles: vec![Trouble { text, ..stale("a") }], ..Look::default() };
    let messages = board.look(look, UnixTime(0), RULES);
    let said = &messages[0].alarms[0].text;
    assert!(said.starts_with("a [31m b") && said.ends_with('…') && said.chars().count() == LONGEST, "{said}");
}

#[test]
fn every_kind_says_what_to_do_and_has_a_name() {
    for kind in [
        Kind::Down,
        Kind::Failed,
        Kind::Restarts,
        Kind::Config,
        Kind::Stale,
        Kind::Behind,
        Kind::Quiet,
        Kind::Pool,
        Kind::Marked,
        Kind::Unheld,
        Kind::Stray,
        Kind::Brake,
        Kind::Trouble,
        Kind::Undelivered,
    ] {
        assert!(Key::new(kind, "place", "about").todo().contains('`'), "{kind:?}");
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
    }
}

proptest! {
    /// Whatever comes and goes: all that stands was told, each end belongs to a beginning, and nobody is flooded.
    #[test]
    fn all_is_told_and_nobody_is_flooded(looks in prop::collection::vec((1_i64..40, 0_u8..16, any::<bool>()), 1..200)) {
        let mut board = Board::default();
        let (mut now, mut begins) = (0, Vec::new());
        let mut open: BTreeMap<Key, i64> = BTreeMap::new();
        for (pause, which, heard) in looks {
            now += pause;
            let names = ["a", "b", "c", "d"];
            let troubles: Vec<Trouble> =
                (0..4).filter(|n| which & (1 << n) != 0).map(|n| patient(names[n], 20 * n as i64)).collect();
            let unheard = if heard { vec![] } else { vec![Source::Pool("tank".into())] };
            let look = Look { troubles, unheard: unheard.into_iter().collect() };
            for message in board.look(look, UnixTime(now), RULES) {
                prop_assert!(!message.alarms.is_empty());
                if message.news == News::Begins {
                    begins.push(now);
                }
                for alarm in &message.alarms {
                    match message.news {
                        News::Ends => prop_assert!(open.remove(&alarm.key).is_some(), "an end without a beginning"),
                        News::Begins => _ = open.insert(alarm.key.clone(), now),
                        News::Lasts => prop_assert!(open.contains_key(&alarm.key)),
                    }
                }
            }
            for alarm in board.standing() {
                let raised = alarm.raised.unwrap().0;
                prop_assert!(open.contains_key(&alarm.key) || now - raised <= RULES.bundle + 40, "{alarm:?} at {now}");
            }
        }
        prop_assert!(begins.windows(2).all(|two| two[1] - two[0] >= RULES.bundle), "{begins:?}");
    }
}
