//! What a case stands on, and the words in which it is written.

use super::{Act, Done};
use crate::batch::{Batch, Refusal};
use crate::copy::ReceiveError;
use crate::door::{Lister, Scope};
use std::cell::Cell;
use std::fmt::{self, Debug, Display};
use std::path::Path;
use zam_names::{Dataset, DatasetName, Guid, PoolName, Snapshot, SnapshotName, Target};

/// A machine with its administrator and its users.
pub trait Ground {
    /// A pool on which the cases may do what they like.
    fn pool(&self) -> &PoolName;

    /// The administrator's side, in the words of [`Admin`](crate::sim::Admin).
    ///
    /// # Errors
    /// At the first command that fails.
    fn script(&self, lines: &str) -> Result<(), Trouble>;

    /// Lets a user ([`RIGHTFUL`] or [`OTHER`]) try a verb.
    ///
    /// # Errors
    /// If the user's process could not be run; a refusal is in what was done.
    fn act(&self, user: &str, act: &Act) -> Result<Done, Trouble>;

    /// Looks. It needs no right.
    fn lister(&self) -> Box<dyn Lister>;

    /// Whether this OpenZFS has `snapshots_changed`.
    fn tells_when_snapshots_changed(&self) -> bool;

    /// Where both users may leave and read files.
    fn scratch(&self) -> &Path;

    /// Whether streams can be made and taken here: not without libzfs_core.
    fn copies(&self) -> bool {
        true
    }
}

/// The user whom the cases give rights.
pub const RIGHTFUL: &str = "zam-c1";
/// A user who has no right, or fewer.
pub const OTHER: &str = "zam-c2";

/// Why a case failed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Trouble(pub(super) String);

impl Trouble {
    /// Anything that can be said.
    pub fn new(why: impl Display) -> Self {
        Self(why.to_string())
    }
}

pub(super) type Check = fn(&Stage<'_>) -> Result<(), Trouble>;

/// A case's own tree on the ground. In all its words `$` is the tree's top, and names are separated by blanks.
pub(super) struct Stage<'a> {
    ground: &'a dyn Ground,
    top: String,
    files: Cell<usize>,
}

impl<'a> Stage<'a> {
    /// The top comes to be with the first dataset that the case makes below it.
    pub(super) fn new(ground: &'a dyn Ground, number: usize) -> Self {
        Self { ground, top: format!("{}/case{number}", ground.pool()), files: Cell::new(0) }
    }

    pub(super) fn ground(&self) -> &dyn Ground {
        self.ground
    }

    pub(super) fn lister(&self) -> Box<dyn Lister> {
        self.ground.lister()
    }

    pub(super) fn script(&self, lines: &str) -> Result<(), Trouble> {
        self.ground.script(&self.full(lines))
    }

    pub(super) fn full(&self, words: &str) -> String {
        words.replace('$', &self.top)
    }

    pub(super) fn dataset(&self, name: &str) -> Result<DatasetName, Trouble> {
        self.full(name).parse().map_err(Trouble::new)
    }

    pub(super) fn names(&self, words: &str) -> Result<Vec<SnapshotName>, Trouble> {
        self.full(words).split_whitespace().map(|word| word.parse().map_err(Trouble::new)).collect()
    }

    /// Snapshots as they are now, to be acted on by identity.
    pub(super) fn targets(&self, words: &str) -> Result<Vec<Target>, Trouble> {
        let names = self.names(words)?;
        let found = self.lister().details(&names).map_err(Trouble::new)?;
        if found.len() != names.len() {
            return Err(Trouble(format!("{} of {} are there: {words}", found.len(), names.len())));
        }
        Ok(found.into_iter().map(|(name, snapshot)| Target { name, guid: snapshot.guid }).collect())
    }

    pub(super) fn snapshot(&self, user: &str, names: &str) -> Result<Outcome<'_>, Trouble> {
        self.act(user, Act::Snapshot(self.names(names)?))
    }

    pub(super) fn hold(&self, user: &str, tag: &str, names: &str) -> Result<Outcome<'_>, Trouble> {
        self.act(user, Act::Hold(tag.parse().map_err(Trouble::new)?, self.names(names)?))
    }

    pub(super) fn release(&self, user: &str, tag: &str, targets: Vec<Target>) -> Result<Outcome<'_>, Trouble> {
        self.act(user, Act::Release(tag.parse().map_err(Trouble::new)?, targets))
    }

    pub(super) fn destroy(&self, user: &str, targets: Vec<Target>) -> Result<Outcome<'_>, Trouble> {
        self.act(user, Act::Destroy(targets))
    }

    fn act(&self, user: &str, act: Act) -> Result<Outcome<'_>, Trouble> {
        match self.ground.act(user, &act)? {
            Done::Batch(batch) => Ok(Outcome { stage: self, batch }),
            Done::Copied(_) => Err(Trouble::new("no batch came back")),
        }
    }

    pub(super) fn copied(&self, user: &str, act: Act) -> Result<Result<u64, ReceiveError>, Trouble> {
        match self.ground.act(user, &act)? {
            Done::Copied(outcome) => Ok(outcome),
            Done::Batch(_) => Err(Trouble::new("a batch came back")),
        }
    }

    /// A file of this case that nobody has had.
    pub(super) fn file(&self) -> String {
        let number = self.files.get();
        self.files.set(number + 1);
        let case = self.top.rsplit('/').next().unwrap_or_default();
        self.ground.scratch().join(format!("{case}-{number}")).display().to_string()
    }

    /// The tags of a dataset's snapshots, oldest first, separated by blanks.
    pub(super) fn tags(&self, dataset: &str) -> Result<String, Trouble> {
        let datasets = [self.dataset(dataset)?];
        let mut rows = self.lister().snapshots(Scope::Datasets(&datasets)).map_err(Trouble::new)?;
        rows.sort_by_key(|(name, _, createtxg)| (*createtxg, name.clone()));
        Ok(rows.iter().map(|(name, _, _)| name.tag().as_str()).collect::<Vec<_>>().join(" "))
    }

    pub(super) fn details(&self, name: &str) -> Result<Snapshot, Trouble> {
        let found = self.lister().details(&self.names(name)?).map_err(Trouble::new)?;
        found.into_iter().next().map(|(_, snapshot)| snapshot).ok_or_else(|| Trouble(format!("{name} is not there")))
    }

    /// The tags that hold a snapshot, in their order, separated by blanks.
    pub(super) fn holds(&self, name: &str) -> Result<String, Trouble> {
        let found = self.lister().holds(&self.names(name)?).map_err(Trouble::new)?;
        let mut tags: Vec<String> = found.into_iter().flat_map(|(_, tags)| tags).map(String::from).collect();
        tags.sort();
        Ok(tags.join(" "))
    }

    pub(super) fn listed(&self, dataset: &str) -> Result<Dataset, Trouble> {
        let name = self.dataset(dataset)?;
        let datasets = self.lister().datasets(self.ground.pool()).map_err(Trouble::new)?;
        datasets.into_iter().find(|d| d.name == name).ok_or_else(|| Trouble(format!("{name} is not there")))
    }

    /// The GUIDs of datasets, of those that are there. By one listing, since that of a real pool is slow.
    pub(super) fn guids(&self, words: &str) -> Result<Vec<Option<Guid>>, Trouble> {
        let datasets = self.lister().datasets(self.ground.pool()).map_err(Trouble::new)?;
        let guid = |word: &str| {
            let name = self.dataset(word)?;
            Ok(datasets.iter().find(|d| d.name == name).map(|d| d.guid))
        };
        words.split_whitespace().map(guid).collect()
    }
}

/// What a verb gave.
#[must_use]
pub(super) struct Outcome<'a> {
    stage: &'a Stage<'a>,
    batch: Batch<SnapshotName>,
}

impl Outcome<'_> {
    /// Exactly these were done, and none failed.
    pub(super) fn all_done(&self, done: &str) -> Result<(), Trouble> {
        self.did(done, &[])
    }

    /// Exactly these were done, and those failed, for these reasons.
    pub(super) fn did(&self, done: &str, failed: &[(&str, Refusal)]) -> Result<(), Trouble> {
        let mut wanted = Vec::new();
        for (names, why) in failed {
            wanted.extend(self.stage.names(names)?.into_iter().map(|name| (name, why.to_string())));
        }
        let mut got: Vec<_> = self.batch.failed.iter().map(|f| (f.what.clone(), f.why.to_string())).collect();
        wanted.sort();
        got.sort();
        equal("failed", &got, &wanted)?;
        let (mut got, mut wanted) = (self.batch.done.clone(), self.stage.names(done)?);
        got.sort();
        wanted.sort();
        equal("done", &got, &wanted)
    }

    pub(super) fn in_one_call(&self, yes: bool) -> Result<(), Trouble> {
        equal("done by one call", &self.batch.atomic, &yes)
    }
}

pub(super) fn equal<T: PartialEq + Debug + ?Sized>(what: &str, got: &T, wanted: &T) -> Result<(), Trouble> {
    if got == wanted { Ok(()) } else { Err(Trouble(format!("{what}: {got:?} instead of {wanted:?}"))) }
}

pub(super) fn holds_true(what: impl fmt::Display, is: bool) -> Result<(), Trouble> {
    if is { Ok(()) } else { Err(Trouble(format!("not so: {what}"))) }
}

/// The named functions of a file, with their names.
macro_rules! cases {
    ($($name:ident),+ $(,)?) => {
        pub(super) const CASES: &[(&str, $crate::contract::stage::Check)] = &[$((stringify!($name), $name)),+];
    };
}
pub(super) use cases;
