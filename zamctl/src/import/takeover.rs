//! Going on with a replica that another tool made, from the newest snapshot that both sides have.

use super::{
    land::{Care, Goal, Land, Replica, Scope},
    text::{At, File},
    write::quoted,
};
use crate::{failure::Failure, look, shell};
use std::{collections::BTreeMap, fmt::Write as _, str::FromStr};
use zam_names::{Bookmark, CreateTxg, Dataset, DatasetName, Guid, Kind, RelPath, Snapshot, SnapshotName, UnixTime};
use zam_policy::{
    config::{Config, Destination, Entry},
    copy::{self, Copied, Plan, Source, Wants},
};
use zam_zfs::{Lister, Scope as Listed};

/// `SOURCE=[HOST:]REPLICA`.
#[derive(Clone, Debug)]
pub struct Taken {
    pub source: DatasetName,
    pub host: Option<String>,
    pub copy: DatasetName,
}

/// A dataset on one of the two sides.
#[derive(Clone, Debug)]
pub struct Side {
    pub dataset: Dataset,
    encrypted: bool,
    read_only: bool,
    /// Whether it was written since its newest snapshot.
    written: bool,
    /// Whether a receive was cut.
    partial: bool,
}

/// Both sides, and what the source has of bookmarks.
#[derive(Clone, Debug)]
pub struct Sides {
    pub sources: Vec<Side>,
    pub copies: Vec<Side>,
    pub bookmarks: Vec<Bookmark>,
}

impl FromStr for Taken {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (source, there) = text.split_once('=').ok_or("write it as SOURCE=REPLICA, such as tank/home=nas/home")?;
        let (host, copy) = match there.split_once(':') {
            Some((host, copy)) if !host.contains('/') => (Some(host.to_owned()), copy),
            _ => (None, there),
        };
        let dataset = |name: &str| name.parse().map_err(|why| format!("{name:?} is not a dataset: {why}"));
        Ok(Self { source: dataset(source)?, host, copy: dataset(copy)? })
    }
}

impl Taken {
    /// Below which dataset the copies lie, and where below it this one is, if not by its full name.
    fn place(&self) -> Result<(DatasetName, Option<String>), Failure> {
        let by_full_name =
            self.copy.as_str().strip_suffix(self.source.as_str()).and_then(|root| root.strip_suffix('/'));
        if let Some(root) = by_full_name.and_then(|root| root.parse().ok()) {
            return Ok((root, None));
        }
        let parent = self.copy.parent().ok_or_else(|| {
            Failure::usage(format!("the replica {} is a pool, and zam's copies lie below a dataset", self.copy))
                .hint("move what is in it one deeper, by `zfs rename`, and name that")
        })?;
        let path = self.copy.below(&parent).map(str::to_owned);
        Ok((parent, path))
    }

    /// Where the copy of what is at `rest` below the source lies.
    fn below(&self, rest: &str) -> Option<DatasetName> {
        if rest.is_empty() { Some(self.copy.clone()) } else { format!("{}/{rest}", self.copy).parse().ok() }
    }

    /// The command that tells what is on the other side.
    #[must_use]
    pub fn listing(&self) -> String {
        let command = format!(
            "zfs get -Hpr -t filesystem,volume,snapshot -o name,property,value {} {}",
            ASKED.join(","),
            shell::quoted(self.copy.as_str())
        );
        format!("ssh {} {} >FILE", shell::quoted(self.host.as_deref().unwrap_or_default()), shell::quoted(&command))
    }
}

/// What is at a dataset of this machine and below it.
///
/// # Errors
/// If the listing fails, or there is no such dataset.
pub fn look_at(lister: &dyn Lister, top: &DatasetName) -> Result<Vec<Side>, Failure> {
    let mut sides = Vec::new();
    for mut dataset in lister.datasets(&top.pool())? {
        if dataset.name.below(top).is_none() {
            continue;
        }
        look::snapshots_of(lister, &mut dataset)?;
        let facts = lister.copy_facts(Listed::Datasets(std::slice::from_ref(&dataset.name)))?;
        let read_only = lister.properties(&dataset.name, &["readonly"])?.first().is_some_and(|value| value == "on");
        let facts = facts.first();
        sides.push(Side {
            encrypted: facts.is_some_and(|facts| facts.encrypted),
            written: facts.is_some_and(|facts| facts.written > 0),
            partial: facts.is_some_and(|facts| facts.partial.is_some()),
            read_only,
            dataset,
        });
    }
    if sides.is_empty() {
        return Err(Failure::usage(format!("there is no dataset {top} on this machine")));
    }
    Ok(sides)
}

/// What a listing says of a replica.
///
/// # Errors
/// With file and line, if it is none.
pub fn listed(files: &[File], top: &DatasetName) -> Result<Vec<Side>, Failure> {
    let mut rows: BTreeMap<&str, (At, BTreeMap<&str, &str>)> = BTreeMap::new();
    for file in files {
        for (at, line) in file.lines() {
            let [name, property, value] = line.split('\t').collect::<Vec<_>>()[..] else {
                return Err(at.wrong(format!("{line:?} is no line of `zfs get -Hp -o name,property,value`")));
            };
            rows.entry(name).or_insert_with(|| (at, BTreeMap::new())).1.insert(property, value);
        }
    }
    let mut sides: Vec<Side> = Vec::new();
    let wanted = |name: &str| {
        name.strip_prefix(top.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '@']))
    };
    // A dataset comes before its snapshots.
    for (name, (at, values)) in rows.into_iter().filter(|(name, _)| wanted(name)) {
        let value = |key: &str| {
            values
                .get(key)
                .copied()
                .ok_or_else(|| at.wrong(format!("no {key} of {name}: take all of {}", ASKED.join(","))))
        };
        let number =
            |key: &str| value(key)?.parse::<u64>().map_err(|_| at.wrong(format!("{key} of {name} is not a number")));
        let is = |key: &str, none: &[&str]| Ok::<bool, Failure>(!none.contains(&value(key)?));
        match name.parse::<SnapshotName>() {
            Ok(snapshot) => {
                let side = sides.iter_mut().find(|side| side.dataset.name == *snapshot.dataset());
                let side = side.ok_or_else(|| {
                    at.wrong(format!("a snapshot of {}, which is not in the listing", snapshot.dataset()))
                })?;
                side.dataset.snapshots.push(Snapshot {
                    tag: snapshot.tag().clone(),
                    guid: Guid(number("guid")?),
                    createtxg: CreateTxg(number("createtxg")?),
                    creation: UnixTime(i64::try_from(number("creation")?).unwrap_or(i64::MAX)),
                    holds: Vec::new(),
                    clones: 0,
                    deferred: false,
                    used: None,
                });
            }
            Err(_) => sides.push(Side {
                encrypted: is("encryption", &["off", "-"])?,
                read_only: value("readonly")? == "on",
                written: is("written", &["0", "-"])?,
                partial: is("receive_resume_token", &["-", ""])?,
                dataset: Dataset {
                    name: at.dataset(name)?,
                    guid: Guid(number("guid")?),
                    kind: if value("type")? == "volume" { Kind::Volume } else { Kind::Filesystem },
                    used: 0,
                    used_by_snapshots: 0,
                    snapshots_changed: None,
                    snapshots: Vec::new(),
                },
            }),
        }
    }
    if sides.iter().all(|side| side.dataset.name != *top) {
        return Err(Failure::usage(format!("the listing has no dataset {top}")));
    }
    for side in &mut sides {
        side.dataset.snapshots.sort_by_key(|snapshot| snapshot.createtxg);
    }
    Ok(sides)
}

/// Makes the replica a destination of its source and of all below it that is named; on this machine also a replica that
/// arrives.
///
/// # Errors
/// If the files say nothing about the source, or copies cannot lie where the replica is.
pub fn aim(land: &mut Land, taken: &Taken, sides: &Sides, client: &str) -> Result<(), Failure> {
    let (root, path) = taken.place()?;
    let here = taken.host.is_none();
    let kept =
        land.scopes.get(&taken.copy).map_or_else(|| land.around(&taken.copy), |scope| scope.own.as_ref()).cloned();
    // What thinned the copies until now becomes the replica's own rule.
    let idle = |scope: &Scope| [&scope.own, &scope.below].into_iter().flatten().all(|care| care.taken.is_none());
    land.scopes.retain(|name, scope| !here || name.below(&root).is_none() || !idle(scope));
    if !land.scopes.contains_key(&taken.source) {
        let above = std::iter::successors(taken.source.parent(), DatasetName::parent)
            .find_map(|above| Some((land.scopes.get(&above)?, above)));
        let found = above.and_then(|(scope, above)| {
            Some((scope.at.clone(), scope.below.clone()?, taken.source.below(&above)?.to_owned()))
        });
        let Some((at, mut care, rest)) = found else {
            return Err(Failure::usage(format!("these files say nothing about {}", taken.source)));
        };
        care.goals.iter_mut().for_each(|goal| deepen(goal, &rest));
        land.scopes
            .insert(taken.source.clone(), Scope { at, own: Some(care.clone()), below: Some(care), notes: Vec::new() });
    }
    let raw = (raw(taken, sides) == Some(false)).then(|| ("raw", "false".to_owned()));
    let mut usual = None;
    let within = |name: &&DatasetName| name.below(&taken.source).is_some();
    let named: Vec<DatasetName> = land.scopes.keys().filter(within).cloned().collect();
    let inherits = |name: &DatasetName| *name != taken.source && land.around(name) == land.scopes[name].below.as_ref();
    let inheriting: Vec<bool> = named.iter().map(inherits).collect();
    // Those above come first, so that what is inherited has its goal already.
    for (name, inherits) in named.iter().zip(inheriting) {
        let around = land.around(name).cloned();
        let (Some(scope), Some(rest)) = (land.scopes.get_mut(name), name.below(&taken.source)) else { continue };
        let mut aimed = |care: &mut Care| {
            if !care.goals.iter().any(|goal| leads(goal, name, taken, rest)) {
                care.goals.push(goal(taken, &root, path.as_deref(), rest));
            }
            for goal in care.goals.iter_mut().filter(|goal| leads(goal, name, taken, rest)) {
                goal.retain(|(key, _)| *key != "raw" || raw.is_none());
                goal.extend(raw.clone());
            }
            usual.get_or_insert_with(|| care.clone());
        };
        scope.own.iter_mut().for_each(&mut aimed);
        if inherits {
            scope.below = around;
        } else {
            scope.below.iter_mut().for_each(&mut aimed);
        }
    }
    let Some(care) = kept.filter(|_| here).or(usual).filter(|_| here) else { return Ok(()) };
    let there = land.replicas.iter_mut().find(|replica| taken.copy.below(&replica.root).is_some());
    match (there, RelPath::of(&taken.copy, &root)) {
        (Some(replica), Some(path)) if replica.root == root && replica.windows != care.windows => {
            replica.datasets.insert(path, care.windows);
        }
        (Some(_), _) => {}
        (None, _) => land.replicas.push(Replica {
            client: client.to_owned(),
            root,
            windows: care.windows,
            at_least: care.at_least,
            adopt: care.adopt,
            datasets: BTreeMap::new(),
            notes: Vec::new(),
        }),
    }
    Ok(())
}

fn goal(taken: &Taken, root: &DatasetName, path: Option<&str>, rest: &str) -> Goal {
    let mut goal: Goal = taken.host.iter().map(|host| ("remote-host", quoted(host))).collect();
    let path = path.map(str::to_owned);
    match &taken.host {
        None => goal.push(("root", quoted(root.as_str()))),
        Some(_) => goal.push(("pool", quoted(root.pool().as_str()))),
    }
    let within = match (&taken.host, path) {
        (None, path) => path,
        (Some(_), _) => taken.copy.below(&root.pool().into()).map(str::to_owned),
    };
    goal.extend(within.map(|within| ("dataset", quoted(&within))));
    deepen(&mut goal, rest);
    goal
}

/// Leads to as much deeper a place.
fn deepen(goal: &mut Goal, rest: &str) {
    if let Some((_, value)) = goal.iter_mut().find(|(key, _)| *key == "dataset").filter(|_| !rest.is_empty()) {
        *value = format!("{}/{rest}\"", value.trim_end_matches('"'));
    }
}

/// Whether a destination that is there already is this replica.
fn leads(goal: &Goal, name: &DatasetName, taken: &Taken, rest: &str) -> bool {
    let value = |key: &str| {
        let (_, value) = goal.iter().find(|(known, _)| *known == key)?;
        serde_json::from_str::<String>(value).ok()
    };
    if value("remote-host") != taken.host {
        return false;
    }
    let Some(copy) = taken.below(rest) else { return false };
    let within = value("dataset").unwrap_or_else(|| name.to_string());
    match value("root").or_else(|| value("pool")) {
        Some(above) => copy.as_str() == format!("{above}/{within}"),
        None => copy.as_str().ends_with(&format!("/{within}")),
    }
}

/// Whether what is encrypted lies there raw; none where nothing is, or is there.
fn raw(taken: &Taken, sides: &Sides) -> Option<bool> {
    let there = |side: &&Side| sides.copy_of(taken, side).filter(|_| side.encrypted).is_some();
    sides.sources.iter().find(there).and_then(|side| sides.copy_of(taken, side)).map(|copy| copy.encrypted)
}

impl Sides {
    fn copy_of(&self, taken: &Taken, source: &Side) -> Option<&Side> {
        let copy = taken.below(source.dataset.name.below(&taken.source)?)?;
        self.copies.iter().find(|side| side.dataset.name == copy)
    }
}

/// What is to be done before the first copy, and what would have to be sent again.
#[must_use]
pub fn report(config: &Config, taken: &Taken, sides: &Sides, now: UnixTime) -> String {
    let raw = raw(taken, sides);
    let (mut here, mut there, mut goes_on, mut again) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for source in &sides.sources {
        let name = &source.dataset.name;
        let Some((entry, destination)) = sent(config, source, taken) else { continue };
        let Some(copy) = sides.copy_of(taken, source) else {
            again.push(format!("{name}: the replica has no such dataset"));
            continue;
        };
        let at = shell::quoted(copy.dataset.name.as_str());
        if source.encrypted && raw != Some(copy.encrypted) {
            let how = if copy.encrypted { "encrypted" } else { "not encrypted" };
            again.push(format!(
                "{name}: it is {how} there, unlike the others: give it an entry of its own, with `raw = {}`",
                copy.encrypted
            ));
            continue;
        }
        let bookmarks: Vec<Bookmark> =
            sides.bookmarks.iter().filter(|bookmark| bookmark.name.dataset() == name).cloned().collect();
        let copied: Vec<Copied> = copy
            .dataset
            .snapshots
            .iter()
            .map(|it| Copied { guid: it.guid, tag: it.tag.clone(), creation: it.creation })
            .collect();
        let from = Source { snapshots: &source.dataset.snapshots, bookmarks: &bookmarks };
        let wants = Wants { rules: &[&destination.narrowing(entry)], full: false, now };
        if copy.partial {
            there.push(format!("zfs receive -A {at}  # throws away what was half received"));
        }
        let base = match copy::plan(from, Some(copy::Replica { newest: &copied, partial: None }), &wants) {
            Plan::NeedsFull { why } => {
                again.push(format!(
                    "{name}: {why}; first, there: zfs rename {at} {}",
                    shell::quoted(&format!("{}-before-zam", copy.dataset.name))
                ));
                continue;
            }
            Plan::Diverged(copy::Diverged { common, beyond }) => {
                let base = copied.iter().find(|copy| copy.guid == common);
                let beyond: Vec<&str> = beyond.iter().map(|tag| tag.as_str()).collect();
                if let Some(base) = base {
                    let target = shell::quoted(&format!("{}@{}", copy.dataset.name, base.tag));
                    there.push(format!(
                        "zfs rollback -r {target}  # destroys there, and the source has not: {}",
                        beyond.join(", ")
                    ));
                }
                base
            }
            Plan::UpToDate | Plan::Steps(_) | Plan::ClearPartial => copied.last().inspect(|base| {
                if copy.written {
                    let target = shell::quoted(&format!("{}@{}", copy.dataset.name, base.tag));
                    there.push(format!("zfs rollback {target}  # takes back what was written there since"));
                }
            }),
        };
        if !copy.read_only {
            there.push(format!("zfs set readonly=on {at}"));
        }
        let Some(base) = base else { continue };
        let own = source.dataset.snapshots.iter().find(|snapshot| snapshot.guid == base.guid);
        goes_on.push(match own {
            Some(own) => format!("{name}@{} (GUID {})", own.tag, own.guid),
            None => format!("the bookmark of {}@{} (GUID {})", copy.dataset.name, base.tag, base.guid),
        });
        if let Some(own) = own {
            let (from, to) =
                (shell::quoted(&format!("{name}@{}", own.tag)), shell::quoted(&format!("{name}#before-zam")));
            here.push(format!("zfs bookmark {from} {to}  # so that pruning cannot take the base away"));
        }
    }
    if taken.host.is_none() {
        here.append(&mut there);
    }
    let place = taken.host.as_ref().map_or_else(|| taken.copy.to_string(), |host| format!("{host}:{}", taken.copy));
    let mut text = format!("# Going on with {place}, the replica of {}.\n", taken.source);
    let mut section = |what: String, lines: &[String]| {
        if !lines.is_empty() {
            let _ = writeln!(text, "# {what}");
            for line in lines {
                let _ = writeln!(text, "#    {line}");
            }
        }
    };
    if let Some(root) = taken.place().ok().map(|(root, _)| root).filter(|root| root.parent().is_none()) {
        let warning = format!(
            "{root} as a root is the whole pool: what `zamctl grant --print --replica` sets there is for all of it. If it holds more than copies, \
             `zfs rename` this one to below a dataset of its own, and name that"
        );
        section("Mind:".to_owned(), &[warning]);
    }
    section("First, here, as root:".to_owned(), &here);
    section(format!("First, on {}, as root:", taken.host.as_deref().unwrap_or_default()), &there);
    section("It goes on from:".to_owned(), &goes_on);
    section(
        "Would have to be sent again, all of it (`zamctl replicate --full` where it is there already):".to_owned(),
        &again,
    );
    text + "\n"
}

/// The destination by which the copy goes on.
fn sent<'a>(config: &'a Config, source: &Side, taken: &Taken) -> Option<(&'a Entry, &'a Destination)> {
    let name = &source.dataset.name;
    let entry = config.sender_for(name, source.dataset.kind).entry()?;
    let copy = taken.below(name.below(&taken.source)?)?;
    let root = taken.place().ok()?.0;
    let path = RelPath::of(&copy, &root)?;
    let same_host = |destination: &&Destination| destination.remote_host == taken.host;
    let fits =
        |destination: &&Destination| destination.relative_to(entry, name, &root).is_ok_and(|found| found == path);
    Some((entry, entry.destinations.iter().filter(same_host).find(fits)?))
}

/// What a listing has to have.
const ASKED: [&str; 8] =
    ["type", "guid", "createtxg", "creation", "encryption", "readonly", "written", "receive_resume_token"];

#[cfg(test)]
#[path = "takeover_tests.rs"]
mod tests;
