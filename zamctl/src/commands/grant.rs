//! `zamctl grant`: what to type so that the roles may do their work, and whether it was typed.

use crate::{
    failure::{Failure, Outcome},
    grants::{self, Difference, Role, compare, given_above, needs, peril, roots, unallow},
    look::Land,
    openzfs::OpenZfs,
    out,
    session::Session,
    shell::quoted,
    words::count,
};
use std::fmt::Write as _;
use zam_names::DatasetName;
use zam_policy::config::{Config, Entry, Match};
use zam_zfs::{Grant, Lister};

/// Print the grants that the config needs, or compare them with the pools
///
/// `zamctl grant --print | sh`, as root, gives the roles what they need and nothing else. It works before any daemon
/// runs, may be repeated, and never runs anything itself. With `--replica` it is about what this machine receives
/// (`[[replicas]]`): the datasets that hold the copies, with what they let nobody do, and their grants.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub struct Args {
    /// Print `zfs allow` commands for a root shell, each with a comment on what it allows
    #[arg(long, group = "what")]
    print: bool,
    /// Compare with what is granted: missing and surplus, and the commands that mend it (exit code 3)
    #[arg(long, group = "what")]
    check: bool,
    /// Only for this role
    #[arg(long, value_enum, value_name = "ROLE")]
    role: Option<Role>,
    /// What is received here, instead of what is managed here; with `--check`, also which guarantee holds
    #[arg(long)]
    replica: bool,
    /// For this release instead of the one that runs here
    #[arg(long, value_name = "VERSION")]
    openzfs: Option<OpenZfs>,
}

/// Prints or compares.
///
/// # Errors
/// If the config is faulty, or, to compare, the pools cannot be listed.
pub fn run(args: &Args, session: &Session) -> Result<Outcome, Failure> {
    let config = session.config()?.config;
    let roles: Vec<Role> = Role::ALL.into_iter().filter(|role| args.role.is_none_or(|only| only == *role)).collect();
    let lister = session.lister();
    let zfs = args.openzfs.unwrap_or_else(|| session.openzfs());
    if args.check {
        return check(&config, &roles, zfs, args.replica, &*lister);
    }
    // Names alone are enough where the pools cannot be listed.
    let land = Land::survey(&*lister).ok();
    let from = session.globals.config.display().to_string();
    let print = Print { config: &config, roles: &roles, zfs, land: land.as_ref() };
    out::print(&if args.replica { print.replicas(&from) } else { print.managed(&from) })?;
    Ok(Outcome::Fine)
}

/// What the printed text is made from.
pub struct Print<'a> {
    /// What needs the grants.
    pub config: &'a Config,
    /// Whose.
    pub roles: &'a [Role],
    /// Which release.
    pub zfs: OpenZfs,
    /// What is there, where the pools could be listed.
    pub land: Option<&'a Land>,
}

impl Print<'_> {
    /// The commands for what is managed here, with their comments; `from` is where the config stands.
    #[must_use]
    pub fn managed(&self, from: &str) -> String {
        let mut out = self.head(from, "");
        let (managed, replicas): (Vec<&Entry>, Vec<&Entry>) =
            self.config.entries.iter().partition(|entry| entry.client.is_none());
        for entry in managed {
            // Writing into a String does not fail.
            let _ = self.write_entry(&mut out, entry);
        }
        if !replicas.is_empty() {
            out += "\n# What this machine receives: zamctl grant --print --replica\n";
        }
        out
    }

    /// The same for what is received here.
    #[must_use]
    pub fn replicas(&self, from: &str) -> String {
        let mut out = self.head(from, " --replica");
        if roots(self.config).next().is_none() {
            out += "\n# Nothing: there is no [[replicas]] in the config. On the source, `zamctl replica-config --print DEST` prints one.\n";
        }
        for root in roots(self.config) {
            let _ = self.write_root(&mut out, root);
        }
        out
    }

    fn head(&self, from: &str, replica: &str) -> String {
        let mut out = format!(
            "# What zam's roles need for {from}. Read it, then run it as root: zamctl grant --print{replica} | sh\n\
             # Giving a grant twice changes nothing; `zamctl grant --check` compares, `zamctl uninstall --print` undoes.\n"
        );
        if self.land.is_none() {
            out += "# The pools could not be listed: this is made from the names in the config alone.\n";
        }
        out
    }

    fn write_root(&self, out: &mut String, root: &Entry) -> std::fmt::Result {
        let client = root.client.as_deref().unwrap_or_default();
        let name = quoted(root.source.as_str());
        writeln!(out, "\n# {}: what the client {client} sends ({})", root.source, root.place)?;
        if self.land.is_some_and(|land| !land.has_pool(&root.source.pool())) {
            writeln!(out, "# The pool {} is not imported now: run this when it is.", root.source.pool())?;
        }
        writeln!(
            out,
            "# What arrives inherits all of this, so that nothing of it is mounted, run, written or seen as a disk here."
        )?;
        if self.land.is_some_and(|land| land.dataset(&root.source).is_some()) {
            writeln!(out, "zfs set {} {name}", CONTAINER.join(" "))?;
        } else {
            let mut above: Vec<DatasetName> =
                std::iter::successors(root.source.parent(), DatasetName::parent).collect();
            above.retain(|name| name.parent().is_some());
            let mounted_nowhere = ["mountpoint=none", "canmount=off"].as_slice();
            let made =
                above.iter().rev().map(|name| (name, mounted_nowhere)).chain([(&root.source, CONTAINER.as_slice())]);
            for (dataset, properties) in made {
                let dataset = quoted(dataset.as_str());
                let properties: String = properties.iter().map(|property| format!(" -o {property}")).collect();
                writeln!(out, "zfs list -H -o name {dataset} >/dev/null 2>&1 || zfs create -u{properties} {dataset}")?;
            }
        }
        writeln!(
            out,
            "# How much this client may fill; choose, and take the `#` away. The limits hold for zam-recv, not for root."
        )?;
        writeln!(out, "# zfs set quota=1T snapshot_limit=100000 filesystem_limit=1000 {name}")?;
        self.write_needs(out, root)
    }

    fn write_needs(&self, out: &mut String, entry: &Entry) -> std::fmt::Result {
        for role in self.roles {
            let needs = needs(entry, *role, self.zfs);
            if needs.is_empty() && *role == Role::Prune {
                writeln!(out, "# {}: nothing, since `prune-period` is \"never\".", role.user())?;
            }
            let mut said = None;
            for need in needs {
                let (user, purpose) = (grants::name(&need.who), need.purpose);
                let above = given_above(self.config, &need, self.zfs).map(|above| &above.source);
                match above {
                    Some(above) if said == Some(above) => {}
                    Some(above) => writeln!(out, "# {user}: has it from the grant on {above}.")?,
                    None => writeln!(out, "# {user}: {purpose}.\n{}", need.command())?,
                }
                said = above;
            }
        }
        Ok(())
    }

    fn write_entry(&self, out: &mut String, entry: &Entry) -> std::fmt::Result {
        let reach = if entry.recursive { " and all below it, today's and tomorrow's" } else { "" };
        writeln!(out, "\n# {}{reach} ({})", entry.source, entry.place)?;
        if !entry.enabled {
            return writeln!(out, "# Nothing: the entry is switched off.");
        }
        let mut needed = self.roles.iter().flat_map(|role| needs(entry, *role, self.zfs));
        let own = needed.any(|need| given_above(self.config, &need, self.zfs).is_none());
        for line in remarks(self.config, entry, self.land).iter().filter(|_| own) {
            writeln!(out, "# {line}")?;
        }
        self.write_needs(out, entry)
    }
}

/// What holds for all that is received: a copy is neither mounted nor run nor written to.
const CONTAINER: [&str; 7] =
    ["mountpoint=none", "readonly=on", "setuid=off", "exec=off", "devices=off", "volmode=none", "snapdev=hidden"];

/// What is worth knowing before these commands are run.
fn remarks(config: &Config, entry: &Entry, land: Option<&Land>) -> Vec<String> {
    let mut lines = Vec::new();
    let Some(land) = land else {
        if entry.recursive && !entry.exclude.is_empty() {
            lines.push("What `exclude` leaves out is reached too: zfs cannot subtract from a grant.".to_owned());
        }
        return lines;
    };
    if !land.has_pool(&entry.source.pool()) {
        lines.push(format!("The pool {} is not imported now: run this when it is.", entry.source.pool()));
    } else if land.dataset(&entry.source).is_none() {
        lines.push("It is not there now: run this when it is.".to_owned());
    }
    let left_out: Vec<&DatasetName> = left_out(config, entry, land);
    if !left_out.is_empty() {
        lines.push(format!(
            "The config leaves out {}, yet the grants reach it too: zfs cannot subtract.",
            shortened(&left_out)
        ));
    }
    let has_children =
        || land.datasets.iter().any(|dataset| dataset.name.below(&entry.source).is_some_and(|rest| !rest.is_empty()));
    if !entry.recursive && entry.prune_period.is_some() && has_children() {
        lines.push(
            "zam-prune's grant reaches what is below, too: zfs has none for the snapshots of one dataset.".to_owned(),
        );
    }
    lines
}

/// The uppermost datasets below a recursive entry that the config leaves out.
fn left_out<'a>(config: &Config, entry: &Entry, land: &'a Land) -> Vec<&'a DatasetName> {
    let mut found: Vec<&DatasetName> = Vec::new();
    for dataset in land.datasets.iter().filter(|dataset| entry.recursive && entry.covers(&dataset.name)) {
        let out = match config.entry_for(&dataset.name, dataset.kind) {
            Match::Excluded { .. } | Match::Disabled(_) | Match::WrongKind(_) => true,
            Match::Entry(_) | Match::Uncovered => false,
        };
        if out && !found.iter().any(|above| dataset.name.below(above).is_some()) {
            found.push(&dataset.name);
        }
    }
    found
}

fn shortened(names: &[&DatasetName]) -> String {
    const SHOWN: usize = 6;
    let mut text = names.iter().take(SHOWN).map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text += &format!(" and {} more", names.len() - SHOWN);
    }
    text
}

fn check(
    config: &Config,
    roles: &[Role],
    zfs: OpenZfs,
    replica: bool,
    lister: &dyn Lister,
) -> Result<Outcome, Failure> {
    let land = Land::survey(lister)?;
    land.passed_over.iter().for_each(|line| out::remark(line));
    for entry in config.entries.iter().filter(|entry| entry.enabled && land.dataset(&entry.source).is_none()) {
        out::remark(&format!("{}: {} is not there now, so it was not compared", entry.place, entry.source));
    }
    let Compared { difference, exposed } = compared(config, roles, zfs, &land, lister)?;
    let (missing, surplus) = (difference.missing.len() + exposed.len(), difference.surplus.len());
    let guarantees: String = roots(config).filter(|_| replica).map(|root| guarantee(root, zfs)).collect();
    if missing + surplus == 0 {
        let looked = count(land.datasets.len(), "dataset");
        out::print(&format!("grants ok: {looked} compared, nothing missing, nothing surplus\n{guarantees}"))?;
        return Ok(Outcome::Fine);
    }
    let mut text = format!("# {missing} missing, {surplus} surplus. Read, then run what you agree with as root.\n");
    for grant in &difference.missing {
        let who = grants::name(&grant.who);
        let _ = writeln!(text, "\n# missing on {}: {who} lacks {}", grant.dataset, grant.permissions.join(","));
        let _ = writeln!(text, "{}", grants::allow(&grant.who, grant.scope, &grant.permissions, &grant.dataset));
    }
    for (root, properties) in exposed {
        let (root, command) = (&root.source, cover(&root.source, &properties));
        let properties = properties.join(" ");
        let _ = writeln!(text, "\n# missing on {root}, which holds what was received: {properties}\n{command}");
    }
    for grant in &difference.surplus {
        let who = grants::name(&grant.who);
        let _ = writeln!(text, "\n# surplus on {}: {who} has {}", grant.dataset, grant.permissions.join(","));
        if let Some(peril) = peril(grant) {
            let _ = writeln!(text, "# DANGER: {peril}");
        }
        let _ = writeln!(text, "{}", unallow(grant));
    }
    for line in guarantees.lines() {
        let _ = writeln!(text, "\n# {line}");
    }
    out::print(&text)?;
    Ok(Outcome::Attention)
}

/// How what is there differs from what the config needs.
pub struct Compared<'a> {
    /// The grants.
    pub difference: Difference,
    /// The replicas' roots that lack properties, each with those.
    pub exposed: Vec<(&'a Entry, Vec<&'static str>)>,
}

/// Asks the pools what is granted, and compares.
///
/// # Errors
/// If they do not answer.
pub fn compared<'a>(
    config: &'a Config,
    roles: &[Role],
    zfs: OpenZfs,
    land: &Land,
    lister: &dyn Lister,
) -> Result<Compared<'a>, Failure> {
    let mut found: Vec<Grant> = Vec::new();
    for dataset in &land.datasets {
        found.extend(lister.grants(&dataset.name)?);
    }
    let there = |name: &DatasetName| land.dataset(name).is_some();
    let exposed = if roles.contains(&Role::Recv) { exposed(config, lister, &there)? } else { vec![] };
    Ok(Compared { difference: compare(config, roles, zfs, &there, &found), exposed })
}

/// The command that gives a root the properties that it lacks.
#[must_use]
pub fn cover(root: &DatasetName, properties: &[&str]) -> String {
    format!("zfs set {} {}", properties.join(" "), quoted(root.as_str()))
}

/// The roots that lack some of [`CONTAINER`], with what they lack.
fn exposed<'a>(
    config: &'a Config,
    lister: &dyn Lister,
    there: &dyn Fn(&DatasetName) -> bool,
) -> Result<Vec<(&'a Entry, Vec<&'static str>)>, Failure> {
    let names = CONTAINER.map(|property| property.split_once('=').map_or(property, |(name, _)| name));
    let mut found = Vec::new();
    for root in roots(config).filter(|root| root.enabled && there(&root.source)) {
        let values = lister.properties(&root.source, &names)?;
        let pairs = CONTAINER.into_iter().zip(names).zip(values);
        let lacking = pairs.filter(|((wanted, name), value)| *wanted != format!("{name}={value}"));
        let lacking: Vec<&str> = lacking.map(|((wanted, _), _)| wanted).collect();
        if !lacking.is_empty() {
            found.push((root, lacking));
        }
    }
    Ok(found)
}

/// What keeps a copy from being undone by receiving.
pub fn guarantee(root: &Entry, zfs: OpenZfs) -> String {
    let root = &root.source;
    if zfs.knows(OpenZfs::RECEIVE_APPEND) {
        return format!("{root}: append-only by the kernel: a receive can add, and cannot roll back, held or not\n");
    }
    format!(
        "{root}: append-only by holds and zamd-recv alone: OpenZFS {zfs} knows no `receive:append` (2.3.2 on), so the kernel \
         lets zam-recv roll back what is not yet held\n"
    )
}

#[cfg(test)]
#[path = "grant_tests.rs"]
mod tests;
