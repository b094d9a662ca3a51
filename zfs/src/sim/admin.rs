//! The administrator of the simulated pools, who makes what the daemons find.

use super::calls::Destroy;
use super::grants::ROOT;
use super::state::{BookmarkState, DatasetState, Health, PoolState, Space, Use, Version};
use super::store::Store;
use crate::batch::{CallFailure, Refusal};
use crate::door::{Error, GrantScope};
use std::path::Path;
use std::str::FromStr;
use zam_names::{BookmarkName, DatasetName, HoldTag, Kind, PoolName, SnapshotName, UnixTime};

/// Root on the simulated pools. Speaks one command a line, so that a test shows its starting state in one block:
///
/// ```
/// # let folder = tempfile::tempdir().unwrap();
/// use zam_zfs::sim::Admin;
/// Admin::open(folder.path()).unwrap().script("
///     pool tank
///     create tank/home                             # parents too
///     volume tank/vm
///     allow zam-snap both snapshot,hold,release tank
///     allow zam-prune descendent destroy,mount tank
///     snapshot tank/home@old tank/vm@old at 1700000000
///     snapshot tank/home@manual                    # now
///     hold mine tank/home@manual
/// ").unwrap();
/// ```
///
/// | command | what it does |
/// |---|---|
/// | `pool POOL` | makes a pool |
/// | `create DATASET…`, `volume DATASET…` | makes filesystems or volumes, and the filesystems above that are missing |
/// | `snapshot SNAP… [at SECONDS]` | takes them in one transaction, `creation` now or as said |
/// | `hold TAG SNAP…`, `release TAG SNAP…` | as the commands of ZFS |
/// | `destroy SNAP…`, `destroy -d SNAP…` | destroys snapshots, or marks the held ones |
/// | `destroy DATASET`, `destroy -r DATASET` | destroys a bare dataset, or one with all that is below it |
/// | `rename OLD NEW` | a dataset with all that is below it, or a snapshot |
/// | `clone SNAP DATASET`, `bookmark SNAP BOOKMARK` | as the commands of ZFS |
/// | `allow USER local\|descendent\|both PERMISSION,… DATASET`, `unallow USER DATASET` | grants; user `root` needs none |
/// | `allow creator PERMISSION,… DATASET` | what whoever makes a dataset below gets on it (`zfs allow -c`) |
/// | `limit COUNT\|none DATASET` | sets its `snapshot_limit` |
/// | `set PROPERTY=VALUE DATASET` | sets what is inherited and does nothing here, such as `setuid=off` |
/// | `quota BYTES\|none DATASET` | sets its `quota` |
/// | `encrypted DATASET…`, `unload-key DATASET…` | makes encrypted filesystems, with their keys loaded; takes the keys away |
/// | `write BYTES DATASET` | overwrites data, so that the newest snapshot's `used` grows |
/// | `busy DATASET\|SNAP [off]` | something receives into the dataset, or sends the snapshot |
/// | `full POOL [off]`, `suspended POOL [off]`, `exported POOL [off]` | the pool's state |
/// | `old POOL [off]` | plays an OpenZFS before 2.2: no `snapshots_changed` |
/// | `clock SECONDS` | sets the clock of all pools ahead of the real one by so much |
#[derive(Clone, Debug)]
pub struct Admin {
    store: Store,
}

/// Why a command of the administrator was not done.
#[derive(Debug, thiserror::Error)]
#[error("{command:?}: {why}")]
pub struct AdminError {
    command: String,
    why: String,
}

impl Admin {
    /// Opens the folder, and makes it if need be.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let store = Store::at(folder);
        store.create()?;
        Ok(Self { store })
    }

    /// Does what the lines say, one after the other. A `#` after a blank starts a comment.
    ///
    /// # Errors
    /// At the first command that is not understood or that ZFS would refuse; those before it are done.
    pub fn script(&self, lines: &str) -> Result<(), AdminError> {
        for line in lines.lines() {
            let words: Vec<&str> = line.split_whitespace().take_while(|word| !word.starts_with('#')).collect();
            if !words.is_empty() {
                self.command(&words).map_err(|Why(why)| AdminError { command: words.join(" "), why })?;
            }
        }
        Ok(())
    }

    fn command(&self, words: &[&str]) -> Result<(), Why> {
        match words {
            ["pool", name] => self.make_pool(parse(name)?),
            ["create", names @ ..] => self.make_datasets(names, Kind::Filesystem),
            ["volume", names @ ..] => self.make_datasets(names, Kind::Volume),
            ["snapshot", names @ .., "at", seconds] => self.snapshot(names, Some(UnixTime(parse(seconds)?))),
            ["snapshot", names @ ..] => self.snapshot(names, None),
            ["hold", tag, names @ ..] => {
                let tag: HoldTag = parse(tag)?;
                self.on_snapshots(names, |pool, names, now| {
                    pool.call_hold(ROOT, &tag, names, now).and_then(all_of_them)
                })
            }
            ["release", tag, names @ ..] => {
                let tag: HoldTag = parse(tag)?;
                self.on_snapshots(names, |pool, names, now| {
                    pool.call_release(ROOT, &tag, names, now).and_then(all_of_them)
                })
            }
            ["destroy", "-d", names @ ..] => self.destroy_snapshots(names, Destroy::Deferred),
            ["destroy", "-r", name] => self.on(&parse(name)?, |pool, name, now| pool.destroy_tree(name, now)),
            ["destroy", names @ ..] if names.iter().all(|name| name.contains('@')) => {
                self.destroy_snapshots(names, Destroy::Now)
            }
            ["destroy", name] => self.on(&parse(name)?, |pool, name, now| pool.destroy_bare(name, now)),
            ["rename", from, to] if from.contains('@') => self.rename_snapshot(&parse(from)?, &parse(to)?),
            ["rename", from, to] => {
                let to: DatasetName = parse(to)?;
                self.on(&parse(from)?, |pool, from, _| pool.rename_tree(from, &to))
            }
            ["clone", origin, name] => self.clone_snapshot(&parse(origin)?, parse(name)?),
            ["bookmark", origin, name] => self.bookmark(&parse(origin)?, &parse(name)?),
            ["encrypted", names @ ..] => {
                self.make_datasets(names, Kind::Filesystem)?;
                names.iter().try_for_each(|name| self.on_dataset(name, |dataset| dataset.encrypted = true))
            }
            ["unload-key", names @ ..] => {
                names.iter().try_for_each(|name| self.on_dataset(name, |dataset| dataset.key_loaded = false))
            }
            ["allow", "creator", permissions, name] => self.on_dataset(name, |dataset| {
                dataset.granted_to_creator.extend(permissions.split(',').map(str::to_owned));
            }),
            ["allow", user, scope, permissions, name] => self.allow(user, scope, permissions, &parse(name)?),
            ["unallow", user, name] => self.on_dataset(name, |dataset| drop(dataset.grants.remove(*user))),
            ["limit", "none", name] => self.on_dataset(name, |dataset| dataset.snapshot_limit = None),
            ["limit", count, name] => {
                let limit = parse(count)?;
                self.on_dataset(name, |dataset| dataset.snapshot_limit = Some(limit))
            }
            ["set", words, name] if words.contains('=') => self.on_dataset(name, |dataset| {
                dataset.properties.extend(words.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned())));
            }),
            ["quota", "none", name] => self.on_dataset(name, |dataset| dataset.quota = None),
            ["quota", bytes, name] => {
                let bytes = parse(bytes)?;
                self.on_dataset(name, |dataset| dataset.quota = Some(bytes))
            }
            ["write", bytes, name] => {
                let bytes = parse(bytes)?;
                self.on_dataset(name, |dataset| dataset.write(bytes))
            }
            ["clock", seconds] => Ok(self.store.set_clock_ahead(parse(seconds)?)?),
            [word, name] => self.switch(word, name, true),
            [word, name, "off"] => self.switch(word, name, false),
            _ => Err(Why("no such command".to_owned())),
        }
    }

    fn make_pool(&self, name: PoolName) -> Result<(), Why> {
        self.store.change(&name.clone(), |pool, _| match pool {
            Some(_) => Err(Why("a pool of this name is there already".to_owned())),
            None => {
                *pool = Some(PoolState::new(name));
                Ok(())
            }
        })
    }

    fn make_datasets(&self, names: &[&str], kind: Kind) -> Result<(), Why> {
        let names: Vec<DatasetName> = parse_all(names)?;
        let first = names.first().ok_or_else(|| Why("it needs a dataset".to_owned()))?;
        self.in_pool(first, |pool, _| {
            if names.iter().any(|name| pool.datasets.contains_key(name) || name.pool() != pool.name) {
                return Err(Why("it is there already, or of another pool than the first".to_owned()));
            }
            names.iter().for_each(|name| pool.make_missing(name, kind));
            Ok(())
        })
    }

    fn snapshot(&self, names: &[&str], creation: Option<UnixTime>) -> Result<(), Why> {
        self.on_snapshots(names, |pool, names, now| {
            pool.call_snapshot(ROOT, names, now)?;
            for name in names {
                if let (Some(snapshot), Some(creation)) = (pool.snapshot_mut(name), creation) {
                    snapshot.creation = creation;
                }
            }
            Ok(())
        })
    }

    fn destroy_snapshots(&self, names: &[&str], how: Destroy) -> Result<(), Why> {
        self.on_snapshots(names, |pool, names, now| {
            if !names.iter().all(|name| pool.snapshot(name).is_some()) {
                return Err(CallFailure { whole: Refusal::NotFound, each: Vec::new() });
            }
            pool.call_destroy(ROOT, names, how, now).map(drop)
        })
    }

    fn rename_snapshot(&self, from: &SnapshotName, to: &SnapshotName) -> Result<(), Why> {
        self.on(from.dataset(), |pool, name, now| {
            let dataset = pool.datasets.get_mut(name).ok_or_else(Why::missing)?;
            if from.dataset() != to.dataset() || dataset.snapshots.contains_key(to.tag()) {
                return Err(Why("the new name is taken, or of another dataset".to_owned()));
            }
            let snapshot = dataset.snapshots.remove(from.tag()).ok_or_else(Why::missing)?;
            dataset.snapshots.insert(to.tag().clone(), snapshot);
            dataset.snapshots_changed = Some(now);
            Ok(())
        })
    }

    fn clone_snapshot(&self, origin: &SnapshotName, name: DatasetName) -> Result<(), Why> {
        self.on(origin.dataset(), |pool, dataset, _| {
            let kind = pool.datasets.get(dataset).ok_or_else(Why::missing)?.kind;
            let origin = pool.snapshot(origin).ok_or_else(Why::missing)?.guid;
            if name.pool() != pool.name || pool.datasets.contains_key(&name) {
                return Err(Why("the clone's name is taken, or of another pool".to_owned()));
            }
            pool.make_missing(&name, kind);
            if let Some(clone) = pool.datasets.get_mut(&name) {
                clone.origin = Some(origin);
            }
            Ok(())
        })
    }

    fn bookmark(&self, origin: &SnapshotName, name: &BookmarkName) -> Result<(), Why> {
        self.on(origin.dataset(), |pool, _, _| {
            let origin = pool.snapshot(origin).ok_or_else(Why::missing)?;
            let mark = BookmarkState { guid: origin.guid, createtxg: origin.createtxg };
            let dataset = pool.datasets.get_mut(name.dataset()).ok_or_else(Why::missing)?;
            dataset.bookmarks.insert(name.tag().clone(), mark);
            Ok(())
        })
    }

    fn allow(&self, user: &str, scope: &str, permissions: &str, name: &DatasetName) -> Result<(), Why> {
        let scope = match scope {
            "local" => GrantScope::Local,
            "descendent" => GrantScope::Descendent,
            "both" => GrantScope::Both,
            _ => return Err(Why("the scope is local, descendent or both".to_owned())),
        };
        let permissions: Vec<String> = permissions.split(',').map(str::to_owned).collect();
        self.on(name, |pool, name, _| {
            let dataset = pool.datasets.get_mut(name).ok_or_else(Why::missing)?;
            dataset.allow(user, scope, &permissions);
            Ok(())
        })
    }

    fn switch(&self, word: &str, name: &str, on: bool) -> Result<(), Why> {
        let either = |then: Health| if on { then } else { Health::Online };
        match word {
            "busy" => self.on(&parse(name.split('@').next().unwrap_or(name))?, |pool, dataset, _| {
                let in_use = if on { Use::Busy } else { Use::Idle };
                match name.parse::<SnapshotName>() {
                    Ok(snapshot) => pool.snapshot_mut(&snapshot).ok_or_else(Why::missing)?.in_use = in_use,
                    Err(_) => pool.datasets.get_mut(dataset).ok_or_else(Why::missing)?.in_use = in_use,
                }
                Ok(())
            }),
            "full" => self.on_pool(name, |pool| pool.space = if on { Space::Full } else { Space::Free }),
            "suspended" => self.on_pool(name, |pool| pool.health = either(Health::Suspended)),
            "exported" => self.on_pool(name, |pool| pool.health = either(Health::Exported)),
            "old" => self.on_pool(name, |pool| pool.version = if on { Version::Old } else { Version::Current }),
            _ => Err(Why("no such command".to_owned())),
        }
    }

    fn on_pool(&self, name: &str, change: impl FnOnce(&mut PoolState)) -> Result<(), Why> {
        self.in_pool(&parse(name)?, |pool, _| {
            change(pool);
            Ok(())
        })
    }

    fn on_dataset(&self, name: &str, change: impl FnOnce(&mut DatasetState)) -> Result<(), Why> {
        self.on(&parse(name)?, |pool, name, _| {
            change(pool.datasets.get_mut(name).ok_or_else(Why::missing)?);
            Ok(())
        })
    }

    fn on_snapshots(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut PoolState, &[SnapshotName], UnixTime) -> Result<(), CallFailure>,
    ) -> Result<(), Why> {
        let names: Vec<SnapshotName> = parse_all(names)?;
        let first = names.first().ok_or_else(|| Why("it needs a snapshot".to_owned()))?;
        self.in_pool(first.dataset(), |pool, now| Ok(change(pool, &names, now)?))
    }

    /// A change around a dataset that must be there.
    fn on(
        &self,
        name: &DatasetName,
        change: impl FnOnce(&mut PoolState, &DatasetName, UnixTime) -> Result<(), Why>,
    ) -> Result<(), Why> {
        self.in_pool(name, |pool, now| {
            if !pool.datasets.contains_key(name) {
                return Err(Why::missing());
            }
            change(pool, name, now)
        })
    }

    fn in_pool(
        &self,
        name: &DatasetName,
        change: impl FnOnce(&mut PoolState, UnixTime) -> Result<(), Why>,
    ) -> Result<(), Why> {
        self.store.change(&name.pool(), |pool, now| match pool {
            Some(pool) => change(pool, now),
            None => Err(Why("no such pool".to_owned())),
        })
    }
}

/// Why not, before it is known of which command.
pub(super) struct Why(pub(super) String);

impl Why {
    pub(super) fn missing() -> Self {
        Self("it is not there".to_owned())
    }
}

impl From<Error> for Why {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}

impl From<CallFailure> for Why {
    fn from(failure: CallFailure) -> Self {
        let named: Vec<String> = failure.each.iter().map(|(name, why)| format!("{name}: {why}")).collect();
        Self(if named.is_empty() { failure.whole.to_string() } else { named.join(", ") })
    }
}

fn all_of_them(passed_over: Vec<(SnapshotName, Refusal)>) -> Result<(), CallFailure> {
    match passed_over.first() {
        None => Ok(()),
        Some((_, why)) => Err(CallFailure { whole: why.clone(), each: passed_over }),
    }
}

fn parse_all<T: FromStr<Err: std::fmt::Display>>(words: &[&str]) -> Result<Vec<T>, Why> {
    words.iter().map(|word| parse(word)).collect()
}

pub(super) fn parse<T: FromStr<Err: std::fmt::Display>>(word: &str) -> Result<T, Why> {
    word.parse().map_err(|e: T::Err| Why(format!("{word:?}: {e}")))
}
