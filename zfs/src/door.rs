//! What each role may ask of ZFS. The types are the first fence: what zamd-snap holds has no destroy method.

use crate::batch::{self, Batch, CallResult, Failed, Refusal};
use crate::copy::{CopyFacts, ReceiveError, ReceiveStep, SendStep};
use crate::{real::Real, sim::Sim};
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use zam_names::{
    Bookmark, BookmarkName, Dataset, DatasetName, Guid, HoldTag, Pool, PoolName, Snapshot, SnapshotName, Target,
    UnixTime,
};

/// Why nothing could be learnt or done. What happened to single names is in a [`Batch`] instead.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A command could not be started, was killed, or took longer than its limit.
    #[error("cannot run {command}")]
    Run {
        /// The whole command line.
        command: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A command ended with a failure.
    #[error("{command} failed: {stderr}")]
    Failed {
        /// The whole command line.
        command: String,
        /// What it wrote to standard error, verbatim.
        stderr: String,
    },
    /// A command's answer is not in the form that its manual promises.
    #[error("cannot understand the answer of {command}: {why}, in the line {line:?}")]
    Answer {
        /// The whole command line.
        command: String,
        /// What was expected.
        why: String,
        /// The line as it came.
        line: String,
    },
    /// The simulated pool's folder cannot be read or written.
    #[error("cannot use the simulated pools in {}: {why}", folder.display())]
    Sim {
        /// The folder.
        folder: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// What to list the snapshots of.
#[derive(Clone, Copy, Debug)]
pub enum Scope<'a> {
    /// Every dataset of a pool.
    Pool(&'a PoolName),
    /// These datasets alone, not what is below them. One that is gone is left out of the answer.
    Datasets(&'a [DatasetName]),
}

/// To whom a right was delegated (`zfs-allow(8)`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GrantWho {
    /// A user, by name or, where the name is unknown, by number.
    User(String),
    /// A group likewise.
    Group(String),
    /// Everybody.
    Everyone,
    /// Whoever creates a dataset below (`-c`).
    Creator,
}

/// Where below the dataset a grant holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GrantScope {
    /// `-l`: the dataset alone.
    Local,
    /// `-d`: what is below it, and its own snapshots.
    Descendent,
    /// Neither flag: both.
    Both,
}

/// One line of `zfs allow DATASET`, set on that very dataset.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// Where it was set.
    pub dataset: DatasetName,
    /// Who has it.
    pub who: GrantWho,
    /// How far it reaches.
    pub scope: GrantScope,
    /// The permissions, sorted.
    pub permissions: Vec<String>,
}

/// Looking. Needs no right at all; every role and zamctl can.
pub trait Lister {
    /// The imported pools.
    ///
    /// # Errors
    /// If the listing fails or cannot be understood.
    fn pools(&self) -> Result<Vec<Pool>, Error>;

    /// The filesystems and volumes of a pool in the order of their names, each with an empty list of snapshots.
    ///
    /// # Errors
    /// If the listing fails or cannot be understood, for instance because the pool is not imported.
    fn datasets(&self, pool: &PoolName) -> Result<Vec<Dataset>, Error>;

    /// Name, GUID and createtxg of snapshots (the fast path of OpenZFS 2.2 and later), in no order.
    ///
    /// # Errors
    /// If the listing fails or cannot be understood.
    fn snapshots(&self, scope: Scope<'_>) -> Result<Vec<(SnapshotName, Guid, zam_names::CreateTxg)>, Error>;

    /// Everything about the named snapshots but their holds' tags (`holds` stays empty where `userrefs` is 0; else it is
    /// asked). One that is gone is left out of the answer. The slow path: for new GUIDs and candidates.
    ///
    /// # Errors
    /// If the listing fails or cannot be understood.
    fn details(&self, names: &[SnapshotName]) -> Result<Vec<(SnapshotName, Snapshot)>, Error>;

    /// The tags on each of the named snapshots; gone ones are left out.
    ///
    /// # Errors
    /// If the listing fails or cannot be understood.
    fn holds(&self, names: &[SnapshotName]) -> Result<Vec<(SnapshotName, Vec<HoldTag>)>, Error>;

    /// The bookmarks of a pool.
    ///
    /// # Errors
    /// If the listing fails or cannot be understood.
    fn bookmarks(&self, pool: &PoolName) -> Result<Vec<Bookmark>, Error>;

    /// What copying needs to know of datasets. One that is gone is left out of the answer. Of a pool, the first time after
    /// [`datasets`](Lister::datasets), it may be as of then.
    ///
    /// # Errors
    /// If the listing fails or cannot be understood.
    fn copy_facts(&self, scope: Scope<'_>) -> Result<Vec<CopyFacts>, Error>;

    /// The values of these properties of a dataset, inherited ones too, in the order of the names.
    ///
    /// # Errors
    /// If the listing fails or cannot be understood.
    fn properties(&self, dataset: &DatasetName, names: &[&str]) -> Result<Vec<String>, Error>;

    /// The delegated rights that are set on this very dataset.
    ///
    /// # Errors
    /// If the listing fails or cannot be understood.
    fn grants(&self, dataset: &DatasetName) -> Result<Vec<Grant>, Error>;
}

/// Taking snapshots.
pub trait Snapshotter: Lister {
    /// Takes all of them, of one pool, in one transaction where ZFS lets it; what stands in the way is dropped and the
    /// rest tried again, in which case the batch says that it was not atomic.
    fn snapshot(&self, names: &[SnapshotName]) -> Batch<SnapshotName>;
}

/// Holding and releasing.
pub trait Keeper: Lister {
    /// Puts the hold on each; one that has it already counts as done.
    fn hold(&self, tag: &HoldTag, names: &[SnapshotName]) -> Batch<SnapshotName>;

    /// Takes the hold off each whose GUID is still the one meant; one that has it no more counts as done.
    fn release(&self, tag: &HoldTag, targets: &[Target]) -> Batch<Target>;
}

/// Destroying snapshots and bookmarks, never anything else.
pub trait Destroyer: Lister {
    /// Destroys each whose GUID is still the one meant; never deferred, never recursive, never forced. One that is gone
    /// already counts as done.
    fn destroy(&self, targets: &[Target]) -> Batch<Target>;

    /// Destroys bookmarks. One that is gone already counts as done.
    fn destroy_bookmarks(&self, names: &[BookmarkName]) -> Batch<BookmarkName>;
}

/// Making streams.
pub trait Sender: Lister {
    /// Bytes that the whole step will take, without regard to where it goes on. Needs no right.
    ///
    /// # Errors
    /// If a snapshot or bookmark is missing.
    fn estimate(&self, step: &SendStep) -> Result<u64, Refusal>;

    /// Has the kernel write the stream of what has these names now into `out`, a pipe, to its end. Whoever reads it asks
    /// [`SendStep::check`] before anything else is done with it. The pipe's other end must lie in another process: the kernel
    /// waits for a reader, and a process that is killed meanwhile does not end before the kernel does.
    ///
    /// # Errors
    /// If ZFS refuses, or whoever reads has gone ([`Refusal::Other`]); a part may have been written.
    fn send(&self, step: &SendStep, out: OwnedFd) -> Result<(), Refusal>;

    /// Leaves a bookmark of each snapshot; one that is there already, of the same snapshot, counts as done.
    fn bookmark(&self, marks: &[(Target, BookmarkName)]) -> Batch<BookmarkName>;
}

/// Taking streams: never by force, never with properties, always so that a cut one can go on.
pub trait Receiver: Lister {
    /// Takes the one announced stream that `stream`, a pipe, brings, and waits for its end of file. The pipe's other end must lie
    /// in another process, as for [`Sender::send`]. The snapshot is there then, with the announced GUID and the date that comes
    /// back: both stand in the first record, which ZFS takes them from.
    ///
    /// # Errors
    /// If the stream is not the announced one, was cut or damaged, if something follows it, or if ZFS refuses.
    fn receive(&self, step: &ReceiveStep, stream: OwnedFd) -> Result<UnixTime, ReceiveError>;

    /// Makes a filesystem for others to be received below; one that is there already is as good.
    ///
    /// # Errors
    /// If ZFS refuses, for instance because its parent is missing.
    fn placeholder(&self, dataset: &DatasetName) -> Result<(), Refusal>;

    /// Puts the hold on each; one that has it already counts as done.
    fn hold(&self, tag: &HoldTag, names: &[SnapshotName]) -> Batch<SnapshotName>;
}

/// Giving up what a cut receive left.
pub trait Clearer {
    /// Removes the partial receive of that dataset, and nothing else (`zfs receive -A`). Where there is none, that is fine.
    ///
    /// # Errors
    /// If ZFS refuses.
    fn clear(&self, dataset: &DatasetName) -> Result<(), Refusal>;
}

/// The single calls that a machine offers: each is all or nothing as far as ZFS is, and may fail without saying for whom.
/// A hold that is there already fails the call ([`Refusal::TagExists`](batch::Refusal)); a missing snapshot or tag does not, it is passed over.
/// Private to this crate: roles get the retrying, comparing verbs above.
pub(crate) trait Machine: Copier {
    fn call_snapshot(&self, names: &[SnapshotName]) -> CallResult;
    fn call_hold(&self, tag: &HoldTag, names: &[SnapshotName]) -> CallResult;
    fn call_release(&self, tag: &HoldTag, names: &[SnapshotName]) -> CallResult;
    fn call_destroy(&self, names: &[SnapshotName]) -> CallResult;
}

/// The part of it that copies, likewise; the verbs that stand for themselves are as in [`Sender`], [`Receiver`], [`Clearer`].
pub(crate) trait Copier: Lister {
    fn estimate(&self, step: &SendStep) -> Result<u64, Refusal>;
    fn send(&self, step: &SendStep, out: OwnedFd) -> Result<(), Refusal>;
    fn call_bookmark(&self, marks: &[(BookmarkName, SnapshotName)]) -> CallResult<BookmarkName>;
    fn bookmark_guid(&self, name: &BookmarkName) -> Result<Guid, Refusal>;
    fn call_destroy_bookmarks(&self, names: &[BookmarkName]) -> CallResult<BookmarkName>;
    fn receive(&self, step: &ReceiveStep, stream: OwnedFd) -> Result<UnixTime, ReceiveError>;
    fn placeholder(&self, dataset: &DatasetName) -> Result<(), Refusal>;
    fn clear(&self, dataset: &DatasetName) -> Result<(), Refusal>;
}

/// Which ZFS to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Open {
    /// This machine's.
    Real,
    /// The simulated pools in this folder, as the role or unix user of this name.
    Sim {
        /// The folder, shared by all processes that play on it.
        folder: PathBuf,
        /// Whose grants apply.
        user: String,
    },
}

impl Open {
    fn machine(&self) -> Box<dyn Machine + Send> {
        match self {
            Self::Real => Box::new(Real::open()),
            Self::Sim { folder, user } => Box::new(Sim::open(folder, user)),
        }
    }

    /// A door that only looks.
    #[must_use]
    pub fn lister(&self) -> Box<dyn Lister + Send> {
        match self {
            Self::Real => Box::new(Real::open()),
            Self::Sim { folder, user } => Box::new(Sim::open(folder, user)),
        }
    }

    /// What zamd-snap gets.
    #[must_use]
    pub fn for_snap(&self) -> SnapDoor {
        SnapDoor(self.machine())
    }

    /// What zamd-prune gets.
    #[must_use]
    pub fn for_prune(&self) -> PruneDoor {
        PruneDoor(self.machine())
    }

    /// What zamd-send gets.
    #[must_use]
    pub fn for_send(&self) -> SendDoor {
        SendDoor(self.machine())
    }

    /// What zamd-recv gets.
    #[must_use]
    pub fn for_recv(&self) -> RecvDoor {
        RecvDoor(self.machine())
    }

    /// What the process gets that gives up a partial receive.
    #[must_use]
    pub fn for_clear(&self) -> ClearDoor {
        ClearDoor(self.machine())
    }
}

/// zamd-snap's door: list, snapshot, hold, release.
pub struct SnapDoor(Box<dyn Machine + Send>);

/// zamd-prune's door: list, destroy snapshots and bookmarks.
pub struct PruneDoor(Box<dyn Machine + Send>);

/// zamd-send's door: list, send, bookmark.
pub struct SendDoor(Box<dyn Machine + Send>);

/// zamd-recv's door: list, receive, hold, make what others are received below.
pub struct RecvDoor(Box<dyn Machine + Send>);

/// The door of the process that gives up a partial receive.
pub struct ClearDoor(Box<dyn Machine + Send>);

impl Snapshotter for SnapDoor {
    fn snapshot(&self, names: &[SnapshotName]) -> Batch<SnapshotName> {
        batch::by_name(names, |names| self.0.call_snapshot(names))
    }
}

impl Keeper for SnapDoor {
    fn hold(&self, tag: &HoldTag, names: &[SnapshotName]) -> Batch<SnapshotName> {
        hold(&*self.0, tag, names)
    }

    fn release(&self, tag: &HoldTag, targets: &[Target]) -> Batch<Target> {
        batch::by_identity(&*self.0, targets, |names| self.0.call_release(tag, names)).forgive(Refusal::NoTag)
    }
}

impl Destroyer for PruneDoor {
    fn destroy(&self, targets: &[Target]) -> Batch<Target> {
        batch::by_identity(&*self.0, targets, |names| self.0.call_destroy(names))
    }

    fn destroy_bookmarks(&self, names: &[BookmarkName]) -> Batch<BookmarkName> {
        batch::by_name(names, |names| self.0.call_destroy_bookmarks(names)).forgive(Refusal::NotFound)
    }
}

impl Sender for SendDoor {
    fn estimate(&self, step: &SendStep) -> Result<u64, Refusal> {
        self.0.estimate(step)
    }

    fn send(&self, step: &SendStep, out: OwnedFd) -> Result<(), Refusal> {
        self.0.send(step, out)
    }

    fn bookmark(&self, marks: &[(Target, BookmarkName)]) -> Batch<BookmarkName> {
        let meant: HashMap<&BookmarkName, &Target> = marks.iter().map(|(target, name)| (name, target)).collect();
        let of = |name: &BookmarkName| Some((name.clone(), meant.get(name)?.name.clone()));
        let names: Vec<BookmarkName> = marks.iter().map(|(_, name)| name.clone()).collect();
        let call = |names: &[BookmarkName]| self.0.call_bookmark(&names.iter().filter_map(of).collect::<Vec<_>>());
        let mut batch = batch::by_name(&names, call).forgive(Refusal::Exists);
        // Made now or before: it counts if it is of the snapshot that is meant.
        for what in std::mem::take(&mut batch.done) {
            match self.0.bookmark_guid(&what) {
                Ok(guid) if meant.get(&what).is_some_and(|target| target.guid == guid) => batch.done.push(what),
                Ok(_) => batch.failed.push(Failed { what, why: Refusal::OtherGuid }),
                Err(why) => batch.failed.push(Failed { what, why }),
            }
        }
        batch
    }
}

impl Receiver for RecvDoor {
    fn receive(&self, step: &ReceiveStep, stream: OwnedFd) -> Result<UnixTime, ReceiveError> {
        self.0.receive(step, stream)
    }

    fn placeholder(&self, dataset: &DatasetName) -> Result<(), Refusal> {
        self.0.placeholder(dataset)
    }

    fn hold(&self, tag: &HoldTag, names: &[SnapshotName]) -> Batch<SnapshotName> {
        hold(&*self.0, tag, names)
    }
}

impl Clearer for ClearDoor {
    fn clear(&self, dataset: &DatasetName) -> Result<(), Refusal> {
        self.0.clear(dataset)
    }
}

fn hold(machine: &dyn Machine, tag: &HoldTag, names: &[SnapshotName]) -> Batch<SnapshotName> {
    batch::by_name(names, |names| machine.call_hold(tag, names)).forgive(Refusal::TagExists)
}

/// Passes every question of [`Lister`] on.
macro_rules! lists_through {
    ($door:ty) => {
        impl Lister for $door {
            fn pools(&self) -> Result<Vec<Pool>, Error> {
                self.0.pools()
            }
            fn datasets(&self, pool: &PoolName) -> Result<Vec<Dataset>, Error> {
                self.0.datasets(pool)
            }
            fn snapshots(&self, scope: Scope<'_>) -> Result<Vec<(SnapshotName, Guid, zam_names::CreateTxg)>, Error> {
                self.0.snapshots(scope)
            }
            fn details(&self, names: &[SnapshotName]) -> Result<Vec<(SnapshotName, Snapshot)>, Error> {
                self.0.details(names)
            }
            fn holds(&self, names: &[SnapshotName]) -> Result<Vec<(SnapshotName, Vec<HoldTag>)>, Error> {
                self.0.holds(names)
            }
            fn bookmarks(&self, pool: &PoolName) -> Result<Vec<Bookmark>, Error> {
                self.0.bookmarks(pool)
            }
            fn copy_facts(&self, scope: Scope<'_>) -> Result<Vec<CopyFacts>, Error> {
                self.0.copy_facts(scope)
            }
            fn properties(&self, dataset: &DatasetName, names: &[&str]) -> Result<Vec<String>, Error> {
                self.0.properties(dataset, names)
            }
            fn grants(&self, dataset: &DatasetName) -> Result<Vec<Grant>, Error> {
                self.0.grants(dataset)
            }
        }
    };
}

lists_through!(SnapDoor);
lists_through!(PruneDoor);
lists_through!(SendDoor);
lists_through!(RecvDoor);
