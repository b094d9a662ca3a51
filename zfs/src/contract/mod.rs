//! One suite for both machines: what the daemons count on. `cargo test` runs it on the simulated pool, the example
//! `contract` on real ZFS in the lab, so that the simulation cannot drift.

mod changing;
mod copying;
mod looking;
mod rights;
mod stage;
mod streams;

pub use stage::{Ground, OTHER, RIGHTFUL, Trouble};

use crate::batch::{Batch, Failed, Refusal};
use crate::copy::{ReceiveError, ReceiveStep, SendStep};
use crate::door::{Clearer, Destroyer, Keeper, Open, Receiver, Sender, Snapshotter};
use serde::{Deserialize, Serialize};
use stage::{Check, Stage};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use zam_names::{BookmarkName, DatasetName, HoldTag, SnapshotName, Target};

/// One verb of a role's door, as it is handed to a process of the user who is to try it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    /// [`Snapshotter::snapshot`].
    Snapshot(Vec<SnapshotName>),
    /// [`Keeper::hold`].
    Hold(HoldTag, Vec<SnapshotName>),
    /// [`Keeper::release`].
    Release(HoldTag, Vec<Target>),
    /// [`Destroyer::destroy`].
    Destroy(Vec<Target>),
    /// [`Destroyer::destroy_bookmarks`], of one.
    DestroyBookmark(BookmarkName),
    /// [`Sender::estimate`].
    Estimate(SendStep),
    /// [`Sender::send`] and [`SendStep::check`], into a new file.
    Send(SendStep, PathBuf),
    /// [`Sender::bookmark`], of one.
    Bookmark(Target, BookmarkName),
    /// [`Receiver::receive`], of what is in a file, which comes through a pipe.
    Receive(ReceiveStep, PathBuf),
    /// [`Receiver::placeholder`].
    Placeholder(DatasetName),
    /// [`Clearer::clear`].
    Clear(DatasetName),
}

/// What an act gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Done {
    /// Of many names.
    Batch(Batch<SnapshotName>),
    /// Of one copy; how many bytes, where that was asked.
    Copied(Result<u64, ReceiveError>),
}

impl Act {
    /// Does it, through the door of the role whose verb it is.
    #[must_use]
    pub fn perform(&self, open: &Open) -> Done {
        Done::Batch(match self {
            Self::Snapshot(names) => open.for_snap().snapshot(names),
            Self::Hold(tag, names) => open.for_snap().hold(tag, names),
            Self::Release(tag, targets) => by_name(open.for_snap().release(tag, targets)),
            Self::Destroy(targets) => by_name(open.for_prune().destroy(targets)),
            copy => return Done::Copied(copy.copied(open)),
        })
    }

    fn copied(&self, open: &Open) -> Result<u64, ReceiveError> {
        let other = |error: std::io::Error| Refusal::Other(error.to_string());
        match self {
            Self::Estimate(step) => return Ok(open.for_send().estimate(step)?),
            Self::Send(step, file) => send(open, step, File::create_new(file).map_err(other)?)?,
            Self::Bookmark(target, name) => only(open.for_send().bookmark(&[(target.clone(), name.clone())]))?,
            Self::DestroyBookmark(name) => only(open.for_prune().destroy_bookmarks(std::slice::from_ref(name)))?,
            Self::Receive(step, file) => {
                let mut file = File::open(file).map_err(other)?;
                let (far, mut near) = io::pipe().map_err(other)?;
                // What the other end no longer takes is the receiver's to tell.
                std::thread::spawn(move || std::io::copy(&mut file, &mut near));
                open.for_recv().receive(step, far.into())?;
            }
            Self::Placeholder(dataset) => open.for_recv().placeholder(dataset)?,
            Self::Clear(dataset) => open.for_clear().clear(dataset)?,
            Self::Snapshot(_) | Self::Hold(..) | Self::Release(..) | Self::Destroy(_) => {}
        }
        Ok(0)
    }
}

/// Sends, reads beside it, and keeps it if it is the one that is meant.
fn send(open: &Open, step: &SendStep, mut file: File) -> Result<(), Refusal> {
    let other = |error: io::Error| Refusal::Other(error.to_string());
    let (mut reader, writer) = io::pipe().map_err(other)?;
    std::thread::scope(|scope| {
        let reading = scope.spawn(move || {
            let mut first = [0; SendStep::FIRST];
            match reader.read_exact(&mut first) {
                Ok(()) => step.check(&first)?,
                // There is none; the sender says why.
                Err(_) => return Ok(()),
            }
            file.write_all(&first).and_then(|()| io::copy(&mut reader, &mut file)).map(drop).map_err(other)
        });
        let sent = open.for_send().send(step, writer.into());
        let read = reading.join().unwrap_or_else(|_| Err(Refusal::Other("the thread that reads died".to_owned())));
        read.and(sent)
    })
}

/// The outcome of a batch of one.
fn only<T>(batch: Batch<T>) -> Result<(), Refusal> {
    batch.failed.into_iter().next().map_or(Ok(()), |failed| Err(failed.why))
}

/// What a case found.
#[derive(Debug)]
#[must_use]
pub struct CaseResult {
    /// The case, a sentence about behaviour.
    pub name: &'static str,
    /// Why it failed, if it did.
    pub outcome: Result<(), Trouble>,
}

/// The cases' names in the order in which they run.
pub fn names() -> impl Iterator<Item = &'static str> {
    cases().map(|(name, _)| *name)
}

/// Runs every case whose name contains `only`, each on a tree of its own, and tells `each` as soon as it is known.
pub fn run(ground: &dyn Ground, only: &str, mut each: impl FnMut(CaseResult)) {
    let is_copying = |name: &str| copying::CASES.iter().any(|(case, _)| *case == name);
    let cases = cases().enumerate().filter(|(_, (name, _))| name.contains(only));
    for (number, (name, check)) in cases.filter(|(_, (name, _))| ground.copies() || !is_copying(name)) {
        let outcome = check(&Stage::new(ground, number));
        each(CaseResult { name, outcome });
    }
}

fn cases() -> impl Iterator<Item = &'static (&'static str, Check)> {
    looking::CASES.iter().chain(rights::CASES).chain(changing::CASES).chain(copying::CASES)
}

fn by_name(batch: Batch<Target>) -> Batch<SnapshotName> {
    let done = batch.done.into_iter().map(|target| target.name).collect();
    let failed = batch.failed.into_iter().map(|f| Failed { what: f.what.name, why: f.why }).collect();
    Batch { done, failed, atomic: batch.atomic }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::door::Lister;
    use crate::sim::{Admin, Sim};
    use std::path::Path;
    use zam_names::PoolName;

    struct OnSim<'a> {
        folder: &'a Path,
        pool: PoolName,
    }

    impl Ground for OnSim<'_> {
        fn pool(&self) -> &PoolName {
            &self.pool
        }

        fn script(&self, lines: &str) -> Result<(), Trouble> {
            Admin::open(self.folder).unwrap().script(lines).map_err(Trouble::new)
        }

        fn act(&self, user: &str, act: &Act) -> Result<Done, Trouble> {
            Ok(act.perform(&Open::Sim { folder: self.folder.to_owned(), user: user.to_owned() }))
        }

        fn lister(&self) -> Box<dyn Lister> {
            Box::new(Sim::open(self.folder, OTHER))
        }

        fn tells_when_snapshots_changed(&self) -> bool {
            self.pool.as_str() != "old"
        }

        fn scratch(&self) -> &Path {
            self.folder
        }
    }

    fn failures_on(pool: &str, make: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        Admin::open(folder.path()).unwrap().script(make).unwrap();
        let ground = OnSim { folder: folder.path(), pool: pool.parse().unwrap() };
        let mut failures = Vec::new();
        run(&ground, "", |case| failures.extend(case.outcome.err().map(|why| format!("{}: {why}", case.name))));
        failures
    }

    #[test]
    fn the_simulated_pool_keeps_the_contract() {
        assert_eq!(failures_on("tank", "pool tank"), [""; 0]);
    }

    #[test]
    fn the_simulated_old_pool_keeps_the_contract() {
        assert_eq!(failures_on("old", "pool old\n old old"), [""; 0]);
    }
}
