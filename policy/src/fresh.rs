//! How fresh datasets and their copies are, by a listing and a clock, and not by what anybody says of his own work.

use crate::{
    alarm::{Key, Kind, Source, Trouble},
    config::{Config, Destination, DestinationId, Entry, Match},
    copy::{self, destination_of},
    judge::claimed_date,
    tags::{self, Maker},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use zam_names::{Bookmark, Dataset, DatasetName, Guid, HOLD_TAG, PoolName, Snapshot, UnixTime};

/// What was the newest of a dataset, and when it was first seen to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sight {
    newest: Guid,
    first: UnixTime,
}

/// The newest snapshots and bookmarks that were seen. A date may be forged, and made long before; when something was first
/// there is the onlooker's own knowledge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sights {
    snapshots: BTreeMap<Guid, Sight>,
    copies: BTreeMap<Guid, BTreeMap<DestinationId, Sight>>,
}

/// A dataset and its copies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fresh<'a> {
    /// Which.
    pub dataset: &'a DatasetName,
    /// The entry that covers it.
    pub entry: &'a Entry,
    /// How many snapshots it has.
    pub snapshots: usize,
    /// When its newest good snapshot was made.
    pub newest: Option<UnixTime>,
    /// Whether zam holds that.
    pub held: bool,
    /// How many snapshots are marked to go with their last hold.
    pub marked: usize,
    /// Its copies.
    pub copies: Vec<FreshCopy<'a>>,
}

/// A copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FreshCopy<'a> {
    /// Where.
    pub destination: &'a Destination,
    /// The newest that is there, as its bookmark says; none: nothing was ever sent.
    pub newest: Option<UnixTime>,
    /// Since when something waits to be sent; none: it is complete.
    pub behind: Option<UnixTime>,
}

/// How long trouble may last that ends by itself where a machine has just come up.
const SETTLE: i64 = 120;
/// How long a hold may be missing or stray: holds are put on right after, and asked again once an hour.
const HOLDS: i64 = 2 * 3600;

impl Sights {
    /// Forgets datasets that are not in this list.
    pub fn keep(&mut self, known: impl Fn(Guid) -> bool) {
        self.snapshots.retain(|dataset, _| known(*dataset));
        self.copies.retain(|dataset, _| known(*dataset));
    }
}

/// When the newest was made: as it says itself, but not after it was first seen.
fn date(sight: Option<&Sight>, newest: Guid, claimed: UnixTime, now: UnixTime) -> (Sight, UnixTime) {
    let sight = match sight {
        // It was not seen first at a time that has not come yet.
        Some(sight) if sight.newest == newest => Sight { first: sight.first.min(now), ..*sight },
        _ => Sight { newest, first: now },
    };
    (sight, claimed.min(sight.first))
}

/// Looks at a dataset; none if no entry covers it.
pub fn look<'a>(
    config: &'a Config,
    dataset: &'a Dataset,
    bookmarks: &[Bookmark],
    sights: &mut Sights,
    now: UnixTime,
) -> Option<Fresh<'a>> {
    let entry = config.entry_for(&dataset.name, dataset.kind).entry()?;
    let good = |snapshot: &&Snapshot| is_good(entry, snapshot);
    let claimed = |snapshot: &Snapshot| claimed_date(&config.prefix, &snapshot.tag, snapshot.creation);
    let last = dataset.snapshots.iter().rfind(good);
    let newest = last.map(|last| {
        let (sight, newest) = date(sights.snapshots.get(&dataset.guid), last.guid, claimed(last), now);
        sights.snapshots.insert(dataset.guid, sight);
        newest
    });
    let sender = config.sender_for(&dataset.name, dataset.kind).entry();
    let copies = sender.iter().flat_map(|sender| &sender.destinations).map(|destination| {
        let id = destination.id();
        let ours = bookmarks
            .iter()
            .filter(|mark| *mark.name.dataset() == dataset.name && destination_of(mark.name.tag()) == Some(id));
        let sent = ours.max_by_key(|mark| mark.createtxg);
        let seen = sights.copies.entry(dataset.guid).or_default();
        let newest = sent.map(|sent| {
            let (sight, newest) = date(seen.get(&id), sent.guid, date_of(sent, dataset, &config.prefix, now), now);
            seen.insert(id, sight);
            newest
        });
        let unsent = |snapshot: &&Snapshot| sent.is_none_or(|sent| snapshot.createtxg > sent.createtxg);
        let behind =
            dataset.snapshots.iter().filter(good).find(unsent).map(|first| claimed(first).min(first.creation).min(now));
        FreshCopy { destination, newest, behind }
    });
    Some(Fresh {
        entry,
        newest,
        copies: copies.collect(),
        dataset: &dataset.name,
        snapshots: dataset.snapshots.len(),
        held: last.is_none_or(|last| last.is_held_by(HOLD_TAG)),
        marked: dataset.snapshots.iter().filter(|snapshot| snapshot.deferred).count(),
    })
}

/// When the snapshot of a bookmark was made, as far as its name or the snapshot itself still says.
fn date_of(mark: &Bookmark, dataset: &Dataset, prefix: &str, now: UnixTime) -> UnixTime {
    if let Some(snapshot) = dataset.snapshots.iter().find(|snapshot| snapshot.guid == mark.guid) {
        return claimed_date(prefix, &snapshot.tag, snapshot.creation);
    }
    copy::date_of(mark.name.tag(), prefix).unwrap_or(now)
}

/// What counts as a snapshot of the entry's: what its schedule made or it adopts; on a replica whatever arrived.
fn is_good(entry: &Entry, snapshot: &Snapshot) -> bool {
    entry.is_replica()
        || matches!(tags::maker(&entry.rule.prefix, &snapshot.tag), Maker::Schedule(_))
        || entry.rule.adopt.iter().any(|pattern| pattern.matches(snapshot.tag.as_str()))
}

impl Fresh<'_> {
    /// What is wrong with it.
    #[must_use]
    pub fn troubles(&self, now: UnixTime) -> Vec<Trouble> {
        let pool = self.dataset.pool();
        let source = Source::Pool(pool.to_string());
        let mut found = Vec::new();
        let mut trouble = |kind, place: &str, text, patience| {
            let key = Key::new(kind, place, self.dataset);
            found.push(Trouble { key, source: source.clone(), text, patience });
        };
        let stale_after = self.entry.stale_after.filter(|_| !self.entry.is_retired(now));
        if let Some(after) = stale_after.map(crate::Span::approximate_seconds) {
            let (kind, place, what) = match &self.entry.client {
                Some(client) => (Kind::Quiet, client.as_str(), "nothing arrived"),
                None => (Kind::Stale, pool.as_str(), "no good snapshot"),
            };
            match self.newest {
                // The root, and what only stands above copies.
                None if self.entry.is_replica() => {}
                None => trouble(kind, place, format!("{what} yet"), after),
                Some(newest) if now.since(newest) > after => {
                    trouble(kind, place, format!("{what} for {}", lasted(now.since(newest))), after.min(SETTLE));
                }
                Some(_) => {}
            }
        }
        for copy in &self.copies {
            let (Some(after), Some(behind)) = (copy.destination.stale_after, copy.behind) else { continue };
            let (after, place) = (after.approximate_seconds(), copy.destination.called());
            match copy.newest {
                None => trouble(Kind::Behind, &place, "nothing was ever copied there".to_owned(), after),
                Some(_) if now.since(behind) > after => {
                    let text = format!("the copy was not updated for {}", lasted(now.since(behind)));
                    trouble(Kind::Behind, &place, text, after.min(SETTLE));
                }
                Some(_) => {}
            }
        }
        if self.marked > 0 {
            let text = format!("{} of its snapshots are marked to be destroyed with their last hold", self.marked);
            trouble(Kind::Marked, pool.as_str(), text, 0);
        }
        if self.entry.hold && !self.held {
            trouble(Kind::Unheld, pool.as_str(), "its newest snapshot is not held".to_owned(), HOLDS);
        }
        found
    }
}

/// A client's root in `pool` below which nothing has arrived at all, if `some` says of no dataset that something did.
#[must_use]
pub fn empty_roots(
    config: &Config,
    pool: &PoolName,
    some: impl Fn(&DatasetName) -> bool,
    now: UnixTime,
) -> Vec<Trouble> {
    let roots = config.entries.iter().filter(|entry| {
        let is_root = config.replica_at(&entry.source).is_some_and(|root| root == *entry);
        is_root && entry.enabled && entry.source.pool() == *pool && !entry.is_retired(now) && !some(&entry.source)
    });
    let trouble = |root: &Entry| {
        let key = Key::new(Kind::Quiet, root.client.as_deref()?, &root.source);
        let patience = root.stale_after?.approximate_seconds();
        let source = Source::Pool(pool.to_string());
        Some(Trouble { key, source, text: "nothing arrived yet".to_owned(), patience })
    };
    roots.filter_map(trouble).collect()
}

/// zam's holds where no entry asks for any.
#[must_use]
pub fn stray(config: &Config, dataset: &Dataset) -> Option<Trouble> {
    if matches!(config.entry_for(&dataset.name, dataset.kind), Match::Entry(_)) {
        return None;
    }
    let held = dataset.snapshots.iter().filter(|snapshot| snapshot.is_held_by(HOLD_TAG)).count();
    let (pool, text) = (dataset.name.pool(), format!("zam holds {held} of its snapshots, and no entry covers it"));
    (held > 0).then(|| Trouble {
        key: Key::new(Kind::Stray, &pool, &dataset.name),
        source: Source::Pool(pool.to_string()),
        text,
        patience: HOLDS,
    })
}

/// A length of time in its leading unit, for messages.
#[must_use]
pub fn lasted(seconds: i64) -> String {
    match seconds.max(0) {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}
