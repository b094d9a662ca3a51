//! One bad name fails a whole call of ZFS, sometimes without saying which. Here the call is made again without it, so
//! that one denied or vanished dataset does not cost the others their snapshot.

use crate::door::Lister;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use zam_names::{Guid, SnapshotName, Target};

/// Why ZFS refused a name or a call.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// The dataset or snapshot is not there.
    #[error("it is not there")]
    NotFound,
    /// A snapshot (dataset, bookmark) of this name is there already.
    #[error("one of this name is there already")]
    Exists,
    /// Held, being sent, mounted and in use, being received into, or waiting for a cut receive to go on.
    #[error("it is busy or held")]
    Busy,
    /// It has clones.
    #[error("it has clones")]
    HasClones,
    /// The grant is missing; `zamctl grant --check` says which.
    #[error("permission denied")]
    NotPermitted,
    /// The pool is full, or a quota or snapshot_limit is reached.
    #[error("out of space, or a quota or snapshot_limit is reached")]
    NoSpace,
    /// The hold is there already.
    #[error("the hold is there already")]
    TagExists,
    /// The hold is not there.
    #[error("the hold is not there")]
    NoTag,
    /// The pool has stopped all input and output.
    #[error("the pool is suspended")]
    Suspended,
    /// The name now belongs to another snapshot than the one meant.
    #[error("another snapshot has taken this name")]
    OtherGuid,
    /// The listing that must come first failed.
    #[error("cannot list it: {0}")]
    Unlisted(String),
    /// Anything else, in ZFS's words.
    #[error("{0}")]
    Other(String),
}

/// What a single call of ZFS gave: those that it passed over although it succeeded for the rest (`lzc_hold` and
/// `lzc_release` do so for a snapshot or a tag that is gone), or why it did nothing at all.
pub type CallResult<N = SnapshotName> = Result<Vec<(N, Refusal)>, CallFailure<N>>;

/// How a single call of ZFS failed: it changed nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallFailure<N = SnapshotName> {
    /// What the call as a whole returned.
    pub whole: Refusal,
    /// What was said of single names; may be empty.
    pub each: Vec<(N, Refusal)>,
}

impl<N> CallFailure<N> {
    /// One that blames nobody.
    pub(crate) fn whole(whole: Refusal) -> Self {
        Self { whole, each: Vec::new() }
    }
}

impl<N> From<Refusal> for CallFailure<N> {
    fn from(whole: Refusal) -> Self {
        Self::whole(whole)
    }
}

/// One that was not done, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed<T> {
    /// Which.
    pub what: T,
    /// Why not.
    pub why: Refusal,
}

/// What became of a list of names. Every name is in exactly one of the two lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
pub struct Batch<T> {
    /// Done, or found done already.
    pub done: Vec<T>,
    /// Not done.
    pub failed: Vec<Failed<T>>,
    /// Whether all that was done was done by one call.
    pub atomic: bool,
}

impl<T> Batch<T> {
    /// What comes of asking for nothing.
    pub fn nothing() -> Self {
        Self { done: Vec::new(), failed: Vec::new(), atomic: true }
    }

    /// Counts those that failed for this reason as done: they are as they should be.
    pub(crate) fn forgive(mut self, reason: Refusal) -> Self {
        let (forgiven, failed) = self.failed.into_iter().partition(|failed| failed.why == reason);
        self.failed = failed;
        self.done.extend(Vec::into_iter(forgiven).map(|failed: Failed<T>| failed.what));
        self
    }
}

/// Runs `call` on all names; on failure drops the names it blames, or halves the list where it blames none, until every
/// name is done or has its own reason. A call that only touches what is left cannot undo what was done before.
pub(crate) fn by_name<N: Clone + Eq + Hash>(names: &[N], call: impl Fn(&[N]) -> CallResult<N>) -> Batch<N> {
    let mut batch = Batch::nothing();
    let mut calls_that_did = 0;
    let mut waiting = vec![each_once(names)];
    while let Some(names) = waiting.pop() {
        if names.is_empty() {
            continue;
        }
        let (passed_over, failure) = match call(&names) {
            Ok(passed_over) => (passed_over, None),
            Err(CallFailure { whole, each }) => (each, Some(whole)),
        };
        let blamed: HashMap<N, Refusal> = passed_over.into_iter().collect();
        let (bad, good): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| blamed.contains_key(name));
        batch
            .failed
            .extend(bad.iter().filter_map(|name| Some(Failed { what: name.clone(), why: blamed.get(name)?.clone() })));
        match failure {
            None => {
                calls_that_did += usize::from(!good.is_empty());
                batch.done.extend(good);
            }
            Some(why) if bad.is_empty() && (good.len() == 1 || is_of_the_pool(&why)) => {
                batch.failed.extend(good.into_iter().map(|what| Failed { what, why: why.clone() }));
            }
            Some(_) if bad.is_empty() => {
                let (front, back) = good.split_at(good.len() / 2);
                waiting.extend([back.to_vec(), front.to_vec()]);
            }
            Some(_) => waiting.push(good),
        }
    }
    batch.atomic = calls_that_did <= 1;
    batch
}

/// Whether a refusal that names nobody means all: the pool itself is in the way. A full one makes every call wait for a
/// transaction before it refuses, so it is not asked again and again.
fn is_of_the_pool(why: &Refusal) -> bool {
    matches!(why, Refusal::Suspended | Refusal::NoSpace)
}

/// The names in their order, each once: ZFS takes a name given twice for one.
fn each_once<N: Clone + Eq + Hash>(names: &[N]) -> Vec<N> {
    let mut seen = HashSet::new();
    names.iter().filter(|name| seen.insert(*name)).cloned().collect()
}

/// Lists the targets again, leaves out those whose name now belongs to another snapshot, and runs `call` on the rest.
/// One that is gone counts as done: nothing is left to do.
pub(crate) fn by_identity(
    lister: &(impl Lister + ?Sized),
    targets: &[Target],
    call: impl Fn(&[SnapshotName]) -> CallResult,
) -> Batch<Target> {
    let mut batch = Batch::nothing();
    // By their names: a dataset may have thousands of snapshots besides the few that are meant.
    let names: Vec<SnapshotName> = targets.iter().map(|target| target.name.clone()).collect();
    let now: HashMap<SnapshotName, Guid> = match lister.details(&names) {
        Ok(rows) => rows.into_iter().map(|(name, snapshot)| (name, snapshot.guid)).collect(),
        Err(error) => {
            let why = Refusal::Unlisted(error.to_string());
            batch.failed = targets.iter().map(|t| Failed { what: t.clone(), why: why.clone() }).collect();
            return batch;
        }
    };
    let mut meant: HashMap<SnapshotName, Target> = HashMap::new();
    for target in targets {
        match now.get(&target.name) {
            None => batch.done.push(target.clone()),
            Some(guid) if *guid == target.guid => drop(meant.insert(target.name.clone(), target.clone())),
            Some(_) => batch.failed.push(Failed { what: target.clone(), why: Refusal::OtherGuid }),
        }
    }
    let mut names: Vec<SnapshotName> = meant.keys().cloned().collect();
    names.sort();
    let by_name = by_name(&names, call);
    batch.done.extend(by_name.done.iter().filter_map(|name| meant.get(name).cloned()));
    batch.failed.extend(
        by_name.failed.into_iter().filter_map(|f| Some(Failed { what: meant.get(&f.what)?.clone(), why: f.why })),
    );
    batch.atomic = by_name.atomic;
    batch.forgive(Refusal::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;
    use proptest::prelude::*;
    use std::cell::{Cell, RefCell};
    use std::collections::BTreeMap;

    fn name(number: u32) -> SnapshotName {
        format!("tank/d{number}@x").parse().unwrap()
    }

    /// How a name behaves in a call.
    #[derive(Clone, Debug, PartialEq, Eq)]
    enum Temper {
        Good,
        /// Fails the whole call, and is named.
        Blamed(Refusal),
        /// Fails the whole call without a word.
        Silent(Refusal),
        /// Is left out, the rest is done.
        PassedOver(Refusal),
    }

    impl Temper {
        fn why(&self) -> Option<&Refusal> {
            match self {
                Self::Good => None,
                Self::Blamed(why) | Self::Silent(why) | Self::PassedOver(why) => Some(why),
            }
        }
    }

    /// What a machine blames when several names are bad.
    #[derive(Clone, Copy, Debug)]
    enum Blames {
        All,
        /// As `lzc_hold`.
        TheFirst,
        /// Besides, somebody nobody asked about.
        Strangers,
    }

    struct Fake {
        tempers: BTreeMap<SnapshotName, Temper>,
        blames: Blames,
        calls: Cell<usize>,
        done: RefCell<Vec<SnapshotName>>,
    }

    impl Fake {
        fn new(tempers: &BTreeMap<SnapshotName, Temper>, blames: Blames) -> Self {
            Self { tempers: tempers.clone(), blames, calls: Cell::new(0), done: RefCell::default() }
        }

        fn call(&self, names: &[SnapshotName]) -> CallResult {
            self.calls.set(self.calls.get() + 1);
            let of = |wanted: fn(&Temper) -> bool| -> Vec<(SnapshotName, Refusal)> {
                let bad = names.iter().filter(|name| wanted(&self.tempers[*name]));
                bad.map(|name| (name.clone(), self.tempers[name].why().unwrap().clone())).collect()
            };
            if let Some((_, whole)) = of(|t| matches!(t, Temper::Silent(_))).pop() {
                return Err(CallFailure { whole, each: Vec::new() });
            }
            let mut each = of(|t| matches!(t, Temper::Blamed(_)));
            if let Some((_, whole)) = each.last().cloned() {
                match self.blames {
                    Blames::All => {}
                    Blames::TheFirst => each.truncate(1),
                    Blames::Strangers => each.push((name(1000), Refusal::Busy)),
                }
                return Err(CallFailure { whole, each });
            }
            let passed_over = of(|t| matches!(t, Temper::PassedOver(_)));
            let done = names.iter().filter(|name| self.tempers[*name] == Temper::Good).cloned();
            self.done.borrow_mut().extend(done);
            Ok(passed_over)
        }
    }

    fn refusal() -> impl Strategy<Value = Refusal> {
        proptest::sample::select(vec![Refusal::NotFound, Refusal::Exists, Refusal::Busy, Refusal::NotPermitted])
    }

    fn temper() -> impl Strategy<Value = Temper> {
        prop_oneof![
            4 => Just(Temper::Good),
            1 => refusal().prop_map(Temper::Blamed),
            1 => Just(Temper::Blamed(Refusal::NoSpace)),
            1 => refusal().prop_map(Temper::Silent),
            1 => refusal().prop_map(Temper::PassedOver),
        ]
    }

    fn tempers() -> impl Strategy<Value = BTreeMap<SnapshotName, Temper>> {
        proptest::collection::vec(temper(), 0..40).prop_map(|tempers| (0..).map(name).zip(tempers).collect())
    }

    fn blames() -> impl Strategy<Value = Blames> {
        proptest::sample::select(vec![Blames::All, Blames::TheFirst, Blames::Strangers])
    }

    proptest! {
        #[test]
        fn what_can_be_done_is_done_and_every_name_has_its_own_end(tempers in tempers(), blames in blames()) {
            let fake = Fake::new(&tempers, blames);
            let names: Vec<SnapshotName> = tempers.keys().cloned().collect();
            let mut batch = by_name(&names, |names| fake.call(names));
            batch.done.sort();
            let good: Vec<_> = names.iter().filter(|name| tempers[*name].why().is_none()).cloned().collect();
            assert_eq!(batch.done, good);
            batch.failed.sort_by(|a, b| a.what.cmp(&b.what));
            let bad: Vec<_> = names
                .iter()
                .filter_map(|name| Some(Failed { what: name.clone(), why: tempers[name].why()?.clone() }))
                .collect();
            assert_eq!(batch.failed, bad);
        }

        #[test]
        fn nothing_is_done_twice(tempers in tempers(), blames in blames(), again in 0_usize..40) {
            let fake = Fake::new(&tempers, blames);
            let mut names: Vec<SnapshotName> = tempers.keys().cloned().collect();
            names.extend(tempers.keys().nth(again).cloned());
            let batch = by_name(&names, |names| fake.call(names));
            let mut done = fake.done.borrow().clone();
            done.sort();
            done.dedup();
            assert_eq!(done.len(), fake.done.borrow().len());
            assert_eq!(batch.done.len() + batch.failed.len(), tempers.len());
        }

        #[test]
        fn blamed_names_cost_one_more_call_and_no_atomicity(tempers in tempers()) {
            let tempers = tempers.into_iter().filter(|(_, temper)| !matches!(temper, Temper::Silent(_))).collect();
            let fake = Fake::new(&tempers, Blames::All);
            let names: Vec<SnapshotName> = tempers.keys().cloned().collect();
            let batch = by_name(&names, |names| fake.call(names));
            assert!(batch.atomic);
            assert!(fake.calls.get() <= 2);
        }

        #[test]
        fn a_silent_one_costs_a_logarithm_of_calls(number in 0_u32..1000) {
            let tempers = (0..1000).map(|n| (name(n), if n == number { Temper::Silent(Refusal::Busy) } else { Temper::Good }));
            let tempers = tempers.collect();
            let fake = Fake::new(&tempers, Blames::All);
            let names: Vec<SnapshotName> = tempers.keys().cloned().collect();
            let batch = by_name(&names, |names| fake.call(names));
            assert_eq!(batch.failed.len(), 1);
            assert!(fake.calls.get() <= 21, "{} calls", fake.calls.get());
        }
    }

    #[test]
    fn a_suspended_or_full_pool_is_asked_once() {
        let names: Vec<SnapshotName> = (0..9).map(name).collect();
        for why in [Refusal::Suspended, Refusal::NoSpace] {
            let calls = Cell::new(0);
            let batch = by_name(&names, |_| {
                calls.set(calls.get() + 1);
                Err(CallFailure { whole: why.clone(), each: Vec::new() })
            });
            assert_eq!((calls.get(), batch.done.len(), batch.failed.len()), (1, 0, 9));
        }
    }

    #[test]
    fn no_names_are_no_call() {
        let batch = by_name::<SnapshotName>(&[], |_| panic!("called"));
        assert_eq!(batch, Batch::nothing());
    }

    #[test]
    fn one_that_is_as_it_should_be_counts_as_done() {
        let failed = vec![
            Failed { what: 1, why: Refusal::TagExists },
            Failed { what: 2, why: Refusal::Busy },
            Failed { what: 3, why: Refusal::TagExists },
        ];
        let batch = Batch { done: vec![0], failed, atomic: true }.forgive(Refusal::TagExists);
        assert_eq!(batch.done, [0, 1, 3]);
        assert_eq!(batch.failed, [Failed { what: 2, why: Refusal::Busy }]);
    }
}
