//! What is sent: tables of cases, and a small world with two sides in which everything goes wrong that can.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod world;

use pretty_assertions::assert_eq;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use world::{entry, replica};
use zam_names::{Bookmark, CreateTxg, DatasetName, Guid, Snapshot, UnixTime};
use zam_policy::{
    Rule,
    config::{DestinationId, Entry},
    copy::{self, Copied, Diverged, From, Partial, Plan, Replica, Source, Step, Wants},
    judge::{Origin, judge},
    notes::DatasetNotes,
    tags,
};

const START: i64 = 1_767_225_600;
const MINUTE: i64 = 60;

fn snapshot(name: &str, number: u64, creation: UnixTime) -> Snapshot {
    Snapshot {
        tag: name.parse().unwrap(),
        guid: Guid(number),
        createtxg: CreateTxg(number * 10),
        creation,
        holds: Vec::new(),
        clones: 0,
        deferred: false,
        used: None,
    }
}

/// One that zam takes so many minutes after the start.
fn taken(number: u64, minutes: i64) -> Snapshot {
    let date = UnixTime(START + minutes * MINUTE);
    snapshot(tags::scheduled("zam", date).unwrap().as_str(), number, date)
}

fn copied(snapshot: &Snapshot) -> Copied {
    Copied { guid: snapshot.guid, tag: snapshot.tag.clone(), creation: snapshot.creation }
}

fn mark(snapshot: &Snapshot, to: DestinationId) -> Bookmark {
    let tag = copy::bookmark_tag(to, &snapshot.tag).unwrap();
    Bookmark { name: format!("tank/a#{tag}").parse().unwrap(), guid: snapshot.guid, createtxg: snapshot.createtxg }
}

fn id(text: &str) -> DestinationId {
    text.parse().unwrap()
}

/// The steps as `from>to`, `+` before one that is resumed, `#` before a bookmark; or what else is planned.
fn shown(plan: &Plan<'_>) -> String {
    let from = |step: &Step<'_>| match step.from {
        From::Nothing => String::new(),
        From::Snapshot(base) => base.guid.to_string(),
        From::Bookmark(base) => format!("#{}", base.guid),
    };
    let step = |s: &Step<'_>| format!("{}{}>{}", if s.resume { "+" } else { "" }, from(s), s.to.guid);
    match plan {
        Plan::UpToDate => "up to date".to_owned(),
        Plan::Steps(steps) => steps.iter().map(step).collect::<Vec<_>>().join(" "),
        Plan::ClearPartial => "clear".to_owned(),
        Plan::Diverged(Diverged { common, beyond }) => {
            format!("diverged after {} by {}", common, beyond.len())
        }
        Plan::NeedsFull { .. } => "needs full".to_owned(),
    }
}

fn hourly() -> (Rule, Rule) {
    let narrow = entry("UTC", "adopt = [\"auto-*\"]\nwindows = []").rule;
    (replica("UTC", "adopt = [\"auto-*\"]\nwindows = [{ max-age = \"10d\", period = \"1h\" }]").rule, narrow)
}

struct Case {
    source: Vec<Snapshot>,
    marks: Vec<u64>,
    there: Option<Vec<u64>>,
    partial: Option<(u64, Option<u64>)>,
    full: bool,
}

impl Case {
    /// Every 20 minutes one, from 1 on; 5 was made by hand and 8 by somebody else.
    fn new(there: &[u64]) -> Self {
        let mut source: Vec<Snapshot> = (1..=9).map(|n| taken(n, (i64::try_from(n).unwrap() - 1) * 20)).collect();
        source[4].tag = "zam-manual-20260101T012000Z".parse().unwrap();
        source[7].tag = "before-upgrade".parse().unwrap();
        Self { source, marks: Vec::new(), there: Some(there.to_vec()), partial: None, full: false }
    }

    fn without(mut self, gone: &[u64]) -> Self {
        self.source.retain(|s| !gone.contains(&s.guid.0));
        self
    }

    fn plan(&self) -> String {
        let all = Case::new(&[]).source;
        let by = |guid: &u64| all.iter().find(|s| s.guid.0 == *guid).cloned();
        // What the replica alone has, the source never had.
        let strange = |guid: &u64| snapshot("strange", *guid, UnixTime(START));
        let newest: Vec<Copied> =
            self.there.iter().flatten().map(|g| copied(&by(g).unwrap_or_else(|| strange(g)))).collect();
        let bookmarks: Vec<Bookmark> = self.marks.iter().map(|g| mark(&by(g).unwrap(), id("0000000a"))).collect();
        let partial = self.partial.map(|(to, from)| Partial { to: Guid(to), from: from.map(Guid) });
        let replica = self.there.as_ref().map(|_| Replica { newest: &newest, partial });
        let source = Source { snapshots: &self.source, bookmarks: &bookmarks };
        let (keeps, narrow) = hourly();
        let wants = Wants { rules: &[&keeps, &narrow], full: self.full, now: UnixTime(START + 200 * MINUTE) };
        shown(&copy::plan(source, replica, &wants))
    }
}

/// R-SEND-9: a base is one of the source's own. R-SEND-11
#[test]
fn plans_by_the_table() {
    let case = Case::new;
    let part = |there: &[u64], to, from| Case { partial: Some((to, from)), ..Case::new(there) };
    let nowhere = || Case { there: None, ..Case::new(&[]) };
    for (what, case, expected) in [
        ("not there: the first of each hour, what was made by hand, the newest", nowhere(), ">1 1>4 4>5 5>7 7>9"),
        ("up to the newest", case(&[1, 4, 5, 7, 9]), "up to date"),
        ("the newest of zam's is there", case(&[9]).without(&[1, 2, 3]), "up to date"),
        ("the hour is taken there, so only the newest of it", case(&[1, 4, 5, 7]), "7>9"),
        ("what was passed by is not sent later: the next one takes its hour", case(&[1, 5]), "5>6 6>7 7>9"),
        (
            "a base that only a bookmark remembers",
            Case { marks: vec![1, 4], ..case(&[1, 4]) }.without(&[1, 4]),
            "#4>5 5>7 7>9",
        ),
        ("the snapshot before its bookmark", Case { marks: vec![4], ..case(&[4]) }, "4>5 5>7 7>9"),
        ("the winner of the hour was pruned here, the next one goes", case(&[1]).without(&[4, 7]), "1>5 5>6 6>9"),
        ("what is not zam's is no step and no newest", case(&[7]).without(&[9]), "up to date"),
        ("it is a base all the same", case(&[8]), "8>9"),
        ("nothing here", case(&[1]).without(&[1, 2, 3, 4, 5, 6, 7, 8, 9]), "needs full"),
        ("the base is gone on both sides", case(&[1]).without(&[1]), "needs full"),
        ("and somebody asks", Case { full: true, ..case(&[1]) }.without(&[1]), ">2 2>4 4>5 5>7 7>9"),
        ("there, and empty", case(&[]), "needs full"),
        ("and somebody asks", Case { full: true, ..case(&[]) }, ">1 1>4 4>5 5>7 7>9"),
        ("it went its own way", case(&[1, 4, 70, 71]), "diverged after 4 by 2"),
        ("asking for all does not choose a side", Case { full: true, ..case(&[1, 70]) }, "diverged after 1 by 1"),
        (
            "it went its own way from a bookmark",
            Case { marks: vec![4], ..case(&[4, 70]) }.without(&[4]),
            "diverged after 4 by 1",
        ),
        ("cut in the first", part(&[], 1, None), "+>1 1>4 4>5 5>7 7>9"),
        ("cut in a later one", part(&[1], 4, Some(1)), "+1>4 4>5 5>7 7>9"),
        ("cut in one that would be passed by now", part(&[1], 2, Some(1)), "+1>2 2>4 4>5 5>7 7>9"),
        ("cut in the newest", part(&[7], 9, Some(7)), "+7>9"),
        ("cut in somebody else's, which nobody has sent", part(&[7], 8, Some(7)), "clear"),
        ("cut upon a bookmark", Case { marks: vec![1], ..part(&[1], 4, Some(1)) }.without(&[1]), "+#1>4 4>5 5>7 7>9"),
        ("cut, and what was sent is gone", part(&[1], 4, Some(1)).without(&[4]), "clear"),
        ("cut in the first, which is gone", part(&[], 1, None).without(&[1]), "clear"),
        ("cut upon another base", part(&[1], 4, Some(2)), "clear"),
        ("cut in a full one, and there is something", part(&[1], 4, None), "clear"),
        ("cut in what is there", part(&[1, 4], 4, Some(1)), "clear"),
        ("cut in what is older than the base", part(&[4], 2, Some(4)), "clear"),
        ("cut, and it went its own way", part(&[1, 70], 4, Some(1)), "diverged after 1 by 1"),
    ] {
        assert_eq!(case.plan(), expected, "{what}");
    }
}

/// R-SEND-12
#[test]
fn the_source_narrows_and_never_widens() {
    let daily = entry("UTC", "windows = [{ period = \"1d\" }]").rule;
    let (hourly, all) = hourly();
    let source: Vec<Snapshot> = (0..50).map(|n| taken(n + 1, i64::try_from(n).unwrap() * 60)).collect();
    let last = UnixTime(START + 49 * 60 * MINUTE);
    for (rules, expected) in [([&hourly, &all], 50), ([&hourly, &daily], 4), ([&daily, &hourly], 4), ([&all, &all], 50)]
    {
        let wants = Wants { rules: &rules, full: false, now: last };
        let source = Source { snapshots: &source, bookmarks: &[] };
        let Plan::Steps(steps) = copy::plan(source, None, &wants) else { panic!("nothing to send") };
        assert_eq!(steps.len(), expected);
    }
}

#[test]
fn three_months_of_ten_minutes_are_not_all_sent() {
    let keeps = replica("UTC", "keep = { hourly = 48, daily = 30 }").rule;
    let source: Vec<Snapshot> = (0..90 * 144).map(|n| taken(n + 1, i64::try_from(n).unwrap() * 10)).collect();
    let now = UnixTime(source.last().unwrap().creation.0 + 60);
    let wants = Wants { rules: &[&keeps, &keeps], full: false, now };
    let plan = copy::plan(Source { snapshots: &source, bookmarks: &[] }, None, &wants);
    let Plan::Steps(steps) = plan else { panic!("nothing to send") };
    assert_eq!(steps.len(), 48 + 28 + 1);
}

#[test]
fn bookmarks_say_whose_they_are() {
    let to = id("0badcafe");
    for (tag, expected) in [
        ("zam-20260101T000000Z", "zam-0badcafe-20260101T000000Z"),
        ("zam-manual-20260101T000000Z", "zam-0badcafe-zam-manual-20260101T000000Z"),
        ("mine-20260101T000000Z", "zam-0badcafe-mine-20260101T000000Z"),
        ("zam-", "zam-0badcafe-zam-"),
    ] {
        let named = copy::bookmark_tag(to, &tag.parse().unwrap()).unwrap();
        assert_eq!(named.as_str(), expected);
        assert_eq!(copy::destination_of(&named), Some(to));
    }
    for other in ["zam-20260101T000000Z", "zam-0badcafe-", "zam-0BADCAFE-x", "zam-badcafe-x", "x-0badcafe-y", "zam"] {
        assert_eq!(copy::destination_of(&other.parse().unwrap()), None, "{other}");
    }
    assert!(copy::bookmark_tag(to, &"x".repeat(250).parse().unwrap()).is_err());
}

#[test]
fn the_newest_bookmarks_of_live_destinations_stay_and_all_others() {
    let [a, b, dead] = ["0000000a", "0000000b", "0000000d"].map(id);
    let mut marks: Vec<Bookmark> = (1..=9).rev().map(|n| mark(&taken(n, 0), a)).collect();
    for mark in &mut marks {
        mark.name = format!("{}-{}", mark.name, mark.guid).parse().unwrap();
    }
    marks.push(mark(&taken(1, 0), b));
    marks.extend((1..=5).map(|n| mark(&taken(n, 60 * i64::try_from(n).unwrap()), dead)));
    marks.extend(
        (1..=5).map(|n| Bookmark { name: format!("tank/a#mine{n}").parse().unwrap(), ..mark(&taken(n, 0), a) }),
    );
    let elsewhere = Bookmark { name: "tank/b#zam-0000000a-x".parse().unwrap(), ..mark(&taken(1, 0), a) };
    marks.push(elsewhere);
    let mut gone: Vec<u64> = copy::surplus_bookmarks(&marks, &[a, b])
        .iter()
        .map(|name| marks.iter().find(|mark| mark.name == *name).unwrap().guid.0)
        .collect();
    gone.sort_unstable();
    assert_eq!(gone, [1, 2, 3, 4, 5, 6]);
    assert_eq!(copy::surplus_bookmarks(&marks, &[]), []);
    assert!(copy::copied_before(&marks, dead) && !copy::copied_before(&marks, id("0000000e")));
}

/// Two sides, and a line between them that breaks.
struct Sides {
    now: UnixTime,
    next: u64,
    source: Vec<Snapshot>,
    marks: Vec<Bookmark>,
    /// None: not there.
    there: Option<Vec<Snapshot>>,
    partial: Option<Partial>,
    keeps: Entry,
    own: Entry,
    narrow: Rule,
    arrivals: BTreeMap<Guid, u32>,
    /// Received, unheard of and not marked: if the source prunes these too, nothing here remembers them.
    unknown: BTreeSet<Guid>,
}

/// How far a run gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    Not,
    /// In the middle of the step with this number.
    During(usize),
    /// When that step is received and the source does not hear of it.
    Unheard(usize),
}

#[derive(Clone, Debug)]
enum Act {
    Take(i64),
    Ask,
    Foreign,
    /// The source's policy thins.
    Thin,
    /// Somebody destroys one at the source.
    Destroy(prop::sample::Index),
    /// The replica's policy thins.
    ThinThere,
    /// Surplus bookmarks go.
    Tidy,
    Run(Cut),
}

impl Sides {
    fn new(keeps: &str, narrow: &str) -> Self {
        let narrow = entry("UTC", narrow).rule;
        Self {
            now: UnixTime(START),
            next: 0,
            source: Vec::new(),
            marks: Vec::new(),
            there: None,
            partial: None,
            keeps: replica("UTC", keeps),
            own: entry(
                "UTC",
                "windows = [{ max-age = \"3h\", period = \"10m\" }, { max-age = \"2d\", period = \"1h\" }]",
            ),
            narrow,
            arrivals: BTreeMap::new(),
            unknown: BTreeSet::new(),
        }
    }

    fn to() -> DestinationId {
        id("0000000a")
    }

    fn add(&mut self, name: &str) {
        self.next += 1;
        self.source.push(snapshot(name, self.next, self.now));
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Take(minutes) => {
                self.now = self.now.plus(minutes * MINUTE);
                self.add(tags::scheduled("zam", self.now).unwrap().as_str());
            }
            Act::Ask => {
                self.now = self.now.plus(1);
                self.add(tags::manual("zam", self.now).unwrap().as_str());
            }
            Act::Foreign => self.add(&format!("by-hand-{}", self.next)),
            Act::Thin => {
                let gone = expired(&self.own.rule, &self.source, self.now);
                self.source.retain(|s| !gone.contains(&s.guid));
            }
            Act::Destroy(index) if !self.source.is_empty() => {
                self.source.remove(index.index(self.source.len()));
            }
            Act::Destroy(_) => {}
            Act::ThinThere => {
                if let Some(there) = &mut self.there {
                    let gone = expired(&self.keeps.rule, there, self.now);
                    there.retain(|s| !gone.contains(&s.guid));
                }
            }
            Act::Tidy => {
                let gone = copy::surplus_bookmarks(&self.marks, &[Self::to()]);
                self.marks.retain(|mark| !gone.contains(&mark.name));
            }
            Act::Run(cut) => self.run(*cut),
        }
    }

    fn planned<T>(&self, use_it: impl FnOnce(Plan<'_>) -> T) -> T {
        let newest: Vec<Copied> = self.there.iter().flatten().map(copied).collect();
        let newest = &newest[newest.len().saturating_sub(64)..];
        let replica = self.there.as_ref().map(|_| Replica { newest, partial: self.partial });
        let wants = Wants { rules: &[&self.keeps.rule, &self.narrow], full: false, now: self.now };
        use_it(copy::plan(Source { snapshots: &self.source, bookmarks: &self.marks }, replica, &wants))
    }

    fn run(&mut self, cut: Cut) {
        let own = |step: &Step<'_>| (step.from.guid(), step.to.clone(), step.resume);
        let (clear, steps) = self.planned(|plan| match plan {
            Plan::Steps(steps) => (false, steps.iter().map(own).collect()),
            Plan::ClearPartial => (true, Vec::new()),
            Plan::UpToDate => (false, Vec::new()),
            plan => {
                assert!(!self.unknown.is_empty(), "{plan:?}");
                (false, Vec::new())
            }
        });
        if clear {
            self.partial = None;
            self.there = self.there.take().filter(|there| !there.is_empty());
            return self.run(cut);
        }
        // What the replica was known to have when the step before this one began: that one may be under way still.
        let (mut before, mut last): (Option<Guid>, Option<Guid>) = (None, None);
        for (nth, (from, to, resume)) in steps.into_iter().enumerate() {
            let newest = self.there.iter().flatten().last().map(|s| s.guid);
            assert_eq!(from, newest, "a step that the replica cannot take");
            let cut_one = self.partial.map(|partial| (partial.to, partial.from));
            assert_eq!(resume.then_some((to.guid, from)), cut_one, "a cut receive in the way");
            let base = self.source.iter().find(|s| Some(s.guid) == from).cloned();
            // Every second time the end of the step before is heard of before this one begins.
            let heard = nth == 0 || to.guid.0 % 2 == 0;
            let ahead = if heard { vec![to.clone()] } else { base.into_iter().chain([to.clone()]).collect() };
            self.mark(if heard { from } else { before }, &ahead);
            before = from;
            let there = self.there.get_or_insert_default();
            if cut == Cut::During(nth) {
                self.partial = Some(Partial { to: to.guid, from });
                return self.unheard(from);
            }
            self.partial = None;
            there.push(Snapshot { createtxg: CreateTxg(there.last().map_or(7, |s| s.createtxg.0 + 3)), ..to.clone() });
            *self.arrivals.entry(to.guid).or_default() += 1;
            if cut == Cut::Unheard(nth) {
                return self.unheard(from.into_iter().chain([to.guid]));
            }
            last = Some(to.guid);
        }
        if last.is_some() {
            self.mark(last, &[]);
        }
    }

    fn unheard(&mut self, arrived: impl IntoIterator<Item = Guid>) {
        let unmarked = |guid: &Guid| self.marks.iter().all(|mark| mark.guid != *guid);
        self.unknown.extend(arrived.into_iter().filter(unmarked));
    }

    /// Leaves the bookmarks that are due, after which that of what the replica is known to have is one that stays.
    fn mark(&mut self, have: Option<Guid>, ahead: &[Snapshot]) {
        let from = have.map_or(From::Nothing, |guid| {
            let snapshot = self.source.iter().find(|snapshot| snapshot.guid == guid).map(From::Snapshot);
            snapshot.or_else(|| self.marks.iter().find(|mark| mark.guid == guid).map(From::Bookmark)).unwrap()
        });
        let due = copy::marks_due(from, ahead, &self.marks, Self::to());
        let due: Vec<Bookmark> = due.into_iter().map(|s| mark(s, Self::to())).collect();
        self.marks.extend(due);
        let surplus = copy::surplus_bookmarks(&self.marks, &[Self::to()]);
        let stays = |guid| self.marks.iter().any(|mark| mark.guid == guid && !surplus.contains(&mark.name));
        assert!(have.is_none_or(stays), "the bookmark of what the replica has would go");
    }
}

/// What a rule lets go, the newest spared.
fn expired(rule: &Rule, snapshots: &[Snapshot], now: UnixTime) -> BTreeSet<Guid> {
    let verdicts = judge(rule, snapshots, Origin::Elsewhere, &DatasetNotes::default(), 0, now);
    let older = snapshots.iter().zip(&verdicts).take(snapshots.len().saturating_sub(1));
    older.filter(|(_, verdict)| verdict.expired(now)).map(|(snapshot, _)| snapshot.guid).collect()
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let cut = prop_oneof![
        2 => Just(Cut::Not),
        2 => (0_usize..4).prop_map(Cut::During),
        1 => (0_usize..4).prop_map(Cut::Unheard),
    ];
    let act = prop_oneof![
        8 => (1_i64..90).prop_map(Act::Take),
        1 => (90_i64..5000).prop_map(Act::Take),
        1 => Just(Act::Ask),
        1 => Just(Act::Foreign),
        2 => Just(Act::Thin),
        2 => any::<prop::sample::Index>().prop_map(Act::Destroy),
        2 => Just(Act::ThinThere),
        2 => Just(Act::Tidy),
        6 => cut.prop_map(Act::Run),
    ];
    proptest::collection::vec(act, 1..80)
}

fn rules() -> impl Strategy<Value = (&'static str, &'static str)> {
    let keeps = prop_oneof![
        Just("keep = { hourly = 6, daily = 4 }"),
        Just("windows = [{ period = \"1h\" }]"),
        Just("windows = []"),
        Just("at-least = 2\nwindows = [{ max-age = \"1d\", period = \"3h\" }]"),
    ];
    let narrow = prop_oneof![Just("windows = []"), Just("windows = [{ max-age = \"1d\", period = \"2h\" }]")];
    (keeps, narrow)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Bases fit at every step, or `run` fails.
    #[test]
    fn whatever_is_cut_and_pruned_ends_with_the_newest_there_and_nothing_twice((keeps, narrow) in rules(), acts in acts()) {
        let mut sides = Sides::new(keeps, narrow);
        for act in &acts {
            sides.act(act);
        }
        sides.act(&Act::Take(1));
        sides.run(Cut::Not);
        prop_assert!(sides.arrivals.values().all(|count| *count == 1), "something arrived twice");
        let done = sides.planned(|plan| plan == Plan::UpToDate);
        let newest = sides.there.iter().flatten().last().map(|s| s.guid);
        // Where a base was lost, it was one that nobody could have remembered.
        if sides.unknown.is_empty() {
            prop_assert!(done, "a plan after success is empty");
            prop_assert_eq!(newest, sides.source.last().map(|s| s.guid));
            prop_assert!(sides.partial.is_none());
        }
        let foreign = |s: &Snapshot| s.tag.as_str().starts_with("by-hand");
        prop_assert!(!sides.there.iter().flatten().any(foreign), "not zam's to send");
    }

    /// Against a count by hand: one for each hour that the replica has none of, the earliest, and the newest.
    #[test]
    fn what_the_destination_wants_arrives(gaps in proptest::collection::vec((1_i64..50, any::<bool>()), 1..80)) {
        let mut sides = Sides::new("windows = [{ period = \"1h\" }]", "windows = []");
        let mut expected: Vec<Guid> = Vec::new();
        let mut hours = BTreeSet::new();
        let mut since: Vec<(Guid, i64)> = Vec::new();
        for (gap, run) in gaps {
            sides.act(&Act::Take(gap));
            since.push((Guid(sides.next), sides.now.0 / 3600));
            if run {
                let (newest, last) = *since.last().unwrap();
                expected.extend(since.drain(..).filter(|(guid, hour)| hours.insert(*hour) || *guid == newest).map(|(guid, _)| guid));
                hours.insert(last);
                sides.run(Cut::Not);
            }
        }
        let there: Vec<Guid> = sides.there.iter().flatten().map(|s| s.guid).collect();
        prop_assert_eq!(there, expected);
    }

    /// A run that is cut at a step and goes on later leaves the same as one that is not.
    #[test]
    fn cut_anywhere_and_planned_again_is_as_if_it_had_not_been_cut(count in 1_i64..60, at in 0_usize..40, unheard in any::<bool>()) {
        let play = |cut| {
            let mut sides = Sides::new("keep = { hourly = 6, daily = 4 }", "windows = []");
            (0..count).for_each(|_| sides.act(&Act::Take(17)));
            sides.run(cut);
            sides.run(Cut::Not);
            sides.there
        };
        prop_assert_eq!(play(if unheard { Cut::Unheard(at) } else { Cut::During(at) }), play(Cut::Not));
    }
}

#[test]
fn what_arrived_unheard_of_is_a_base_although_it_was_pruned_here() {
    let mut sides = Sides::new("windows = []", "windows = []");
    (0..5).for_each(|_| sides.act(&Act::Take(10)));
    sides.run(Cut::Unheard(2));
    sides.source.retain(|s| s.guid.0 > 3);
    sides.run(Cut::Not);
    assert_eq!(sides.there.unwrap().len(), 5);
    // At most two wait to be heard of, so that the three that stay have the base among them.
    let mut sides = Sides::new("windows = []", "windows = []");
    sides.act(&Act::Take(10));
    sides.run(Cut::Not);
    for _ in 0..6 {
        sides.act(&Act::Take(10));
        sides.run(Cut::During(0));
        sides.source.clear();
        sides.act(&Act::Tidy);
    }
    sides.act(&Act::Take(10));
    sides.run(Cut::Not);
    assert_eq!(sides.there.unwrap().len(), 2);
}

#[test]
fn a_destination_is_named_by_where_it_is() {
    let to = |keys: &str| {
        let entry = entry("UTC", &format!("destinations = [{{ {keys} }}]"));
        (entry.destinations[0].id().to_string(), entry)
    };
    let (olympus, entry) = to("remote-host = 'olympus'");
    assert_eq!(olympus.len(), 8);
    assert_eq!(olympus, to("remote-host = 'olympus', keep = { daily = 3 }, bandwidth = '1M', user = 'x'").0);
    let others =
        ["remote-host = 'athos'", "remote-host = 'olympus', pool = 'nas'", "pool = 'olympus'", "root = 'olympus'"];
    let all: BTreeSet<String> = others.iter().map(|keys| to(keys).0).chain([olympus.clone()]).collect();
    assert_eq!(all.len(), 5);
    // It is written into bookmarks: it stays what it is.
    assert_eq!(olympus, "7bcb02ac");
    let source: DatasetName = "tank/a".parse().unwrap();
    assert_eq!(entry.destinations[0].relative(&entry, &source).unwrap().as_str(), "tank/a");
}
