//! This machine's ZFS: acts through libzfs_core, lists through the `zfs` and `zpool` commands.

mod act;
mod args;
mod copy;
mod grants;
mod parse;
mod refusal;
mod run;

use crate::batch::Refusal;
use crate::copy::CopyFacts;
use crate::door::{Error, Grant, Lister, Scope};
use args::{Changed, CommandLine};
use nix::errno::Errno;
use parse::{Bad, Held};
use run::{Output, Runner};
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::fmt;
use zam_names::{Bookmark, CreateTxg, Dataset, DatasetName, Guid, HoldTag, Pool, PoolName, Snapshot, SnapshotName};
use zam_zfs_core::Library;

pub use run::{Limits, processes_started};

/// The real machine.
pub struct Real {
    runner: Runner,
    core: OnceCell<Library>,
    /// Found out by the first listing of datasets.
    changed: Cell<Changed>,
    /// What copying needs to know of the pool whose datasets were listed last, until somebody asks for it: it came along.
    facts: RefCell<Option<(PoolName, String)>>,
}

impl Real {
    /// Opens the libraries, if they are there, and finds the commands. Nothing fails here: what is missing is named by the
    /// first question that needs it.
    #[must_use]
    pub fn open() -> Self {
        Self::with_limits(Limits::default())
    }

    /// The same, with other limits on each command.
    #[must_use]
    pub fn with_limits(limits: Limits) -> Self {
        let (core, changed) = (OnceCell::new(), Cell::new(Changed::Ask));
        let real = Self { runner: Runner::new(limits), core, changed, facts: RefCell::default() };
        real.core();
        real
    }

    /// The library; tried again at every call until it is there, since the kernel module may be loaded later.
    fn core(&self) -> Option<&Library> {
        if self.core.get().is_none() {
            match Library::open() {
                Ok(library) => drop(self.core.set(library)),
                Err(error) => tracing::debug!(%error, "without libzfs_core, by way of the command line"),
            }
        }
        self.core.get()
    }

    /// Runs a command that must succeed.
    fn ask(&self, line: &CommandLine) -> Result<String, Error> {
        let output = self.runner.run(line)?;
        if output.status.success() { Ok(output.stdout) } else { Err(failed(line, &output)) }
    }

    /// Runs a command that may complain of some of these names that they are not there, and of nothing else. Gives those
    /// with its output.
    fn ask_of(&self, line: &CommandLine, names: &[impl fmt::Display]) -> Result<(String, HashSet<String>), Error> {
        let output = self.runner.run(line)?;
        if output.status.success() {
            return Ok((output.stdout, HashSet::new()));
        }
        let ours: HashSet<String> = names.iter().map(ToString::to_string).collect();
        let gone_one = |line: &str| match refusal::said_of(line) {
            Some((Some(name), Refusal::NotFound)) => ours.get(name).cloned(),
            _ => None,
        };
        let complaints = output.stderr.lines().filter(|line| !refusal::REMARKS.contains(line));
        match complaints.map(gone_one).collect::<Option<HashSet<String>>>() {
            Some(gone) if !gone.is_empty() => Ok((output.stdout, gone)),
            _ => Err(failed(line, &output)),
        }
    }
}

impl Lister for Real {
    fn pools(&self) -> Result<Vec<Pool>, Error> {
        let line = args::pools();
        parse::pools(&self.ask(&line)?).map_err(|bad| answer(&line, bad))
    }

    fn datasets(&self, pool: &PoolName) -> Result<Vec<Dataset>, Error> {
        let mut line = args::datasets(pool, self.changed.get());
        let mut output = self.runner.run(&line)?;
        if self.changed.get() == Changed::Ask && output.stderr.contains("invalid property 'snapshots_changed'") {
            self.changed.set(Changed::Leave);
            line = args::datasets(pool, Changed::Leave);
            output = self.runner.run(&line)?;
        }
        if !output.status.success() {
            return Err(failed(&line, &output));
        }
        let (datasets, facts) = parse::parted(&output.stdout).map_err(|bad| answer(&line, bad))?;
        self.facts.replace(Some((pool.clone(), facts)));
        parse::datasets(&datasets).map_err(|bad| answer(&line, bad))
    }

    fn snapshots(&self, scope: Scope<'_>) -> Result<Vec<(SnapshotName, Guid, CreateTxg)>, Error> {
        match scope {
            Scope::Pool(pool) => {
                let line = args::snapshots_of_pool(pool);
                parse::snapshots(&self.ask(&line)?).map_err(|bad| answer(&line, bad))
            }
            // No name at all would ask for everything.
            Scope::Datasets(datasets) => in_chunks(datasets, |datasets: &[DatasetName]| {
                let line = args::snapshots_of(datasets);
                parse::snapshots(&self.ask_of(&line, datasets)?.0).map_err(|bad| answer(&line, bad))
            }),
        }
    }

    fn details(&self, names: &[SnapshotName]) -> Result<Vec<(SnapshotName, Snapshot)>, Error> {
        let mut rows = in_chunks(names, |names: &[SnapshotName]| {
            let line = args::details(names);
            parse::details(&self.ask_of(&line, names)?.0).map_err(|bad| answer(&line, bad))
        })?;
        let held = rows.iter().filter(|(_, _, held)| *held == Held::Yes).map(|(name, ..)| name.clone());
        let mut holds: HashMap<SnapshotName, Vec<HoldTag>> =
            self.holds(&held.collect::<Vec<_>>())?.into_iter().collect();
        // One that was held a moment ago and has no list of holds is gone.
        rows.retain(|(name, _, held)| *held == Held::No || holds.contains_key(name));
        Ok(rows
            .into_iter()
            .map(|(name, mut snapshot, _)| {
                snapshot.holds = holds.remove(&name).unwrap_or_default();
                (name, snapshot)
            })
            .collect())
    }

    fn holds(&self, names: &[SnapshotName]) -> Result<Vec<(SnapshotName, Vec<HoldTag>)>, Error> {
        let Some(core) = self.core() else {
            return in_chunks(names, |names| self.holds_by_command(names));
        };
        let mut found = Vec::new();
        for name in names {
            match core.get_holds(&name.to_string()) {
                Ok(tags) => {
                    found.push((name.clone(), tags.iter().filter_map(|(tag, _)| parse::hold_tag(tag)).collect()))
                }
                Err(errno) if errno == Errno::ENOENT as i32 => {}
                Err(errno) => {
                    let source = std::io::Error::from_raw_os_error(errno);
                    return Err(Error::Run { command: format!("lzc_get_holds {name}"), source });
                }
            }
        }
        Ok(found)
    }

    fn bookmarks(&self, pool: &PoolName) -> Result<Vec<Bookmark>, Error> {
        let line = args::bookmarks(pool);
        parse::bookmarks(&self.ask(&line)?).map_err(|bad| answer(&line, bad))
    }

    fn copy_facts(&self, scope: Scope<'_>) -> Result<Vec<CopyFacts>, Error> {
        match scope {
            Scope::Pool(pool) => {
                let line = args::copy_facts(pool);
                let text = match self.facts.take() {
                    Some((listed, facts)) if listed == *pool => facts,
                    _ => self.ask(&line)?,
                };
                parse::copy_facts(&text).map_err(|bad| answer(&line, bad))
            }
            Scope::Datasets(datasets) => in_chunks(datasets, |datasets: &[DatasetName]| {
                let line = args::copy_facts_of(datasets);
                parse::copy_facts(&self.ask_of(&line, datasets)?.0).map_err(|bad| answer(&line, bad))
            }),
        }
    }

    fn properties(&self, dataset: &DatasetName, names: &[&str]) -> Result<Vec<String>, Error> {
        let line = args::properties(dataset, names);
        let text = self.ask(&line)?;
        Ok(text.trim_end_matches('\n').split('\t').map(str::to_owned).collect())
    }

    fn grants(&self, dataset: &DatasetName) -> Result<Vec<Grant>, Error> {
        let line = args::grants(dataset);
        grants::grants(&self.ask(&line)?, dataset).map_err(|bad| answer(&line, bad))
    }
}

impl Real {
    fn holds_by_command(&self, names: &[SnapshotName]) -> Result<Vec<(SnapshotName, Vec<HoldTag>)>, Error> {
        let line = args::holds(names);
        let mut tags: HashMap<SnapshotName, Vec<HoldTag>> = HashMap::new();
        let (text, gone) = self.ask_of(&line, names)?;
        for (name, tag) in parse::holds(&text).map_err(|bad| answer(&line, bad))? {
            tags.entry(name).or_default().push(tag);
        }
        let there = names.iter().filter(|name| !gone.contains(&name.to_string()));
        Ok(there.map(|name| (name.clone(), tags.remove(name).unwrap_or_default())).collect())
    }
}

fn in_chunks<N: fmt::Display, T>(names: &[N], ask: impl Fn(&[N]) -> Result<Vec<T>, Error>) -> Result<Vec<T>, Error> {
    args::chunks(names).try_fold(Vec::new(), |mut rows, names| {
        rows.extend(ask(names)?);
        Ok(rows)
    })
}

fn failed(line: &CommandLine, output: &Output) -> Error {
    let stderr = match output.stderr.trim() {
        "" => output.status.to_string(),
        text => text.to_owned(),
    };
    Error::Failed { command: line.to_string(), stderr }
}

fn answer(line: &CommandLine, Bad { why, line: quoted }: Bad) -> Error {
    Error::Answer { command: line.to_string(), why, line: quoted }
}

/// An error with its causes, on one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
