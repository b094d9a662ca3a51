//! The datasets as zamctl sees them itself, for when zamd-snap does not answer.

use crate::{
    failure::Failure,
    forecast::Remembered,
    look::{self, Land},
    session::Session,
};
use std::collections::BTreeMap;
use zam_names::{Dataset, DatasetName, HOLD_TAG};
use zam_policy::{assess::Assessment, config::Entry, tags};
use zam_protocol::snap::SnapStatus;

/// What zamd-snap would say of the managed datasets, as far as a listing tells.
pub(super) fn rows(session: &Session) -> Result<BTreeMap<DatasetName, SnapStatus>, Failure> {
    let config = session.config()?.config;
    let lister = session.lister();
    let land = Land::survey(&*lister)?;
    let mut rows = BTreeMap::new();
    for pool in &land.pools {
        let managed = |dataset: &Dataset| config.entry_for(&dataset.name, dataset.kind).entry();
        if !land.datasets.iter().any(|dataset| dataset.name.pool() == pool.name && managed(dataset).is_some()) {
            continue;
        }
        for dataset in look::pool(&*lister, &pool.name, &config.prefix)? {
            if let Some(entry) = managed(&dataset) {
                rows.insert(dataset.name.clone(), row(&dataset, entry, session));
            }
        }
    }
    Ok(rows)
}

fn row(dataset: &Dataset, entry: &Entry, session: &Session) -> SnapStatus {
    let (notes, _) = Remembered::default().both(entry);
    let seen = Assessment::new(dataset, entry, &notes, session.now);
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    SnapStatus {
        dataset: dataset.name.clone(),
        kind: Some(dataset.kind),
        entry: entry.source.to_string(),
        last: tags::last_scheduled(&entry.rule.prefix, &dataset.snapshots, session.now),
        next: None,
        waits: None,
        snapshots: count(dataset.snapshots.len()),
        protected: count(dataset.snapshots.iter().filter(|snapshot| snapshot.is_held_by(HOLD_TAG)).count()),
        releasing: count(seen.to_release().len()),
        used: dataset.used,
        used_by_snapshots: dataset.used_by_snapshots,
        paused: false,
        silent: seen.silent,
        braked: None,
        problems: Vec::new(),
    }
}
