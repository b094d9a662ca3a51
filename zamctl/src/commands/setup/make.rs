//! Answers as the text of a config.

use super::{Replica, Source};
use crate::{commands::ssh::address, import::windows, look::Land};
use std::{fmt::Write as _, str::FromStr};
use zam_names::{DatasetName, NameError};
use zam_policy::{Span, Tier, Unit};

/// How long snapshots are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Preset {
    /// all for 2 days, then one an hour for 2 weeks
    Days,
    /// all for 2 days, one an hour for 2 weeks, one a day for 6 months
    #[default]
    Months,
    /// all for 2 days, one an hour for 2 weeks, one a day for a year, one a month for ever
    Years,
}

impl Preset {
    /// What people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Days => "days",
            Self::Months => "months",
            Self::Years => "years",
        }
    }

    /// Its tiers for snapshots that are taken so often: none is finer than that.
    #[must_use]
    pub fn tiers(self, every: Span) -> Vec<Tier> {
        let span = |count, unit| Span::new(count, unit);
        let (two_days, hourly) = ((span(2, Unit::Day), None), (span(2, Unit::Week), span(1, Unit::Hour)));
        let daily = |count, unit| (span(count, unit), span(1, Unit::Day));
        let all: &[(Option<Span>, Option<Span>)] = match self {
            Self::Days => &[two_days, hourly],
            Self::Months => &[two_days, hourly, daily(6, Unit::Month)],
            Self::Years => &[two_days, hourly, daily(1, Unit::Year), (None, span(1, Unit::Month))],
        };
        let mut tiers: Vec<Tier> = Vec::new();
        for (max_age, period) in all {
            let long = |period: &Span| period.approximate_seconds() > every.approximate_seconds();
            let period = period.filter(long).unwrap_or(every);
            // One that is shorter than what it thins to would be none.
            let too_short = max_age.is_some_and(|age| age.approximate_seconds() < period.approximate_seconds());
            match tiers.last_mut() {
                Some(last) if last.period == period => last.max_age = *max_age,
                _ if too_short => {}
                _ => tiers.push(Tier { max_age: *max_age, period }),
            }
        }
        if tiers.is_empty() { vec![Tier { max_age: None, period: every }] } else { tiers }
    }
}

/// How often, if nobody says.
pub const USUAL: Span = match Span::new(10, Unit::Minute) {
    Some(span) => span,
    None => unreachable!(),
};

/// Where copies go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// Below this dataset of another pool here.
    Here(DatasetName),
    /// Another machine.
    Host(String),
}

impl FromStr for To {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let here = |text: &str| text.parse().map(Self::Here).map_err(|error: NameError| error.to_string());
        match text.strip_prefix("host:") {
            Some(host) => address(host).map(Self::Host),
            // A pool alone: not among what else lies there.
            None if !text.contains('/') => here(&format!("{text}/zam")),
            None => here(text),
        }
    }
}

const HEAD: &str =
    "# Made by `zamctl setup`. /usr/share/doc/zam/docs/config.md has every key; `zamctl check` reads it.\n";

/// The config of a machine that is looked after.
#[must_use]
pub fn source(answers: &Source, land: Option<&Land>) -> String {
    let mut text = HEAD.to_owned();
    let windows = windows(&answers.keep.tiers(answers.every));
    let goals = answers.to.iter().map(|to| match to {
        To::Here(root) => {
            let path = root.as_str().split_once('/').map_or("", |(_, path)| path);
            format!("{{ pool = {:?}, dataset = {path:?} }}", root.pool().as_str())
        }
        To::Host(host) => format!("{{ remote-host = {host:?} }}"),
    });
    let goals: Vec<String> = goals.collect();
    let mut trees: Vec<(DatasetName, Tenant)> = Vec::new();
    for dataset in land.into_iter().flat_map(|land| &land.datasets) {
        let below = answers.datasets.iter().any(|source| dataset.name.below(source).is_some());
        if let Some((tree, tenant)) = tenant(&dataset.name).filter(|_| below)
            && let tree = with_those_of_tomorrow(tree, tenant, answers, land)
            && !trees.iter().any(|(known, _)| *known == tree)
        {
            trees.push((tree, tenant));
        }
    }
    for dataset in &answers.datasets {
        text.push('\n');
        // What somebody asks for by name is not left out.
        let own = tenant(dataset).filter(|(tree, _)| dataset.below(tree).is_some());
        text.extend(own.iter().map(|(_, tenant)| tenant.reason("hold = false")));
        // Writing into a String does not fail.
        let _ = writeln!(text, "[[managed-datasets]]\nsource = {:?}\nrecursive = true", dataset.as_str());
        let _ = writeln!(text, "snapshot-period = \"{}\"\nwindows = {windows}", answers.every);
        if !goals.is_empty() {
            let _ = writeln!(text, "destinations = [{}]", goals.join(", "));
        }
        text.extend(own.map(|_| "hold = false\n"));
    }
    let asked = |tree: &DatasetName| answers.datasets.iter().any(|source| source.below(tree).is_some());
    for (tree, tenant) in trees.iter().filter(|(tree, _)| !asked(tree)) {
        let key = tenant.key();
        let _ = writeln!(text, "\n{}[[managed-datasets]]\nsource = {:?}\n{key}", tenant.reason(key), tree.as_str());
    }
    text
}

/// What the replica's config says about a client.
#[must_use]
pub fn replica(answers: &Replica) -> String {
    let (client, root) = (&answers.client, answers.root.as_str());
    let windows = windows(&answers.keep.tiers(answers.every));
    format!("{HEAD}\n[[replicas]]\nclient = {client:?}\nroot = {root:?}\nwindows = {windows}\n")
}

/// Other software that makes and destroys datasets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tenant {
    Boot,
    Containers,
    Machines,
}

impl Tenant {
    fn key(self) -> &'static str {
        match self {
            Self::Boot | Self::Machines => "hold = false",
            Self::Containers => "enabled = false",
        }
    }

    /// Why an entry says so.
    fn reason(self, key: &str) -> String {
        let (what, who) = match self {
            Self::Boot => ("Boot environments", "zectl, zsys and the like"),
            Self::Containers => ("Containers", "docker, lxd, containerd and the like"),
            Self::Machines => ("Disks of virtual machines", "Proxmox, libvirt and the like"),
        };
        match key {
            "enabled = false" => format!(
                "# {what}: {who} make and destroy these all the time,\n\
                 # and snapshots stand in the way. What holds data there can have an entry of its own.\n"
            ),
            _ => format!(
                "# {what}: {who} destroy and roll back here, where holds stand in the way.\n\
                 # So snapshots are not held, and one key alone could destroy them: `zamctl status` says so.\n"
            ),
        }
    }
}

/// Whose tree a dataset lies in, by its name, and where that begins.
fn tenant(name: &DatasetName) -> Option<(DatasetName, Tenant)> {
    let mut above: Vec<DatasetName> = std::iter::successors(Some(name.clone()), DatasetName::parent).collect();
    above.reverse();
    for tree in above.iter().skip(1) {
        let last = tree.components().last().unwrap_or_default();
        let lower = last.to_lowercase();
        let numbered =
            |start: &str| lower.strip_prefix(start).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        if matches!(last, "ROOT" | "BOOT") {
            return Some((tree.clone(), Tenant::Boot));
        }
        if ["docker", "containerd", "podman"].iter().any(|word| lower.contains(word))
            || matches!(lower.as_str(), "lxd" | "incus" | "lxc")
        {
            return Some((tree.clone(), Tenant::Containers));
        }
        if lower == "libvirt" {
            return Some((tree.clone(), Tenant::Machines));
        }
        if ["vm-", "subvol-", "base-"].iter().any(|start| numbered(start)) {
            return Some((tree.clone(), Tenant::Machines));
        }
    }
    None
}

/// Each machine has disks of its own: where nothing else lies beside one, what is above it stands for those of tomorrow too.
fn with_those_of_tomorrow(tree: DatasetName, who: Tenant, answers: &Source, land: Option<&Land>) -> DatasetName {
    let Some(above) = tree.parent().filter(|_| who == Tenant::Machines) else { return tree };
    let beside = || land.into_iter().flat_map(|land| &land.datasets).map(|dataset| &dataset.name);
    let is_disk = |name: &DatasetName| tenant(name) == Some((name.clone(), Tenant::Machines));
    let alone = beside().filter(|name| name.parent().as_ref() == Some(&above)).all(is_disk);
    let asked = answers.datasets.iter().any(|source| source.below(&above).is_some());
    if alone && !asked { above } else { tree }
}
