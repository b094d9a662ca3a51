//! Its own look at a pool: how fresh what is in it is.

use crate::{Watch, now};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use zam_names::{Bookmark, DatasetName, Guid, PoolName};
use zam_policy::{
    Span,
    alarm::{Key, Kind, Source, Trouble},
    fresh::{self, Fresh, FreshCopy},
};
use zam_protocol::watch::{WatchStatus, WatchedCopy};
use zam_runtime::keeper::{Acted, Keeper, Round};

/// What a worker is asked beside listing: the bookmarks of its pool.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Bookmarks(pub PoolName);

/// What a pool's last listing came to.
#[derive(Clone, Debug, Default)]
pub struct Land {
    /// What is wrong in it.
    pub troubles: Vec<Trouble>,
    /// The datasets in it.
    pub datasets: BTreeSet<Guid>,
}

/// How often a pool is listed, in seconds, where the beat is not longer.
const LISTING: i64 = 60;
/// For how many seconds a dataset may be missing.
const MISSING: i64 = 300;

pub async fn round(keeper: &mut Keeper<Watch>) -> Result<Round<WatchStatus>, String> {
    let config = keeper.shared.config().clone();
    let mut bookmarks: BTreeMap<DatasetName, Vec<Bookmark>> = BTreeMap::new();
    if config.entries.iter().any(|entry| !entry.destinations.is_empty()) {
        for bookmark in marked(keeper).await? {
            bookmarks.entry(bookmark.name.dataset().clone()).or_default().push(bookmark);
        }
    }
    let (now, mut rows, mut land) = (now(), Vec::<WatchStatus>::new(), Land::default());
    let Some(kept) = keeper.shared.common.kept() else { return Err("the notes are not open".to_owned()) };
    for dataset in &keeper.datasets {
        let bookmarks = bookmarks.get(&dataset.name).map_or(&[][..], Vec::as_slice);
        land.datasets.insert(dataset.guid);
        land.troubles.extend(fresh::stray(&config, dataset));
        if let Some(seen) = fresh::look(&config, dataset, bookmarks, &mut kept.borrow_mut().get_mut().sights, now) {
            land.troubles.extend(seen.troubles(now));
            rows.push(row(&seen));
        }
    }
    let arrived = |root: &DatasetName| rows.iter().any(|row| row.newest.is_some() && row.dataset.below(root).is_some());
    land.troubles.extend(fresh::empty_roots(&config, &keeper.name, arrived, now));
    for missing in keeper.missing_rows(&config, |_| String::new()) {
        land.troubles.push(Trouble {
            key: Key::new(Kind::Stale, &keeper.name, &missing.dataset),
            source: Source::Pool(keeper.name.to_string()),
            text: "an entry in the config is for it, and it is not there".to_owned(),
            patience: MISSING,
        });
        rows.push(missing);
    }
    keeper.shared.common.lands.borrow_mut().insert(keeper.name.clone(), land);
    let beat = i64::try_from(keeper.shared.common.beat().as_secs()).unwrap_or(LISTING);
    let pause = if keeper.shared.common.beat.get().is_some() { beat } else { LISTING };
    Ok(Round { rows, again: now.plus(pause), tick: None })
}

async fn marked(keeper: &mut Keeper<Watch>) -> Result<Vec<Bookmark>, String> {
    match keeper.act("list bookmarks", Bookmarks(keeper.name.clone())).await? {
        Acted::Copies { bookmarks, .. } => Ok(bookmarks),
        Acted::Failed(why) => Err(why),
        _ => Err("the worker answered something else than what bookmarks there are".to_owned()),
    }
}

fn row(seen: &Fresh<'_>) -> WatchStatus {
    WatchStatus {
        dataset: seen.dataset.clone(),
        newest: seen.newest,
        snapshots: u32::try_from(seen.snapshots).unwrap_or(u32::MAX),
        stale_after: seconds(seen.entry.stale_after),
        copies: seen.copies.iter().map(copy).collect(),
    }
}

fn copy(seen: &FreshCopy<'_>) -> WatchedCopy {
    WatchedCopy {
        id: seen.destination.id().to_string(),
        to: seen.destination.called(),
        newest: seen.newest,
        behind: seen.behind,
        stale_after: seconds(seen.destination.stale_after),
    }
}

fn seconds(span: Option<Span>) -> Option<u64> {
    span.and_then(|span| span.approximate_seconds().try_into().ok())
}
