//! The calls that change something: through libzfs_core, or, where that is missing, through the `zfs` command.

use super::args::{self, CommandLine};
use super::refusal::{self, Verb};
use super::{Real, parse, with_causes};
use crate::batch::{self, CallFailure, CallResult, Refusal};
use crate::door::Machine;
use std::collections::{HashMap, HashSet};
use zam_names::{DatasetName, HoldTag, SnapTag, SnapshotName};
use zam_zfs_core::{Failure, Library};

/// What `zfs destroy` says where none of its snapshots is there.
const ALL_GONE: &str = "could not find any snapshots to destroy; check snapshot names.";

impl Machine for Real {
    fn call_snapshot(&self, names: &[SnapshotName]) -> CallResult {
        match self.core() {
            Some(core) => by_library(core, Verb::Snapshot, names, |texts| core.snapshot(texts)),
            None => self.by_command(&args::snapshot(names), names),
        }
    }

    fn call_hold(&self, tag: &HoldTag, names: &[SnapshotName]) -> CallResult {
        match self.core() {
            Some(core) => by_library(core, Verb::Hold, names, |texts| core.hold(tag.as_str(), texts))
                .map_err(|failure| with_all_that_hold(core, tag, names, failure)),
            None => self.by_command(&args::hold(tag, names), names),
        }
    }

    fn call_release(&self, tag: &HoldTag, names: &[SnapshotName]) -> CallResult {
        match self.core() {
            Some(core) => by_library(core, Verb::Release, names, |texts| core.release(tag.as_str(), texts)),
            None => self.by_command(&args::release(tag, names), names),
        }
    }

    fn call_destroy(&self, names: &[SnapshotName]) -> CallResult {
        match self.core() {
            Some(core) => by_library(core, Verb::Destroy, names, |texts| core.destroy_snaps(texts)),
            None => self.destroy_by_command(names),
        }
    }
}

impl Real {
    /// A command that goes on after a bad name, or does nothing at all and names all the bad ones.
    fn by_command(&self, line: &CommandLine, names: &[SnapshotName]) -> CallResult {
        if !args::fits(line) {
            // Blames nobody, so the caller halves the list.
            return Err(CallFailure::whole(Refusal::Other("too many names for one command line".to_owned())));
        }
        let output = self.runner.run(line).map_err(|error| CallFailure::whole(Refusal::Other(with_causes(&error))))?;
        if output.status.success() {
            return Ok(Vec::new());
        }
        let verb = line.arguments.first().map(String::as_str).unwrap_or_default();
        if verb == "destroy" && output.stderr.trim() == ALL_GONE {
            return Ok(Vec::new());
        }
        match refusal::of_stderr(&output.stderr, names) {
            // These went on and did the rest, where it was clear whom they refused.
            Some(said) if ["hold", "release"].contains(&verb) && !said.each.is_empty() => Ok(said.each),
            Some(said) => Err(CallFailure { whole: said.whole, each: said.each }),
            None => Err(CallFailure::whole(Refusal::Other(output.stderr.trim().to_owned()))),
        }
    }

    /// One command per dataset, since a command line can name the snapshots of one alone.
    fn destroy_by_command(&self, names: &[SnapshotName]) -> CallResult {
        let mut passed_over = Vec::new();
        let mut by_dataset: HashMap<&DatasetName, Vec<SnapshotName>> = HashMap::new();
        for name in names {
            by_dataset.entry(name.dataset()).or_default().push(name.clone());
        }
        for (dataset, names) in by_dataset {
            let batch = batch::by_name(&names, |names| {
                let tags: Vec<SnapTag> = names.iter().map(|name| name.tag().clone()).collect();
                self.by_command(&args::destroy(dataset, &tags), names)
            });
            passed_over.extend(batch.failed.into_iter().map(|failed| (failed.what, failed.why)));
        }
        Ok(passed_over)
    }
}

fn by_library(
    core: &Library,
    verb: Verb,
    names: &[SnapshotName],
    call: impl Fn(&[&str]) -> Result<(), Failure>,
) -> CallResult {
    let texts: Vec<String> = names.iter().map(SnapshotName::to_string).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let Err(failure) = call(&texts) else {
        return Ok(Vec::new());
    };
    let of_key = |(key, errno): &(String, i32)| refusal::blamed(key, &refusal::of_errno(verb, *errno), names);
    let mut each: Vec<(SnapshotName, Refusal)> = failure.each.iter().filter_map(of_key).flatten().collect();
    if failure.errno == 0 {
        return Ok(each);
    }
    let whole = refusal::of_errno(verb, failure.errno);
    if whole == Refusal::NotFound && each.is_empty() {
        each = missing(core, names);
    }
    Err(CallFailure { whole, each })
}

/// The check of permissions stops at the first dataset that is gone, and does not say which: ask, so that the rest need
/// not be halved and stays one transaction.
fn missing(core: &Library, names: &[SnapshotName]) -> Vec<(SnapshotName, Refusal)> {
    let datasets: HashSet<&DatasetName> = names.iter().map(SnapshotName::dataset).collect();
    let gone: HashSet<&DatasetName> = datasets.into_iter().filter(|dataset| !core.exists(dataset.as_str())).collect();
    let is_gone = |name: &&SnapshotName| gone.contains(name.dataset());
    names.iter().filter(is_gone).map(|name| (name.clone(), Refusal::NotFound)).collect()
}

/// `lzc_hold` stops at the first snapshot that has the tag. Names the others that have it too, by a question for each that
/// is much cheaper than another call which waits for a transaction.
fn with_all_that_hold(core: &Library, tag: &HoldTag, names: &[SnapshotName], mut failure: CallFailure) -> CallFailure {
    if failure.whole == Refusal::TagExists {
        let has = |name: &&SnapshotName| {
            let tags = core.get_holds(&name.to_string()).unwrap_or_default();
            tags.iter().any(|(found, _)| parse::hold_tag(found).as_ref() == Some(tag))
        };
        failure.each.retain(|(_, why)| *why != Refusal::TagExists);
        failure.each.extend(names.iter().filter(has).map(|name| (name.clone(), Refusal::TagExists)));
    }
    failure
}
