//! znapzend: properties of datasets, as `zfs get -H` lists them or `znapzendzetup` exports them.

use super::{
    Asked,
    keep::{self, DAY, HOUR, MINUTE, WEEK, down, up},
    land::{Care, Goal, Land, Replica, Scope},
    text::{At, File, Note},
    write::{self, quoted},
};
use crate::failure::Failure;
use std::collections::{BTreeMap, BTreeSet};
use zam_names::{DatasetName, RelPath};
use zam_policy::{Span, Tier};

/// Reads the files.
pub fn read(files: &[File], asked: &Asked<'_>) -> Result<Land, Failure> {
    let sets = files.iter().map(sets).collect::<Result<Vec<_>, _>>()?.concat();
    let plans =
        sets.iter().filter(|set| set.is_plan()).map(|set| Plan::of(set, asked)).collect::<Result<Vec<_>, _>>()?;
    if plans.is_empty() {
        return Err(Failure::usage("no dataset in these files has a src_plan of znapzend's")
            .hint("`znapzendzetup export DATASET` prints one, `zfs get -H -o name,property,value all` all of them"));
    }
    let mut land = Land { remarks: REMARKS.to_vec(), ..Land::default() };
    let roots = roots(&plans);
    for plan in &plans {
        let (mut care, mut notes) = (plan.care.clone(), plan.notes.clone());
        if let Some(care) = &mut care {
            care.goals = plan.copies.iter().map(|copy| copy.goal(&roots, &mut notes)).collect();
        }
        let below = if plan.recursive { care.clone() } else { None };
        let scope = Scope { at: plan.at.clone(), own: care, below, notes };
        if land.scopes.insert(plan.source.clone(), scope).is_some() {
            return Err(plan.at.wrong(format!("{} has two plans", plan.source)));
        }
    }
    // A dataset within a plan that is switched off there.
    for set in sets.iter().filter(|set| !set.is_plan() && set.value("enabled") == Some("off")) {
        let Some(name) = &set.dataset else { continue };
        let off = Scope { at: set.at.clone(), own: None, below: None, notes: Vec::new() };
        land.scopes.entry(set.at.dataset(name)?).or_insert(off);
    }
    for (nth, (pool, root)) in roots.iter().enumerate() {
        let local = plans.iter().flat_map(|plan| plan.copies.iter().map(move |copy| (plan, copy)));
        let here = |(plan, copy): &(&Plan, &Target)| {
            copy.host.is_none() && copy.dataset.pool().as_str() == pool && plan.care.is_some()
        };
        let arriving: Vec<(&Plan, &Target)> = local.filter(here).collect();
        let Some((_, usual)) = arriving.first() else { continue };
        let client = (asked.client)()?;
        land.replicas.push(Replica {
            client: if nth == 0 { client } else { format!("{client}-{pool}") },
            root: root.clone(),
            windows: usual.windows.clone(),
            at_least: 0,
            adopt: arriving.iter().flat_map(|(plan, _)| plan.care.iter().flat_map(|care| care.adopt.clone())).collect(),
            datasets: arriving
                .iter()
                .filter_map(|(_, copy)| Some((RelPath::of(&copy.dataset, root)?, copy.windows.clone())))
                .collect(),
            notes: Vec::new(),
        });
    }
    Ok(land)
}

/// The properties of one dataset.
#[derive(Clone)]
struct Set {
    at: At,
    dataset: Option<String>,
    keys: BTreeMap<String, (String, At)>,
}

impl Set {
    fn value(&self, key: &str) -> Option<&str> {
        self.keys.get(key).map(|(value, _)| value.as_str())
    }

    /// Whether the plan is its own: `zfs get` shows what is inherited too.
    fn is_plan(&self) -> bool {
        let own =
            self.dataset.is_none() || self.value("src").is_none_or(|source| Some(source) == self.dataset.as_deref());
        own && self.keys.contains_key("src_plan")
    }
}

fn sets(file: &File) -> Result<Vec<Set>, Failure> {
    let mut sets: Vec<Set> = Vec::new();
    for (at, line) in file.lines() {
        let fields: Vec<&str> = line.split('\t').map(str::trim).collect();
        let (dataset, key, value) = match fields[..] {
            [name, property, value, ..] => match property.strip_prefix("org.znapzend:") {
                Some(_) if fields.get(3).is_some_and(|source| source.starts_with("inherited")) => continue,
                Some(key) => (Some(name.to_owned()), key, value),
                None => continue,
            },
            _ if line.starts_with("***") => continue,
            _ => match line.split_once('=') {
                Some((key, value)) => (None, key.trim().trim_start_matches("org.znapzend:"), value.trim()),
                None => return Err(at.wrong(format!("{line:?} is neither a line of `zfs get -H` nor key=value"))),
            },
        };
        let same =
            sets.iter().rposition(|set| set.dataset == dataset && (dataset.is_some() || !set.keys.contains_key(key)));
        let nth = same.filter(|nth| dataset.is_some() || nth + 1 == sets.len()).unwrap_or_else(|| {
            sets.push(Set { at: at.clone(), dataset, keys: BTreeMap::new() });
            sets.len() - 1
        });
        sets[nth].keys.insert(key.to_owned(), (value.to_owned(), at));
    }
    Ok(sets)
}

/// A backup plan.
struct Plan {
    at: At,
    source: DatasetName,
    recursive: bool,
    care: Option<Care>,
    copies: Vec<Target>,
    notes: Vec<Note>,
}

/// Where it goes.
struct Target {
    at: At,
    host: Option<String>,
    dataset: DatasetName,
    windows: Vec<Tier>,
}

impl Plan {
    fn of(set: &Set, asked: &Asked<'_>) -> Result<Self, Failure> {
        let name = set
            .value("src")
            .or(set.dataset.as_deref())
            .ok_or_else(|| set.at.wrong("this plan has no src, so it is for no dataset"))?;
        let (windows, taken) = plan("src_plan", set)?;
        let format = set.value("tsformat").unwrap_or("%Y-%m-%d-%H%M%S");
        let adopt: BTreeSet<String> = asked.adopt.then(|| names(format)).into_iter().collect();
        let on = set.value("enabled").is_none_or(|enabled| enabled == "on");
        let (mut copies, mut notes) = (Vec::new(), Vec::new());
        for (key, (value, at)) in &set.keys {
            let destination = key.strip_prefix("dst_").filter(|name| !name.contains('_'));
            if destination.is_some() {
                let (host, dataset) = match value.split_once(':') {
                    Some((host, dataset)) if !host.contains('/') => (Some(host), dataset),
                    _ => (None, value.as_str()),
                };
                if let Some((user, _)) = host.and_then(|host| host.split_once('@')) {
                    notes.push(at.note(format!(
                        "{user} logged in there; zam-ssh does now, who may receive and nothing else: zamctl ssh --print"
                    )));
                }
                let host = host.map(|host| host.rsplit('@').next().unwrap_or(host).to_owned());
                copies.push(Target {
                    at: at.clone(),
                    host,
                    dataset: at.dataset(dataset)?,
                    windows: plan(&format!("{key}_plan"), set)?.0,
                });
            } else if let Some(text) = foreign(key, value) {
                notes.push(at.note(format!("{key} = {value}: {text}")));
            }
        }
        let care = on.then(|| Care { taken, windows, adopt, ..Care::default() });
        let recursive = set.value("recursive") == Some("on");
        Ok(Self { at: set.at.clone(), source: set.at.dataset(name)?, recursive, care, copies, notes })
    }
}

impl Target {
    fn goal(&self, roots: &BTreeMap<String, DatasetName>, notes: &mut Vec<Note>) -> Goal {
        let pool = self.dataset.pool();
        let mut goal: Goal = self.host.iter().map(|host| ("remote-host", quoted(host))).collect();
        match (&self.host, self.dataset.below(&pool.clone().into()), roots.get(pool.as_str())) {
            (_, None | Some(""), _) => {
                notes.push(self.at.note(format!(
                    "the copy is the pool {pool} itself; zam wants a dataset: it goes below it, and all is sent again"
                )));
                goal.push(if self.host.is_some() {
                    ("pool", quoted(pool.as_str()))
                } else {
                    ("root", quoted(pool.as_str()))
                });
                if self.host.is_some() {
                    goal.push(("dataset", quoted("zam")));
                }
            }
            (None, Some(_), Some(root)) => {
                goal.push(("root", quoted(root.as_str())));
                goal.extend(self.dataset.below(root).map(|path| ("dataset", quoted(path))));
            }
            (_, Some(path), _) => goal.extend([("pool", quoted(pool.as_str())), ("dataset", quoted(path))]),
        }
        // Of this machine the root is the pool in both cases.
        if self.host.is_none() && roots.get(pool.as_str()).is_some_and(|root| root.as_str() == pool.as_str()) {
            notes.push(self.at.note(format!(
                "zam's grants then reach all of the pool {pool}; with a `root` that is a dataset of its own they would end there, and all were sent again"
            )));
        }
        goal.push(("windows", write::windows(&self.windows)));
        goal
    }
}

/// For each pool of this machine to which something goes, what is above all of that.
fn roots(plans: &[Plan]) -> BTreeMap<String, DatasetName> {
    let mut roots: BTreeMap<String, DatasetName> = BTreeMap::new();
    for copy in plans.iter().flat_map(|plan| &plan.copies).filter(|copy| copy.host.is_none()) {
        let pool = copy.dataset.pool();
        let mut root = copy.dataset.parent().unwrap_or_else(|| pool.clone().into());
        if let Some(other) = roots.get(pool.as_str()) {
            while other.below(&root).is_none() {
                root = root.parent().unwrap_or_else(|| pool.clone().into());
            }
        }
        roots.insert(pool.as_str().to_owned(), root);
    }
    roots
}

/// What a plan keeps, and how often it takes a snapshot.
fn plan(key: &str, set: &Set) -> Result<(Vec<Tier>, Option<Span>), Failure> {
    let (text, at) = set.keys.get(key).ok_or_else(|| set.at.wrong(format!("there is no {key}")))?;
    let wrong = || at.wrong(format!("{key} = {text:?} is not a plan such as 7d=>1h,30d=>4h"));
    let mut tiers = Vec::new();
    for part in text.split(',') {
        let (age, period) = part.split_once("=>").ok_or_else(wrong)?;
        let (age, period) = (seconds(age).ok_or_else(wrong)?, seconds(period).ok_or_else(wrong)?);
        tiers.push(Tier { max_age: up(age), period: down(period).ok_or_else(wrong)? });
    }
    let finest = tiers.iter().map(|tier| tier.period).min_by_key(|period| period.approximate_seconds());
    Ok((keep::tiers(tiers), finest))
}

fn seconds(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = text.split_at(digits);
    let one = match unit.trim() {
        "s" | "sec" | "second" | "seconds" => 1,
        "M" | "min" | "mins" | "minute" | "minutes" => MINUTE,
        "h" | "hour" | "hours" => HOUR,
        "d" | "day" | "days" => DAY,
        "w" | "week" | "weeks" => WEEK,
        "m" | "mon" | "mons" | "month" | "months" => 30 * DAY,
        "y" | "year" | "years" => 365 * DAY + 6 * HOUR,
        _ => return None,
    };
    count.parse::<i64>().ok()?.checked_mul(one).filter(|seconds| *seconds > 0)
}

/// The pattern for names of this form.
fn names(format: &str) -> String {
    let mut pattern = String::from("re:");
    let mut rest = format.chars();
    while let Some(c) = rest.next() {
        match c {
            '%' => pattern.push_str(if rest.next() == Some('Y') { "[0-9]{4}" } else { "[0-9]{2}" }),
            '.' => pattern.push_str("[.]"),
            c => pattern.push(c),
        }
    }
    pattern
}

/// What zam does otherwise.
fn foreign(key: &str, value: &str) -> Option<&'static str> {
    if value == "off" || value.is_empty() || value == "0" {
        return None;
    }
    match key {
        "src" | "src_plan" | "enabled" | "recursive" | "tsformat" => None,
        _ if key.ends_with("_plan") || key.ends_with("_synced") || key.ends_with("_valid") => None,
        _ if key.contains("mbuffer") => {
            Some("not needed: zam passes streams from pipe to pipe; `bandwidth` limits them")
        }
        _ if key.ends_with("cmd") => {
            Some("write it as a `hook` of the entry (docs/hooks.md); nothing is run around copies")
        }
        "zend_delay" => Some("zam sends when the snapshot is there; `splay` moves the tick"),
        _ => Some("zam has no word for it"),
    }
}

const REMARKS: [&str; 2] = [
    "znapzend destroys nothing at the source while a destination is behind; zam goes by the windows, and keeps a bookmark from which",
    "the next copy can go on.",
];
