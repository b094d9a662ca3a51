//! A world of one dataset, two keys and a clock, in which a policy is played out: what zamd-snap and zamd-prune do, without
//! ZFS.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, missing_docs)]

use jiff::Timestamp;
use std::collections::BTreeMap;
use zam_names::{CreateTxg, Dataset, Guid, HOLD_TAG, HoldTag, Kind, QUARANTINE_TAG, Snapshot, Target, UnixTime};
use zam_policy::{Zone, assess::Assessment, config, config::Entry, judge, notes::DatasetNotes, tags};

pub fn at(text: &str) -> UnixTime {
    UnixTime(text.parse::<Timestamp>().unwrap().as_second())
}

/// The entry that this TOML says, for the dataset `tank/a`.
pub fn entry(zone: &str, keys: &str) -> Entry {
    let text = format!("timezone = {zone:?}\n[[managed-datasets]]\nsource = \"tank/a\"\n{keys}\n");
    match config::load(&[("zam.toml".to_owned(), text)], &Zone::utc()) {
        Ok((config, _)) => config.entries[0].clone(),
        Err(errors) => panic!("{errors}"),
    }
}

/// The entry for what a client keeps at `tank/a`.
pub fn replica(zone: &str, keys: &str) -> Entry {
    let text = format!("timezone = {zone:?}\n[[replicas]]\nclient = \"laptop\"\nroot = \"tank/a\"\n{keys}\n");
    match config::load(&[("zam.toml".to_owned(), text)], &Zone::utc()) {
        Ok((config, _)) => config.entries[0].clone(),
        Err(errors) => panic!("{errors}"),
    }
}

#[derive(Clone)]
pub struct World {
    pub entry: Entry,
    pub dataset: Dataset,
    pub snap: DatasetNotes,
    pub prune: DatasetNotes,
    pub now: UnixTime,
    /// By GUID: what was destroyed and when.
    pub graves: BTreeMap<Guid, UnixTime>,
    next: u64,
}

impl World {
    pub fn new(entry: Entry, now: UnixTime) -> Self {
        let dataset = Dataset {
            name: "tank/a".parse().unwrap(),
            guid: Guid(1),
            kind: Kind::Filesystem,
            used: 0,
            used_by_snapshots: 0,
            snapshots_changed: None,
            snapshots: Vec::new(),
        };
        let notes = DatasetNotes::default();
        Self { entry, dataset, snap: notes.clone(), prune: notes, now, graves: BTreeMap::new(), next: 1 }
    }

    /// A snapshot appears, held by zam if the entry says so. Gives its GUID.
    pub fn appear(&mut self, tag: &str, creation: UnixTime) -> Guid {
        self.next += 1;
        let guid = Guid(self.next * 7919);
        let holds = if self.entry.hold { vec![HOLD_TAG.parse().unwrap()] } else { Vec::new() };
        self.dataset.snapshots.push(Snapshot {
            tag: tag.parse().unwrap(),
            guid,
            createtxg: CreateTxg(self.next),
            creation,
            holds,
            clones: 0,
            deferred: false,
            used: None,
        });
        guid
    }

    /// zam takes one now.
    pub fn take(&mut self) -> Guid {
        self.appear(tags::scheduled("zam", self.now).unwrap().as_str(), self.now)
    }

    /// One with this date arrives; zamd-recv puts aside what is dated in the future. Gives its GUID.
    pub fn arrive(&mut self, date: UnixTime) -> Guid {
        let guid = self.appear(tags::scheduled("zam", date).unwrap().as_str(), date);
        if judge::is_ahead(date, self.now) {
            self.hold(guid, QUARANTINE_TAG);
        }
        guid
    }

    pub fn snapshot(&mut self, guid: Guid) -> &mut Snapshot {
        self.dataset.snapshots.iter_mut().find(|s| s.guid == guid).unwrap()
    }

    pub fn hold(&mut self, guid: Guid, tag: &str) {
        let tag: HoldTag = tag.parse().unwrap();
        self.snapshot(guid).holds.push(tag);
    }

    pub fn unhold(&mut self, guid: Guid, tag: &str) {
        self.snapshot(guid).holds.retain(|held| held.as_str() != tag);
    }

    pub fn lives(&self, guid: Guid) -> bool {
        self.dataset.snapshots.iter().any(|s| s.guid == guid)
    }

    pub fn assess<'a>(&'a self, notes: &'a DatasetNotes) -> Assessment<'a> {
        Assessment::new(&self.dataset, &self.entry, notes, self.now)
    }

    /// The GUIDs that policy keeps now, vetoes aside.
    pub fn kept(&self) -> Vec<Guid> {
        let seen = self.assess(&self.prune);
        let keeps = |i: &usize| !seen.verdicts[*i].expired(self.now);
        (0..seen.verdicts.len()).filter(keeps).map(|i| self.dataset.snapshots[i].guid).collect()
    }

    /// The first key looks and acts.
    pub fn first_key(&mut self) {
        let notes = self.assess(&self.snap).observe();
        self.snap = notes;
        let seen = self.assess(&self.snap);
        let (hold, release) = (seen.to_hold(), seen.to_release());
        for Target { guid, .. } in hold {
            self.hold(guid, HOLD_TAG);
        }
        for Target { guid, .. } in release {
            self.unhold(guid, HOLD_TAG);
        }
    }

    /// The second key looks and acts. Gives what it destroyed.
    pub fn second_key(&mut self) -> Vec<Guid> {
        let notes = self.assess(&self.prune).observe();
        self.prune = notes;
        let doomed: Vec<Guid> = self.assess(&self.prune).to_destroy(false).into_iter().map(|t| t.guid).collect();
        for guid in &doomed {
            assert!(self.snapshot(*guid).holds.is_empty(), "the kernel refuses to destroy what is held");
            self.graves.insert(*guid, self.now);
        }
        self.dataset.snapshots.retain(|s| !doomed.contains(&s.guid));
        doomed
    }

    pub fn keys(&mut self) {
        self.first_key();
        self.second_key();
    }
}
