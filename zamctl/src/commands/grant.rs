//! `zamctl grant`: what to type so that the roles may do their work, and whether it was typed.

use crate::{
    failure::{Failure, Outcome},
    grants::{self, Need, Role, compare, given_above, need, peril, unallow},
    look::Land,
    out,
    session::Session,
    words::count,
};
use std::fmt::Write as _;
use zam_names::DatasetName;
use zam_policy::config::{Config, Entry, Match};
use zam_zfs::{Grant, Lister};

/// Print the grants that the config needs, or compare them with the pools
///
/// `zamctl grant --print | sh`, as root, gives the roles what they need and nothing else. It works before any daemon
/// runs, may be repeated, and never runs anything itself.
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
}

/// Prints or compares.
///
/// # Errors
/// If the config is faulty, or, to compare, the pools cannot be listed.
pub fn run(args: &Args, session: &Session) -> Result<Outcome, Failure> {
    let config = session.config()?.config;
    let roles: Vec<Role> = Role::ALL.into_iter().filter(|role| args.role.is_none_or(|only| only == *role)).collect();
    let lister = session.lister();
    if args.check {
        return check(&config, &roles, &*lister);
    }
    // Names alone are enough where the pools cannot be listed.
    let land = Land::survey(&*lister).ok();
    let from = session.globals.config.display().to_string();
    out::print(&print(&config, &roles, land.as_ref(), &from))?;
    Ok(Outcome::Fine)
}

/// The commands with their comments.
fn print(config: &Config, roles: &[Role], land: Option<&Land>, from: &str) -> String {
    let mut out = format!(
        "# What zam's roles need for {from}. Read it, then run it as root: zamctl grant --print | sh\n\
         # Giving a grant twice changes nothing; `zamctl grant --check` compares, `zamctl uninstall --print` undoes.\n"
    );
    if land.is_none() {
        out += "# The pools could not be listed: this is made from the names in the config alone.\n";
    }
    for entry in &config.entries {
        // Writing into a String does not fail.
        let _ = write_entry(&mut out, config, entry, roles, land);
    }
    out
}

fn write_entry(
    out: &mut String,
    config: &Config,
    entry: &Entry,
    roles: &[Role],
    land: Option<&Land>,
) -> std::fmt::Result {
    let reach = if entry.recursive { " and all below it, today's and tomorrow's" } else { "" };
    writeln!(out, "\n# {}{reach} ({})", entry.source, entry.place)?;
    if !entry.enabled {
        return writeln!(out, "# Nothing: the entry is switched off.");
    }
    let own = roles.iter().filter_map(|role| need(entry, *role)).any(|need| given_above(config, &need).is_none());
    for line in remarks(config, entry, land).iter().filter(|_| own) {
        writeln!(out, "# {line}")?;
    }
    for role in roles {
        match need(entry, *role) {
            None => writeln!(out, "# {}: nothing, since `prune-period` is \"never\".", role.user())?,
            Some(need) => write_need(out, config, &need)?,
        }
    }
    Ok(())
}

fn write_need(out: &mut String, config: &Config, need: &Need<'_>) -> std::fmt::Result {
    let (user, purpose) = (need.role.user(), need.role.purpose(need.entry));
    match given_above(config, need) {
        Some(above) => writeln!(out, "# {user}: has it from the grant on {}.", above.source),
        None => writeln!(out, "# {user}: {purpose}.\n{}", need.command()),
    }
}

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

fn check(config: &Config, roles: &[Role], lister: &dyn Lister) -> Result<Outcome, Failure> {
    let land = Land::survey(lister)?;
    land.passed_over.iter().for_each(|line| out::remark(line));
    for entry in config.entries.iter().filter(|entry| entry.enabled && land.dataset(&entry.source).is_none()) {
        out::remark(&format!("{}: {} is not there now, so it was not compared", entry.place, entry.source));
    }
    let mut found: Vec<Grant> = Vec::new();
    for dataset in &land.datasets {
        found.extend(lister.grants(&dataset.name)?);
    }
    let there = |name: &DatasetName| land.dataset(name).is_some();
    let difference = compare(config, roles, &there, &found);
    let (missing, surplus) = (difference.missing.len(), difference.surplus.len());
    if missing + surplus == 0 {
        let looked = count(land.datasets.len(), "dataset");
        out::print(&format!("grants ok: {looked} compared, nothing missing, nothing surplus\n"))?;
        return Ok(Outcome::Fine);
    }
    let mut text = format!("# {missing} missing, {surplus} surplus. Read, then run what you agree with as root.\n");
    for grant in &difference.missing {
        let who = grants::name(&grant.who);
        let _ = writeln!(text, "\n# missing on {}: {who} lacks {}", grant.dataset, grant.permissions.join(","));
        let _ = writeln!(text, "{}", grants::allow(&grant.who, grant.scope, &grant.permissions, &grant.dataset));
    }
    for grant in &difference.surplus {
        let who = grants::name(&grant.who);
        let _ = writeln!(text, "\n# surplus on {}: {who} has {}", grant.dataset, grant.permissions.join(","));
        if let Some(peril) = peril(grant) {
            let _ = writeln!(text, "# DANGER: {peril}");
        }
        let _ = writeln!(text, "{}", unallow(grant));
    }
    out::print(&text)?;
    Ok(Outcome::Attention)
}

#[cfg(test)]
#[path = "grant_tests.rs"]
mod tests;
