//! What the pools say: grants, properties, room, what is covered, snapshots and their holds.

use super::{
    Level::{Broken, Note, Warning},
    Report, edit,
};
use crate::{
    commands::grant::{Compared, compared, cover, guarantee},
    doors::Notes,
    forecast::Remembered,
    grants::{self, Role, allow, peril, roots, unallow},
    look::{self, Land},
    openzfs::OpenZfs,
    session::Session,
    shell::{in_batches, quoted},
    words::count,
};
use zam_names::{Dataset, DatasetName, HOLD_TAG, SnapshotName, UnixTime};
use zam_policy::{
    assess::Assessment,
    config::{Config, Match},
};
use zam_zfs::Lister;

/// A pool that is as full as this is slow, and soon takes nothing any more.
const NEARLY_FULL: u8 = 90;
const FULL: u8 = 97;
/// What was taken right now may not be held yet.
const JUST_TAKEN: i64 = 60;

/// Looks, and gives the date of the newest snapshot that was taken here.
pub fn look(config: &Config, session: &Session, report: &mut Report) -> Option<UnixTime> {
    let lister = session.lister();
    let land = match Land::survey(&*lister) {
        Ok(land) => land,
        Err(failure) => {
            report.add(
                Broken,
                "pools",
                "zfs",
                format!("the pools cannot be listed: {}", failure.message),
                ["modprobe zfs"],
            );
            return None;
        }
    };
    report.not_checked.extend(land.passed_over.iter().cloned());
    room(config, &land, report);
    coverage(config, &land, report);
    if let Err(failure) = granted(config, session.openzfs(), &land, &*lister, report) {
        report.not_checked.push(format!("grants: {}", failure.message));
    }
    let datasets = count(land.datasets.len(), "dataset");
    report.checked.push(format!("{datasets} in {}", count(land.pools.len(), "pool")));
    let mut newest = None;
    match Notes::open(session) {
        Ok(notes) => {
            report.not_checked.extend(notes.lack().map(|lack| lack.to_lowercase()));
            for pool in &land.pools {
                match look::pool(&*lister, &pool.name, &config.prefix) {
                    Ok(datasets) => {
                        for dataset in &datasets {
                            newest = newest.max(holds(config, dataset, &notes.of(&dataset.name), session.now, report));
                        }
                    }
                    Err(_) if pool.health == "SUSPENDED" => {}
                    Err(failure) => report.not_checked.push(format!("snapshots in {}: {}", pool.name, failure.message)),
                }
            }
            report.checked.push("snapshots and holds".to_owned());
        }
        Err(failure) => report.not_checked.push(format!("holds: {}", failure.message)),
    }
    newest
}

fn room(config: &Config, land: &Land, report: &mut Report) {
    for pool in &land.pools {
        let ours = config.entries.iter().any(|entry| entry.enabled && entry.source.pool() == pool.name);
        if pool.health == "SUSPENDED" {
            let text = "the pool is suspended: nothing can be read or written";
            report.add(Broken, "pool", &pool.name, text, [format!("zpool clear {}", quoted(pool.name.as_str()))]);
        } else if ours && pool.capacity >= NEARLY_FULL {
            let level = if pool.capacity >= FULL { Broken } else { Warning };
            let text = format!("{} % of it is taken; this lets go at once of what has expired", pool.capacity);
            report.add(level, "room", &pool.name, text, ["zamctl prune --now"]);
        }
    }
}

fn coverage(config: &Config, land: &Land, report: &mut Report) {
    for entry in config.entries.iter().filter(|entry| entry.enabled) {
        let (source, has_pool) = (&entry.source, land.has_pool(&entry.source.pool()));
        if has_pool && !land.datasets.iter().any(|dataset| dataset.name.pool() == source.pool()) {
            // It was passed over.
            continue;
        }
        if land.covered(config, entry).next().is_some() || (entry.absent_expected && !has_pool) {
            continue;
        }
        let (text, command) = if !has_pool {
            let pool = source.pool();
            (format!("its pool is not imported ({})", entry.place), format!("zpool import {}", quoted(pool.as_str())))
        } else if land.dataset(source).is_none() && roots(config).any(|root| root == entry) {
            (
                "the dataset for a client's copies is not there".to_owned(),
                "zamctl grant --print --replica | sh".to_owned(),
            )
        } else {
            (format!("the entry covers nothing ({})", entry.place), edit(&entry.place))
        };
        report.add(Warning, "covers-nothing", source, text, [command]);
    }
    // What stands above something that is covered is there for that.
    let covered = |name: &DatasetName| config.entries.iter().any(|entry| entry.source.below(name).is_some());
    let mut found: Vec<&DatasetName> = Vec::new();
    for dataset in &land.datasets {
        let nobodys = matches!(config.entry_for(&dataset.name, dataset.kind), Match::Uncovered);
        if nobodys && !covered(&dataset.name) && !found.iter().any(|above| dataset.name.below(above).is_some()) {
            found.push(&dataset.name);
        }
    }
    for name in found {
        let text = "no entry covers it, so zam takes no snapshots of it";
        report.add(Note, "uncovered", name, text, [format!("zamctl explain {}", quoted(name.as_str()))]);
    }
}

fn granted(
    config: &Config,
    zfs: OpenZfs,
    land: &Land,
    lister: &dyn Lister,
    report: &mut Report,
) -> Result<(), crate::failure::Failure> {
    let Compared { difference, exposed } = compared(config, &Role::ALL, zfs, land, lister)?;
    for grant in &difference.missing {
        let text = format!("{} lacks {}", grants::name(&grant.who), grant.permissions.join(","));
        let command = allow(&grant.who, grant.scope, &grant.permissions, &grant.dataset);
        report.add(Broken, "grant-missing", &grant.dataset, text, [command]);
    }
    for grant in &difference.surplus {
        let peril = peril(grant);
        let level = if peril.is_some() { Broken } else { Warning };
        let why = peril.map(|peril| format!(": {peril}")).unwrap_or_default();
        let text =
            format!("{} has {}, which it does not need{why}", grants::name(&grant.who), grant.permissions.join(","));
        report.add(level, "grant-surplus", &grant.dataset, text, [unallow(grant)]);
    }
    for (root, properties) in exposed {
        let text = format!("what was received there is not kept apart: it lacks {}", properties.join(" "));
        report.add(Broken, "replica-properties", &root.source, text, [cover(&root.source, &properties)]);
    }
    if !zfs.knows(OpenZfs::RECEIVE_APPEND) {
        for root in roots(config) {
            let text = guarantee(root, zfs);
            let text = text.trim().strip_prefix(root.source.as_str()).unwrap_or(&text).trim_start_matches(": ");
            report.add(Note, "openzfs", &root.source, text, ["apt-get install --only-upgrade zfs-dkms zfsutils-linux"]);
        }
    }
    report.checked.push("grants".to_owned());
    Ok(())
}

/// Snapshots that should be held and are not, and holds that nobody explains; gives the date of the newest that was taken here.
pub fn holds(
    config: &Config,
    dataset: &Dataset,
    remembered: &Remembered,
    now: UnixTime,
    report: &mut Report,
) -> Option<UnixTime> {
    let named = |held: bool, is: &dyn Fn(usize) -> bool| -> Vec<SnapshotName> {
        let wanted = dataset
            .snapshots
            .iter()
            .enumerate()
            .filter(|(i, snapshot)| snapshot.is_held_by(HOLD_TAG) == held && is(*i));
        wanted.filter_map(|(_, snapshot)| dataset.name_of(snapshot).ok()).collect()
    };
    let mut stray = |names: Vec<SnapshotName>, why: &str| {
        if !names.is_empty() {
            let text = format!("zam holds {}, {why}", count(names.len(), "snapshot"));
            report.add(Warning, "hold-without-owner", &dataset.name, text, in_batches("zfs release zam", &names));
        }
    };
    let entry = match config.entry_for(&dataset.name, dataset.kind) {
        Match::Entry(entry) => entry,
        other => {
            let why = match other {
                Match::Disabled(_) => "and the dataset's entry is switched off",
                Match::Excluded { .. } => "and the dataset is left out by `exclude`",
                _ => "and no entry covers the dataset",
            };
            stray(named(true, &|_| true), why);
            return None;
        }
    };
    let (notes, _) = remembered.both(entry);
    let seen = Assessment::new(dataset, entry, &notes, now);
    // A name that a person gave is zam's by zamd-snap's notes alone; what a replica has is held whatever its name.
    if remembered.snap.is_some() && !entry.is_replica() {
        let foreign = named(true, &|i| !seen.verdicts[i].is_managed());
        stray(foreign, "which it neither made nor adopted");
    }
    let to_hold = seen.to_hold();
    let unheld = named(false, &|i| {
        let snapshot = &dataset.snapshots[i];
        now.since(snapshot.creation) > JUST_TAKEN && to_hold.iter().any(|target| target.guid == snapshot.guid)
    });
    if !unheld.is_empty() {
        let text = format!(
            "{} that policy keeps stand behind two walls only: nothing holds them",
            count(unheld.len(), "snapshot")
        );
        report.add(Broken, "unheld", &dataset.name, text, in_batches("zfs hold zam", &unheld));
    }
    let own = seen.verdicts.iter().filter(|verdict| !entry.is_replica() && verdict.is_managed());
    own.map(|verdict| verdict.date).max()
}
