//! One round over a pool: what each client has there, and whether what came last is held.

use crate::{Recv, clients, hands::Act, late, stream};
use std::collections::BTreeMap;
use tokio::sync::oneshot;
use zam_names::{Dataset, DatasetName, HOLD_TAG, QUARANTINE_TAG, RelPath, Snapshot, UnixTime};
use zam_policy::{
    config::{Config, Entry, Match},
    judge,
};
use zam_protocol::recv::{Arrived, Client, Keeping, Partial, RecvStatus, ReplicaRow};
use zam_runtime::keeper::{Acted, Keeper, Order, Round};
use zam_zfs::CopyFacts;

/// How often an idle pool is looked at, in seconds.
const AGAIN: i64 = 300;

/// What is asked of a pool.
pub enum Wish {
    /// Look, and say when that is done.
    Look(oneshot::Sender<()>),
}

/// What a pool was last seen to have.
pub struct Table {
    datasets: Vec<Dataset>,
    facts: BTreeMap<DatasetName, CopyFacts>,
}

pub async fn round(keeper: &mut Keeper<Recv>, orders: Vec<Order<Recv>>) -> Result<Round<RecvStatus>, String> {
    late::hold(keeper).await?;
    let facts = match keeper.act("look at copies", Act::Facts(keeper.name.clone())).await? {
        Acted::Copies { facts, .. } => facts,
        Acted::Failed(why) => return Err(why),
        _ => return Err("the worker answered something else than what copies there are".to_owned()),
    };
    let facts = facts.into_iter().map(|facts| (facts.dataset.clone(), facts)).collect();
    let table = Table { datasets: keeper.datasets.clone(), facts };
    let now = stream::now();
    let mut rows = {
        let config = keeper.shared.config();
        let mut rows = table.status(&config, now);
        for row in &mut rows {
            row.problems.extend(keeper.memory.failed.get(&row.dataset).cloned());
        }
        rows.extend(keeper.missing_rows(&config, |entry| keeper.why_missing(entry)));
        rows
    };
    rows.sort_by(|a, b| a.dataset.cmp(&b.dataset));
    rows.dedup_by(|a, b| a.dataset == b.dataset);
    keeper.shared.common.tables.borrow_mut().insert(keeper.name.clone(), table);
    for Order { job, what: Wish::Look(asked), .. } in orders {
        // Whoever asked may have gone.
        let _ = asked.send(());
        keeper.shared.end(job, Ok(Vec::new()));
    }
    Ok(Round { rows, again: now.plus(AGAIN), tick: None })
}

impl Table {
    /// Bytes that may still go below this dataset.
    pub fn available(&self, dataset: &DatasetName) -> Option<u64> {
        self.facts.get(dataset).map(|facts| facts.available)
    }

    /// What a client has, by path.
    pub fn rows(&self, config: &Config, client: &Client, now: UnixTime) -> Vec<ReplicaRow> {
        let mut rows: Vec<ReplicaRow> =
            self.datasets.iter().filter_map(|dataset| self.row(config, client, dataset, now)).collect();
        rows.sort_by(|a, b| a.path.cmp(&b.path));
        rows
    }

    fn row(&self, config: &Config, client: &Client, dataset: &Dataset, now: UnixTime) -> Option<ReplicaRow> {
        let path: RelPath = dataset.name.below(&client.root)?.parse().ok()?;
        let entry = covering(config, dataset);
        let facts = self.facts.get(&dataset.name)?;
        let newest = dataset.snapshots.len().saturating_sub(ReplicaRow::NEWEST);
        Some(ReplicaRow {
            path,
            guid: dataset.guid,
            kind: dataset.kind,
            newest: dataset.snapshots[newest..].iter().map(arrived).collect(),
            count: count(dataset.snapshots.len()),
            partial: facts.partial.as_ref().map(|partial| Partial {
                to: partial.to,
                from: partial.from,
                object: partial.object,
                offset: partial.offset,
                bytes: partial.bytes,
                raw: partial.raw,
            }),
            encrypted: facts.encrypted,
            written: facts.written,
            keeping: entry.map_or_else(Keeping::default, |entry| Keeping::from(&entry.rule)),
            retired: entry.is_some_and(|entry| entry.is_retired(now)),
        })
    }

    fn status(&self, config: &Config, now: UnixTime) -> Vec<RecvStatus> {
        let roots = clients::roots(config);
        let below =
            |dataset: &&Dataset| roots.iter().any(|root| dataset.name != *root && dataset.name.below(root).is_some());
        self.datasets.iter().filter(below).map(|dataset| self.status_of(config, dataset, now)).collect()
    }

    fn status_of(&self, config: &Config, dataset: &Dataset, now: UnixTime) -> RecvStatus {
        let entry = covering(config, dataset);
        let ahead = |s: &&Snapshot| {
            s.is_held_by(QUARANTINE_TAG)
                || judge::is_ahead(judge::claimed_date(&config.prefix, &s.tag, s.creation), now)
        };
        let mut problems = Vec::new();
        if let Some(first) = dataset.snapshots.iter().find(ahead) {
            let all = dataset.snapshots.iter().filter(ahead).count();
            problems.push(format!(
                "{all} of its snapshots came dated in the future, @{} among them: they are kept, and displace nothing",
                first.tag
            ));
        }
        RecvStatus {
            dataset: dataset.name.clone(),
            client: entry.and_then(|entry| entry.client.clone()),
            last: None,
            newest: dataset.snapshots.last().map(arrived),
            snapshots: count(dataset.snapshots.len()),
            held: count(dataset.snapshots.iter().filter(|snapshot| snapshot.is_held_by(HOLD_TAG)).count()),
            receiving: None,
            partial: self.facts.get(&dataset.name).is_some_and(|facts| facts.partial.is_some()),
            retired: entry.is_some_and(|entry| entry.is_retired(now)),
            problems,
        }
    }
}

/// The row of an entry whose root is not there.
pub fn empty_row(dataset: DatasetName, entry: &Entry, why: String) -> RecvStatus {
    RecvStatus {
        dataset,
        client: entry.client.clone(),
        last: None,
        newest: None,
        snapshots: 0,
        held: 0,
        receiving: None,
        partial: false,
        retired: false,
        problems: if entry.absent_expected { Vec::new() } else { vec![why] },
    }
}

fn covering<'a>(config: &'a Config, dataset: &Dataset) -> Option<&'a Entry> {
    match config.entry_for(&dataset.name, dataset.kind) {
        Match::Entry(entry) if entry.is_replica() => Some(entry),
        _ => None,
    }
}

fn arrived(snapshot: &Snapshot) -> Arrived {
    Arrived { guid: snapshot.guid, tag: snapshot.tag.clone(), creation: snapshot.creation }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
