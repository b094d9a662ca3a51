//! How long it takes to judge snapshots: over 1,000 datasets, three tiers, a zone with summer time.
#![allow(missing_docs, clippy::unwrap_used)]

use zam_names::{CreateTxg, Dataset, Guid, HOLD_TAG, Kind, Snapshot, UnixTime};
use zam_policy::{Zone, assess::Assessment, config, notes::DatasetNotes, tags};

const DATASETS: usize = 1_000;
const NOW: UnixTime = UnixTime(1_800_000_000);

fn main() {
    divan::main();
}

#[divan::bench(args = [1_000, 10_000, 100_000, 1_000_000], sample_count = 10)]
fn plan(bencher: divan::Bencher<'_, '_>, snapshots: usize) {
    let text = r#"
        timezone = "Europe/Vienna"
        [[managed-datasets]]
        source = "tank"
        recursive = true
        snapshot-period = "10m"
        windows = [ { max-age = "2d", period = "10m" }, { max-age = "60d", period = "1h" }, { period = "1mo" } ]
    "#;
    let (config, _) = config::load(&[("zam.toml".to_owned(), text.to_owned())], &Zone::utc()).unwrap();
    let entry = &config.entries[0];
    let datasets: Vec<Dataset> = (0..DATASETS).map(|n| dataset(n, snapshots / DATASETS)).collect();
    let notes = DatasetNotes { accepted: Some(entry.rule.clone()), ..DatasetNotes::default() };
    bencher.counter(divan::counter::ItemsCount::new(snapshots)).bench(|| {
        let plan = |dataset: &Dataset| {
            let seen = Assessment::new(dataset, entry, &notes, NOW);
            seen.to_hold().len() + seen.to_release().len() + seen.to_destroy(false).len()
        };
        datasets.iter().map(plan).sum::<usize>()
    });
}

/// The newest `count` snapshots of a dataset that has one every ten minutes.
fn dataset(n: usize, count: usize) -> Dataset {
    let snapshot = |i: usize| {
        let date = NOW.plus(-600 * (count - i) as i64);
        Snapshot {
            tag: tags::scheduled("zam", date).unwrap(),
            guid: Guid((n * 1_000_000 + i) as u64),
            createtxg: CreateTxg(i as u64),
            creation: date,
            holds: vec![HOLD_TAG.parse().unwrap()],
            clones: 0,
            deferred: false,
            used: None,
        }
    };
    Dataset {
        name: format!("tank/d{n}").parse().unwrap(),
        guid: Guid(n as u64),
        kind: Kind::Filesystem,
        used: 0,
        used_by_snapshots: 0,
        snapshots_changed: None,
        snapshots: (0..count).map(snapshot).collect(),
    }
}
