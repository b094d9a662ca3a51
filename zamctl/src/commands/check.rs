//! `zamctl check`: is the config good, and does it cover anything?

use crate::{
    config,
    doors::Doors,
    failure::{Failure, Outcome},
    look::Land,
    out,
    session::Session,
    words::count,
};
use std::path::Path;
use zam_protocol::{Hello, Role};

/// Check the config, and say what it covers
///
/// Faults are shown with their file, line and column, and end with exit code 2. Warnings do not. Where the pools can be
/// listed, entries that cover nothing are named, and how many datasets are covered.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print the config with nothing left to inherit, to default or to expand
    ///
    /// What is printed is TOML that loads to the same config again.
    #[arg(long)]
    print_effective: bool,
}

/// Checks.
///
/// # Errors
/// If the config cannot be read or is faulty.
pub fn run(args: &Args, session: &Session) -> Result<Outcome, Failure> {
    let loaded = session.config()?;
    for warning in &loaded.warnings {
        out::remark(&format!("{warning}\n"));
    }
    for place in config::unsafe_places(&session.globals.config) {
        out::remark(&format!("warning: {}: `{}`", place.why, place.command));
    }
    if args.print_effective {
        out::print(&loaded.config.effective_toml())?;
        return Ok(Outcome::Fine);
    }
    let entries = loaded.config.entries.len();
    let mut text = format!("config ok: {}", if entries == 1 { "1 entry".into() } else { format!("{entries} entries") });
    match Land::survey(&*session.lister()) {
        Ok(land) => {
            let mut covered = 0;
            for entry in &loaded.config.entries {
                let here = land.covered(&loaded.config, entry).count();
                covered += here;
                let elsewhere = entry.absent_expected && !land.has_pool(&entry.source.pool());
                if here == 0 && entry.enabled && !elsewhere {
                    let why = if land.has_pool(&entry.source.pool()) {
                        "no dataset of its pool matches it"
                    } else {
                        "its pool is not imported"
                    };
                    out::remark(&format!("{}: warning: the entry {} covers nothing: {why}", entry.place, entry.source));
                }
            }
            for root in loaded.config.entries.iter().filter(|entry| entry.is_retired(session.now)) {
                let client = root.client.as_deref().unwrap_or_default();
                if loaded.config.replica_of(client, &root.source).is_some() {
                    let what = "nothing arrives any more; what is there goes on ageing, except the newest";
                    out::remark(&format!("{}: note: {client} is retired: {what}", root.place));
                }
            }
            for line in &land.passed_over {
                out::remark(line);
            }
            text += &format!(", covering {} in {}", count(covered, "dataset"), count(land.pools.len(), "pool"));
        }
        Err(failure) => out::remark(&format!("the pools were not looked at: {}", failure.message)),
    }
    if !loaded.warnings.is_empty() {
        text += &format!(", with {}", count(loaded.warnings.len(), "warning"));
    }
    out::print(&(text + "\n"))?;
    for (role, refused) in not_loaded_yet(session) {
        let refused = refused.map_or_else(String::new, |why| format!("; what it found last it refused: {why}"));
        out::remark(&format!(
            "{role} still runs by what it loaded before: `systemctl reload {role}` makes it load this{refused}"
        ));
    }
    Ok(Outcome::Fine)
}

/// The daemons that run, and run by an older config than the one that was checked, each with why it refused what it found last,
/// if it did.
pub fn not_loaded_yet(session: &Session) -> Vec<(Role, Option<String>)> {
    let Ok(doors) = Doors::new(session) else { return Vec::new() };
    let Some(written) = config::written(&session.globals.config) else { return Vec::new() };
    let absolute = |path: &Path| path.canonicalize().ok();
    let this = absolute(&session.globals.config);
    let older = |hello: &Hello| hello.config.loaded < written && absolute(Path::new(&hello.config.file)) == this;
    let those = doors.hellos().into_iter().filter(older);
    those.map(|hello| (hello.role, hello.config.problem)).collect()
}
