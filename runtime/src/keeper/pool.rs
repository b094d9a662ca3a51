//! What a daemon and a pool's worker say to each other.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::io;
use zam_names::{Bookmark, BookmarkName, Dataset, HoldTag, Pool, PoolName, SnapshotName, Target};
use zam_policy::tags::{self, Maker};
use zam_zfs::{Batch, CopyFacts, Lister, index::Index};

/// What a worker is asked; `A` is what its role may do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Call<A> {
    /// Everything that is to be known about the pool.
    List {
        /// What zam's names begin with here: they say when they were made.
        prefix: String,
        /// Whether to ask again about what seems unchanged.
        fresh: Fresh,
    },
    /// Look again at these snapshots; answers with the datasets they are in.
    Look(Vec<SnapshotName>),
    /// Do this.
    Act(A),
}

/// How much of what is known already a listing may build on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fresh {
    /// Only what changed, as far as ZFS tells, is asked again.
    Changes,
    /// Everything is asked again.
    All,
}

/// What a worker answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Reply {
    /// The pool, and what is in it.
    Listing(Listing),
    /// What came of an act.
    Acted(Acted),
    /// Nothing came of it.
    Failed(String),
}

/// A pool's listing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Listing {
    /// The pool; none if it is not imported.
    pub pool: Option<Pool>,
    /// Its datasets with their snapshots.
    pub datasets: Vec<Dataset>,
    /// How many processes the worker has started in its life.
    pub processes: u32,
}

/// What came of an act, for each name.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Acted {
    /// Of one that goes by name: snapshot, hold.
    Names(Batch<SnapshotName>),
    /// Of one that goes by identity: release, destroy.
    Targets(Batch<Target>),
    /// Of one that goes by the bookmark's name.
    Bookmarks(Batch<BookmarkName>),
    /// Bytes of streams, as far as ZFS could estimate each.
    Bytes(Vec<Option<u64>>),
    /// What copying needs to know of a pool beside its snapshots.
    Copies {
        /// Its bookmarks.
        bookmarks: Vec<Bookmark>,
        /// Each dataset's encryption, room and partial receive.
        facts: Vec<CopyFacts>,
    },
    /// Nothing came of it.
    Failed(String),
}

/// A change to holds that a worker made itself, and so need not ask for.
pub enum Held {
    /// Put on.
    On(HoldTag),
    /// Taken off.
    Off(HoldTag),
}

/// A role's hands: the door it has, and what it can do through it.
pub trait Hands {
    /// What the role may do.
    type Act: Serialize + DeserializeOwned;

    /// The looking half of the door.
    fn lister(&self) -> &dyn Lister;

    /// Does it. If it changes holds, says which way.
    fn act(&mut self, act: Self::Act) -> (Acted, Option<Held>);
}

/// Serves one pool until the daemon goes away.
///
/// # Errors
/// If standard input is not the daemon's socket.
pub fn serve<H: Hands>(mut hands: H, pool: PoolName) -> io::Result<()> {
    let mut index = Index::new(pool.clone());
    crate::worker::serve(move |call: Call<H::Act>| answer(&mut hands, &pool, &mut index, call))
}

fn answer<H: Hands>(hands: &mut H, pool: &PoolName, index: &mut Index, call: Call<H::Act>) -> Reply {
    let listing = match call {
        Call::List { prefix, fresh } => list(hands.lister(), pool, index, &prefix, fresh),
        Call::Look(names) => look(hands.lister(), index, &names),
        Call::Act(act) => {
            let (acted, held) = hands.act(act);
            if let Some(held) = held {
                note(index, &acted, &held);
            }
            return Reply::Acted(acted);
        }
    };
    listing.map_or_else(|error| Reply::Failed(chain(&error)), Reply::Listing)
}

fn list(
    lister: &dyn Lister,
    pool: &PoolName,
    index: &mut Index,
    prefix: &str,
    fresh: Fresh,
) -> Result<Listing, zam_zfs::Error> {
    let here = || Ok::<_, zam_zfs::Error>(lister.pools()?.into_iter().find(|here| here.name == *pool));
    let named = |tag: &_| match tags::maker(prefix, tag) {
        Maker::Schedule(date) | Maker::Request(date) => Some(date),
        Maker::Other => None,
    };
    let mut refresh = || match fresh {
        Fresh::Changes => index.refresh(lister, &named).map(<[_]>::to_vec),
        Fresh::All => index.refresh_all(lister, &named).map(<[_]>::to_vec),
    };
    let (found, datasets) = match here()? {
        None => (None, Vec::new()),
        Some(pool) => match refresh() {
            Ok(datasets) => (Some(pool), datasets),
            // It was exported meanwhile.
            Err(_) if here()?.is_none() => (None, Vec::new()),
            Err(error) => return Err(error),
        },
    };
    if found.is_none() {
        *index = Index::new(pool.clone());
    }
    Ok(Listing { pool: found, datasets, processes: zam_zfs::processes_started() })
}

fn look(lister: &dyn Lister, index: &mut Index, names: &[SnapshotName]) -> Result<Listing, zam_zfs::Error> {
    index.refresh_details(lister, names)?;
    let meant: std::collections::HashSet<_> = names.iter().map(SnapshotName::dataset).collect();
    let datasets = index.datasets().iter().filter(|dataset| meant.contains(&dataset.name)).cloned().collect();
    Ok(Listing { pool: None, datasets, processes: zam_zfs::processes_started() })
}

fn note(index: &mut Index, acted: &Acted, held: &Held) {
    let names: Vec<SnapshotName> = match acted {
        Acted::Names(batch) => batch.done.clone(),
        Acted::Targets(batch) => batch.done.iter().map(|target| target.name.clone()).collect(),
        _ => return,
    };
    match held {
        Held::On(tag) => index.note_held(&names, tag),
        Held::Off(tag) => index.note_released(&names, tag),
    }
}

/// An error with all that caused it, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;
    use std::cell::Cell;
    use zam_names::{CreateTxg, DatasetName, Guid, Snapshot};
    use zam_zfs::{Error, Grant, Scope};

    /// A pool whose datasets cannot be listed, and which is there so many times.
    struct Going(Cell<u32>);

    impl Going {
        fn failed<T>() -> Result<T, Error> {
            Err(Error::Failed {
                command: "zfs list".into(),
                stderr: "cannot open 'tank': dataset does not exist".into(),
            })
        }
    }

    impl Lister for Going {
        fn pools(&self) -> Result<Vec<Pool>, Error> {
            let there = self.0.get();
            self.0.set(there.saturating_sub(1));
            let pool = Pool { name: "tank".parse().unwrap(), health: "ONLINE".into(), free: 0, capacity: 0 };
            Ok(Vec::from_iter((there > 0).then_some(pool)))
        }
        fn datasets(&self, _: &PoolName) -> Result<Vec<Dataset>, Error> {
            Self::failed()
        }
        fn snapshots(&self, _: Scope<'_>) -> Result<Vec<(SnapshotName, Guid, CreateTxg)>, Error> {
            Self::failed()
        }
        fn details(&self, _: &[SnapshotName]) -> Result<Vec<(SnapshotName, Snapshot)>, Error> {
            Self::failed()
        }
        fn holds(&self, _: &[SnapshotName]) -> Result<Vec<(SnapshotName, Vec<HoldTag>)>, Error> {
            Self::failed()
        }
        fn bookmarks(&self, _: &PoolName) -> Result<Vec<Bookmark>, Error> {
            Self::failed()
        }
        fn copy_facts(&self, _: Scope<'_>) -> Result<Vec<CopyFacts>, Error> {
            Self::failed()
        }
        fn properties(&self, _: &DatasetName, _: &[&str]) -> Result<Vec<String>, Error> {
            Self::failed()
        }
        fn grants(&self, _: &DatasetName) -> Result<Vec<Grant>, Error> {
            Self::failed()
        }
    }

    #[test]
    fn a_pool_that_is_exported_while_it_is_listed_is_not_imported_and_no_failure() {
        let listed = |times| {
            let pool: PoolName = "tank".parse().unwrap();
            list(&Going(Cell::new(times)), &pool, &mut Index::new(pool.clone()), "zam", Fresh::All)
        };
        assert_eq!(listed(1).unwrap().pool, None);
        assert!(listed(2).is_err(), "control: one that is there and cannot be listed is one");
    }
}
