//! Which grants the config needs, and how what is there differs from it. Pure: no pool is asked here.

use crate::{openzfs::OpenZfs, shell::quoted};
use std::collections::{BTreeMap, BTreeSet};
use zam_names::DatasetName;
use zam_policy::config::{Config, Entry};
use zam_zfs::{Grant, GrantScope, GrantWho};

/// A role that has grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Role {
    /// zamd-snap: takes, holds, releases
    Snap,
    /// zamd-prune: destroys what is expired and released
    Prune,
    /// zamd-send: sends to replicas
    Send,
    /// zamd-recv: receives from sources
    Recv,
}

impl Role {
    /// All, in the order in which they are printed.
    pub const ALL: [Self; 4] = [Self::Snap, Self::Prune, Self::Send, Self::Recv];

    /// The unix user who has the role.
    #[must_use]
    pub fn user(self) -> &'static str {
        match self {
            Self::Snap => "zam-snap",
            Self::Prune => "zam-prune",
            Self::Send => "zam-send",
            Self::Recv => "zam-recv",
        }
    }
}

/// A grant that an entry needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need<'a> {
    /// Which role needs it.
    pub role: Role,
    /// Whom it is given to.
    pub who: GrantWho,
    /// What needs it.
    pub entry: &'a Entry,
    /// Where below the source it must hold.
    pub scope: GrantScope,
    /// What.
    pub permissions: &'static [&'static str],
    /// What for, for people.
    pub purpose: &'static str,
}

impl Need<'_> {
    /// The command that gives it.
    #[must_use]
    pub fn command(&self) -> String {
        allow(&self.who, self.scope, self.permissions, &self.entry.source)
    }

    fn is_within(&self, other: &Need<'_>) -> bool {
        let below = self.entry.source != other.entry.source && self.entry.source.below(&other.entry.source).is_some();
        below
            && other.scope != GrantScope::Local
            && other.entry.recursive
            && self.who == other.who
            && self.permissions.iter().all(|permission| other.permissions.contains(permission))
    }
}

/// What an entry needs for a role, whatever other entries need.
#[must_use]
pub fn needs<'a>(entry: &'a Entry, role: Role, zfs: OpenZfs) -> Vec<Need<'a>> {
    let user = || GrantWho::User(role.user().to_owned());
    let need = |scope, permissions, purpose| Need { role, who: user(), entry, scope, permissions, purpose };
    // Looked up at the dataset itself, so a grant for that alone is enough where nothing below is meant.
    let here = if entry.recursive { GrantScope::Both } else { GrantScope::Local };
    let sends = !entry.destinations.is_empty();
    match role {
        _ if !entry.enabled => vec![],
        Role::Snap if entry.snapshot_period.is_none() => {
            vec![need(here, &["hold", "release"], "hold snapshots and release these holds; it takes none here")]
        }
        Role::Snap => {
            vec![need(here, &["snapshot", "hold", "release"], "take snapshots, hold them, release these holds")]
        }
        Role::Prune if entry.prune_period.is_none() => vec![],
        Role::Prune => {
            // A snapshot counts as a descendent of its own dataset, so this spares the dataset itself.
            let snapshots = need(
                GrantScope::Descendent,
                &["destroy", "mount"],
                "destroy snapshots that nobody holds (`mount` goes with it; only root can really mount)",
            );
            // A bookmark does not, and without `mount` the dataset is still spared.
            let bookmarks = need(
                GrantScope::Local,
                &["destroy"],
                "destroy bookmarks that no replica needs any more (without `mount`, so not the dataset itself)",
            );
            if sends { vec![snapshots, bookmarks] } else { vec![snapshots] }
        }
        Role::Send if !sends => vec![],
        Role::Send => {
            let raw = entry.destinations.iter().all(|destination| destination.raw == Some(true));
            let send = if raw && zfs.knows(OpenZfs::SEND_RAW) {
                need(
                    GrantScope::Descendent,
                    &["send:raw"],
                    "read snapshots as they are on disk, encrypted ones without a key",
                )
            } else {
                need(GrantScope::Descendent, &["send"], "read snapshots, to send them")
            };
            vec![send, need(here, &["bookmark"], "mark what was sent, so that the next step has its base")]
        }
        Role::Recv if entry.client.is_none() => vec![],
        Role::Recv => {
            let receive = if zfs.knows(OpenZfs::RECEIVE_APPEND) {
                need(
                    here,
                    &["receive:append", "create", "mount", "hold"],
                    "add what is received, hold it; nothing can be rolled back by receiving",
                )
            } else {
                need(
                    here,
                    &["receive", "create", "mount", "hold"],
                    "receive, hold what arrived; before OpenZFS 2.3.2 zfs cannot say `only add`, so the holds must stand against rolling back",
                )
            };
            let partial = Need {
                who: GrantWho::Creator,
                ..need(
                    GrantScope::Descendent,
                    &["destroy", "mount"],
                    "throw away what was half received, and not what is received: zam-recv gets this with what it creates",
                )
            };
            vec![receive, partial]
        }
    }
}

/// The entry whose grant from further above is enough for this need.
#[must_use]
pub fn given_above<'a>(config: &'a Config, need: &Need<'_>, zfs: OpenZfs) -> Option<&'a Entry> {
    let others = config.entries.iter().flat_map(|entry| needs(entry, need.role, zfs));
    others
        .filter(|other| need.is_within(other))
        .map(|other| other.entry)
        .min_by_key(|entry| entry.source.as_str().len())
}

/// How the grants that are there differ from those that are needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// What must be allowed, a grant each.
    pub missing: Vec<Grant>,
    /// What must be taken away.
    pub surplus: Vec<Grant>,
}

/// Where a permission is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Flag {
    Local,
    Descendent,
}

/// A single permission.
type Atom = (DatasetName, GrantWho, Flag, String);

/// Compares what `config` needs on the datasets of `there` with what was found.
#[must_use]
pub fn compare(
    config: &Config,
    roles: &[Role],
    zfs: OpenZfs,
    there: &dyn Fn(&DatasetName) -> bool,
    found: &[Grant],
) -> Difference {
    let found: BTreeSet<Atom> = found.iter().filter(|grant| is_ours(config, grant, roles)).flat_map(atoms).collect();
    let needs = || config.entries.iter().flat_map(|entry| roles.iter().flat_map(move |role| needs(entry, *role, zfs)));
    let needed: BTreeSet<Atom> = needs().flat_map(|need| atoms(&as_grant(need))).collect();
    // What comes from a grant that is itself too much will not come from there for long.
    let rightful: BTreeSet<Atom> = found.intersection(&needed).cloned().collect();
    let missing = needed.iter().filter(|atom| there(&atom.0) && !is_given(atom, &rightful)).cloned();
    // One that is missing here because an entry above needs it too is mended there.
    let missing: BTreeSet<Atom> = missing.collect();
    let mended_above = |atom: &Atom| {
        above(&atom.0).any(|name| missing.contains(&(name, atom.1.clone(), Flag::Descendent, atom.3.clone())))
    };
    Difference {
        missing: gathered(missing.iter().filter(|atom| !mended_above(atom)).cloned()),
        surplus: gathered(found.difference(&needed).filter(|atom| !may_stay(config, atom)).cloned()),
    }
}

/// The command that gives a grant.
#[must_use]
pub fn allow(who: &GrantWho, scope: GrantScope, permissions: &[impl AsRef<str>], dataset: &DatasetName) -> String {
    command("allow", who, scope, permissions, dataset)
}

/// The command that takes a grant away.
#[must_use]
pub fn unallow(grant: &Grant) -> String {
    command("unallow", &grant.who, grant.scope, &grant.permissions, &grant.dataset)
}

/// Who has a grant, for people.
#[must_use]
pub fn name(who: &GrantWho) -> String {
    match who {
        GrantWho::User(name) => name.clone(),
        GrantWho::Group(name) => format!("group {name}"),
        GrantWho::Everyone => "everybody".to_owned(),
        GrantWho::Creator => "whoever creates a dataset".to_owned(),
    }
}

/// What makes a surplus permission worse than untidy.
#[must_use]
pub fn peril(grant: &Grant) -> Option<&'static str> {
    let has = |one: &[&str]| grant.permissions.iter().any(|held| one.contains(&held.as_str()));
    let is = |user: &str| matches!(&grant.who, GrantWho::User(name) | GrantWho::Group(name) if name == user);
    if is("zam-snap") && has(&["destroy", "receive", "rollback", "rename", "promote"]) {
        Some("it has both keys: it can release a snapshot and do away with it, alone")
    } else if is("zam-prune") && has(&["release"]) {
        Some("it has both keys: it can release a snapshot and destroy it, alone")
    } else if is("zam-recv") && has(&["receive"]) {
        Some("a forced receive destroys what is not held; `receive:append` cannot")
    } else if has(&["release", "rollback", "receive", "rename", "promote", "allow"]) {
        Some("none of zam's roles needs this, and it can undo what the holds protect")
    } else if has(&["destroy"]) && grant.scope != GrantScope::Descendent {
        Some("on a dataset itself it allows to destroy that, not only its snapshots")
    } else {
        None
    }
}

fn command(
    verb: &str,
    who: &GrantWho,
    scope: GrantScope,
    permissions: &[impl AsRef<str>],
    dataset: &DatasetName,
) -> String {
    let scope = match scope {
        // `-c` takes no other flag.
        _ if *who == GrantWho::Creator => "",
        GrantScope::Local => "-l ",
        GrantScope::Descendent => "-d ",
        GrantScope::Both => "",
    };
    let who = match who {
        GrantWho::User(name) => format!("-u {}", quoted(name)),
        GrantWho::Group(name) => format!("-g {}", quoted(name)),
        GrantWho::Everyone => "-e".to_owned(),
        GrantWho::Creator => "-c".to_owned(),
    };
    let permissions: Vec<&str> = permissions.iter().map(AsRef::as_ref).collect();
    format!("zfs {verb} {scope}{who} {} {}", permissions.join(","), quoted(dataset.as_str()))
}

/// Whether a grant is to one of the roles asked about; to a role that this version does not have; or to everybody, and
/// of the kind that only keys have.
fn is_ours(config: &Config, grant: &Grant, roles: &[Role]) -> bool {
    match &grant.who {
        GrantWho::User(name) | GrantWho::Group(name) => match Role::ALL.iter().find(|role| role.user() == name) {
            Some(role) => roles.contains(role),
            None => name.starts_with("zam-") && name != "zam-operators" && roles.len() == Role::ALL.len(),
        },
        GrantWho::Everyone => grant.permissions.iter().any(|held| held == "destroy" || held == "release"),
        // zam-recv gets it with each dataset that it makes below.
        GrantWho::Creator => {
            roles.contains(&Role::Recv)
                && roots(config).any(|root| {
                    root.source.below(&grant.dataset).is_some() || grant.dataset.below(&root.source).is_some()
                })
        }
    }
}

/// The entries of a client's root, less those that say something else of a dataset below.
pub fn roots(config: &Config) -> impl Iterator<Item = &Entry> {
    config.entries.iter().filter(|entry| {
        let above = |other: &&Entry| {
            other.client == entry.client && other.source != entry.source && entry.source.below(&other.source).is_some()
        };
        entry.client.is_some() && !config.entries.iter().any(|other| above(&other))
    })
}

fn as_grant(need: Need<'_>) -> Grant {
    Grant {
        dataset: need.entry.source.clone(),
        who: need.who,
        scope: need.scope,
        permissions: need.permissions.iter().map(|permission| (*permission).to_owned()).collect(),
    }
}

fn atoms(grant: &Grant) -> Vec<Atom> {
    let flags: &[Flag] = match grant.scope {
        // Whatever is made below gets it.
        _ if grant.who == GrantWho::Creator => &[Flag::Descendent],
        GrantScope::Local => &[Flag::Local],
        GrantScope::Descendent => &[Flag::Descendent],
        GrantScope::Both => &[Flag::Local, Flag::Descendent],
    };
    let each = |flag: &Flag| {
        let flag = *flag;
        grant.permissions.iter().map(move |held| (grant.dataset.clone(), grant.who.clone(), flag, held.clone()))
    };
    flags.iter().flat_map(each).collect()
}

/// Whether a permission that is not needed is harmless and of use: `zamctl snapshot` where nothing is scheduled; and what
/// comes to zam-recv with each dataset that it makes.
fn may_stay(config: &Config, (dataset, who, flag, permission): &Atom) -> bool {
    let is = |role: Role| *who == GrantWho::User(role.user().to_owned());
    let here = |entry: &Entry| entry.source == *dataset && entry.enabled && (*flag == Flag::Local || entry.recursive);
    let below = |root: &Entry| root.source != *dataset && dataset.below(&root.source).is_some();
    let made = is(Role::Recv) && *flag == Flag::Local && (permission == "destroy" || permission == "mount");
    (is(Role::Snap) && permission == "snapshot" && config.entries.iter().any(here))
        || (made && roots(config).any(below))
}

/// Whether a permission is there, on the dataset or from further above.
fn is_given(atom: &Atom, found: &BTreeSet<Atom>) -> bool {
    let from = |name| found.contains(&(name, atom.1.clone(), Flag::Descendent, atom.3.clone()));
    found.contains(atom) || above(&atom.0).any(from)
}

fn above(dataset: &DatasetName) -> impl Iterator<Item = DatasetName> {
    std::iter::successors(dataset.parent(), DatasetName::parent)
}

/// Permissions are printed in the order in which they are used, those of no use to zam last.
fn usual_place(permission: &str) -> usize {
    const ORDER: [&str; 9] =
        ["snapshot", "receive:append", "receive", "create", "hold", "release", "destroy", "mount", "bookmark"];
    ORDER.iter().position(|known| *known == permission).unwrap_or(ORDER.len())
}

/// Puts single permissions back together into as few grants as can be.
fn gathered(atoms: impl Iterator<Item = Atom>) -> Vec<Grant> {
    let mut flags: BTreeMap<(DatasetName, GrantWho, String), BTreeSet<Flag>> = BTreeMap::new();
    for (dataset, who, flag, permission) in atoms {
        flags.entry((dataset, who, permission)).or_default().insert(flag);
    }
    let mut grants: BTreeMap<(DatasetName, GrantWho, Vec<Flag>), Vec<String>> = BTreeMap::new();
    for ((dataset, who, permission), flags) in flags {
        grants.entry((dataset, who, flags.into_iter().collect())).or_default().push(permission);
    }
    grants.values_mut().for_each(|permissions| permissions.sort_by_key(|permission| usual_place(permission)));
    let grant = |((dataset, who, flags), permissions): ((DatasetName, GrantWho, Vec<Flag>), _)| {
        let scope = match flags.as_slice() {
            [Flag::Local] => GrantScope::Local,
            [Flag::Descendent] => GrantScope::Descendent,
            _ => GrantScope::Both,
        };
        Grant { dataset, who, scope, permissions }
    };
    grants.into_iter().map(grant).collect()
}

#[cfg(test)]
#[path = "grants_tests.rs"]
mod tests;
