//! `zamctl plan`: what would be taken, held, released, destroyed and sent, each with its reason.

use crate::{
    at::At,
    copies,
    doors::{Copies, Notes},
    failure::{Failure, Kind, Outcome},
    forecast::{Forecast, What, forecast},
    look::{self, Land},
    out,
    session::Session,
    table::{Side, Table},
    words,
};
use serde::Serialize;
use std::collections::BTreeMap;
use zam_names::{Dataset, DatasetName, SnapshotName, UnixTime};
use zam_policy::config::{Config, Entry};
use zam_protocol::send::{PlannedCopy, PlannedStep};
use zam_zfs::Lister;

/// Show what would be taken, held, released, destroyed and sent, and why
///
/// Runs as anybody, on its own listing, with the same rules as the daemons; the daemons are asked for their notes if they
/// answer. What would be sent, and about how many bytes, only zamd-send knows, for now alone. Nothing is done.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this dataset and what is below it
    dataset: Option<DatasetName>,
    /// Look ahead to this instant
    ///
    /// `+3h` or `+2d` from now, `2026-12-24` or `2026-12-24 18:00` by the local clock, or `2026-12-24T18:00:00Z`. Snapshots
    /// that are not taken yet are counted, and not followed any further.
    #[arg(long, value_name = "T", default_value = "now", hide_default_value = true)]
    at: At,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Plans.
///
/// # Errors
/// If the config is faulty or the pools cannot be listed.
pub fn run(args: &Args, session: &Session) -> Result<Outcome, Failure> {
    let config = session.config()?.config;
    let at = args.at.resolve(session.now, &session.zone);
    if at < session.now {
        return Err(Failure::usage("`plan` looks ahead, and that instant has passed"));
    }
    let plan = Plan::make(args.dataset.as_ref(), &config, session, at)?;
    if args.json {
        out::json(&plan.json())?
    } else {
        out::print(&plan.text(session))?
    }
    plan.passed_over.iter().for_each(|line| out::remark(line));
    Ok(if plan.datasets.iter().any(|(.., seen)| seen.brake.is_some()) { Outcome::Attention } else { Outcome::Fine })
}

/// What will happen to every dataset.
struct Plan<'a> {
    now: UnixTime,
    at: UnixTime,
    lack: Option<&'static str>,
    lack_of_copies: Option<&'static str>,
    datasets: Vec<(DatasetName, &'a Entry, Forecast)>,
    copies: BTreeMap<DatasetName, Vec<PlannedCopy>>,
    passed_over: Vec<String>,
}

impl<'a> Plan<'a> {
    fn make(only: Option<&DatasetName>, config: &'a Config, session: &Session, at: UnixTime) -> Result<Self, Failure> {
        let lister = session.lister();
        let land = Land::survey(&*lister)?;
        let wanted = |dataset: &Dataset| only.is_none_or(|top| dataset.name.below(top).is_some());
        let managed =
            |dataset: &Dataset| config.entry_for(&dataset.name, dataset.kind).entry().filter(|_| wanted(dataset));
        if let Some(top) = only.filter(|_| !land.datasets.iter().any(|dataset| managed(dataset).is_some())) {
            return Err(nothing_there(top, &land));
        }
        let notes = Notes::open(session)?;
        let mut plan = Self {
            now: session.now,
            at,
            lack: notes.lack(),
            lack_of_copies: None,
            datasets: Vec::new(),
            copies: BTreeMap::new(),
            passed_over: land.passed_over.clone(),
        };
        for pool in &land.pools {
            let here = |dataset: &&Dataset| dataset.name.pool() == pool.name && managed(dataset).is_some();
            if !land.datasets.iter().any(|dataset| here(&dataset)) {
                continue;
            }
            let mut datasets = look::pool(&*lister, &pool.name, &config.prefix)?;
            datasets.retain(|dataset| managed(dataset).is_some());
            let notes: BTreeMap<DatasetName, _> =
                datasets.iter().map(|dataset| (dataset.name.clone(), notes.of(&dataset.name))).collect();
            let judge = |datasets: &[Dataset]| -> Vec<(DatasetName, &'a Entry, Forecast)> {
                let one = |dataset: &Dataset| {
                    let entry = managed(dataset)?;
                    let seen = forecast(dataset, entry, &notes[&dataset.name], session.now, at);
                    Some((dataset.name.clone(), entry, seen))
                };
                datasets.iter().filter_map(one).collect()
            };
            // Clones, marks and bytes matter only for what is about to go, and take time to ask.
            let first = judge(&datasets);
            closer(&*lister, &mut datasets, &first)?;
            plan.datasets.extend(judge(&datasets));
        }
        let sent = |dataset: &Dataset| {
            let sender = config.sender_for(&dataset.name, dataset.kind).entry();
            wanted(dataset) && sender.is_some_and(|entry| !entry.destinations.is_empty())
        };
        let mut sent = land.datasets.iter().filter(|dataset| at == session.now && sent(dataset)).peekable();
        if sent.peek().is_some() {
            let asked = Copies::open(session)?;
            plan.lack_of_copies = asked.lack();
            plan.copies = sent.filter_map(|dataset| Some((dataset.name.clone(), asked.plan(&dataset.name)?))).collect();
        }
        Ok(plan)
    }

    /// What there is to send of a dataset, or why it is not sent.
    fn to_send(&self, name: &DatasetName) -> impl Iterator<Item = &PlannedCopy> {
        let copies = self.copies.get(name).map(Vec::as_slice).unwrap_or_default();
        copies.iter().filter(|copy| !copy.steps.is_empty() || copy.problem.is_some())
    }

    fn text(&self, session: &Session) -> String {
        let mut out = String::new();
        if self.at > self.now {
            let (until, ahead) = (words::from(self.at, self.now, &session.zone), words::relative(self.at, self.now));
            out += &format!("Until {until} ({ahead}):\n\n");
        }
        let mut quiet = Vec::new();
        for (name, entry, seen) in &self.datasets {
            if seen.steps.is_empty() && self.to_send(name).next().is_none() {
                quiet.push(name);
                continue;
            }
            out += &self.section(name, entry, seen, session);
        }
        if !quiet.is_empty() {
            let names: Vec<&str> = quiet.iter().map(|name| name.as_str()).collect();
            out += &format!("Nothing to do: {}\n", names.join(", "));
        }
        out += &self.totals();
        if self.at > self.now {
            out += "Snapshots that are still to be taken are not followed any further.\n";
        }
        for lack in self.lack.into_iter().chain(self.lack_of_copies) {
            out += &format!("{lack}.\n");
        }
        out
    }

    fn section(&self, name: &DatasetName, entry: &Entry, seen: &Forecast, session: &Session) -> String {
        let mut out = format!("{name}  (entry {}, {})\n", entry.source, entry.place);
        let mut table =
            Table::new(&[("", Side::Left), ("", Side::Left), ("", Side::Left), ("", Side::Right), ("", Side::Left)])
                .indented(2);
        for step in &seen.steps {
            let when = match step.destroyed_after {
                Some(after) if step.what == What::Wait => {
                    format!("until {}", words::from(after, self.now, &session.zone))
                }
                _ if self.at > self.now => words::from(step.when, self.now, &session.zone),
                _ => String::new(),
            };
            let bytes = step.bytes.map(words::bytes).unwrap_or_default();
            table.row([word(step.what).to_owned(), step.snapshot.clone(), when, bytes, step.why.clone()]);
        }
        for copy in self.to_send(name) {
            let to = copies::place(copy.host.as_deref(), &copy.path);
            for step in &copy.steps {
                let bytes = step.bytes.map(|bytes| format!("~{}", words::bytes(bytes))).unwrap_or_default();
                table.row(["send".to_owned(), step.snapshot.to_string(), String::new(), bytes, how(step, &to)]);
            }
        }
        out += &table.render(out::width());
        for copy in self.to_send(name) {
            if let Some(problem) = &copy.problem {
                out += &format!("  ! {}: {problem}\n", copies::place(copy.host.as_deref(), &copy.path));
            }
        }
        let released = seen.steps.iter().filter(|step| step.what == What::Release && step.destroyed_after.is_some());
        if let Some(first) = released.filter_map(|step| step.destroyed_after).min() {
            let (first, grace) = (words::from(first, self.now, &session.zone), entry.grace);
            out += &format!("  what is released then waits out its grace of {grace}: destroyed from {first} on\n");
        }
        if seen.silent {
            out += "  ! no good new snapshot for too long: ageing out pauses\n";
        }
        if let Some(brake) = seen.brake {
            out += &format!(
                "  ! braked: {} would go that no accepted config foretold, and {} may; `zamctl prune --approve {}`\n",
                brake.unforetold, brake.allowed, brake.plan
            );
        }
        out + "\n"
    }

    fn totals(&self) -> String {
        let count = |what| self.steps(what).count();
        let bytes: u64 = self.steps(What::Destroy).filter_map(|step| step.bytes).sum();
        let mut parts = Vec::new();
        for what in [What::Take, What::Hold, What::Release, What::Destroy, What::Wait, What::Stay] {
            if count(what) > 0 && what != What::Take {
                parts.push(format!("{} to {}", count(what), verb(what)));
            } else if what == What::Take && count(what) > 0 {
                parts.push(format!("snapshots of {} to take", words::count(count(what), "dataset")));
            }
        }
        let sent = || self.copies.values().flatten().flat_map(|copy| &copy.steps);
        if sent().next().is_some() {
            let bytes: u64 = sent().filter_map(|step| step.bytes).sum();
            parts.push(format!("{} to send, about {}", words::count(sent().count(), "step"), words::bytes(bytes)));
        }
        let untouched: usize = self.datasets.iter().map(|(.., seen)| seen.untouched).sum();
        let summary = if parts.is_empty() { "nothing to do".to_owned() } else { parts.join(", ") };
        let freed = if bytes > 0 { format!(", which frees at least {}", words::bytes(bytes)) } else { String::new() };
        format!(
            "{}: {summary}{freed}; {} untouched.\n",
            words::count(self.datasets.len(), "dataset"),
            words::count(untouched, "snapshot")
        )
    }

    fn steps(&self, what: What) -> impl Iterator<Item = &crate::forecast::Step> {
        self.datasets.iter().flat_map(|(.., seen)| &seen.steps).filter(move |step| step.what == what)
    }

    fn json(&self) -> Json {
        let row = |(name, entry, seen): &(DatasetName, &Entry, Forecast)| JsonDataset {
            dataset: name.clone(),
            entry: entry.source.clone(),
            place: entry.place.to_string(),
            next_snapshot: seen.next_snapshot.map(words::stamp),
            untouched: seen.untouched,
            silent: seen.silent,
            paused: seen.paused,
            braked: seen.brake.map(|brake| brake.plan.to_string()),
            copies: self.copies.get(name).into_iter().flatten().map(json_copy).collect(),
            steps: seen
                .steps
                .iter()
                .map(|step| JsonStep {
                    what: step.what,
                    snapshot: step.snapshot.clone(),
                    when: words::stamp(step.when),
                    destroyed_after: step.destroyed_after.map(words::stamp),
                    bytes: step.bytes,
                    why: step.why.clone(),
                })
                .collect(),
        };
        Json {
            at: words::stamp(self.at),
            lack: self.lack,
            lack_of_copies: self.lack_of_copies,
            freed_bytes: self.steps(What::Destroy).filter_map(|step| step.bytes).sum(),
            datasets: self.datasets.iter().map(row).collect(),
        }
    }
}

/// Asks again about what is about to go.
fn closer(
    lister: &dyn Lister,
    datasets: &mut [Dataset],
    plan: &[(DatasetName, &Entry, Forecast)],
) -> Result<(), Failure> {
    let full = |name: &DatasetName, tag: &str| name.at(&tag.parse().ok()?).ok();
    let names: Vec<SnapshotName> = plan
        .iter()
        .flat_map(|(name, _, seen)| seen.steps.iter().map(move |step| (name, step)))
        .filter(|(_, step)| !matches!(step.what, What::Take | What::Hold))
        .filter_map(|(name, step)| full(name, &step.snapshot))
        .collect();
    look::look_closer(lister, datasets, &names)
}

fn nothing_there(top: &DatasetName, land: &Land) -> Failure {
    let failure = match land.dataset(top) {
        Some(_) => Failure::new(Kind::Failed, format!("nothing at or below {top} is managed")),
        None if land.has_pool(&top.pool()) => Failure::new(Kind::Failed, format!("there is no dataset {top}")),
        None => Failure::new(Kind::Failed, format!("the pool {} is not imported", top.pool())),
    };
    failure.hint(format!("`zamctl explain {top}` says why, `zamctl check` what the config covers"))
}

/// Whereto, and on top of what.
fn how(step: &PlannedStep, to: &str) -> String {
    let on = step.from.as_ref().map_or_else(|| "all of it".to_owned(), |from| format!("what came after {from}"));
    let resume = if step.resume { ", from where it was cut" } else { "" };
    format!("to {to}: {on}{resume}")
}

fn word(what: What) -> &'static str {
    match what {
        What::Take => "take",
        What::Hold => "hold",
        What::Release => "release",
        What::Destroy => "destroy",
        What::Wait => "grace",
        What::Stay => "stays",
    }
}

fn verb(what: What) -> &'static str {
    match what {
        What::Wait => "wait out their grace",
        What::Stay => "stay though expired",
        what => word(what),
    }
}

#[derive(Serialize)]
struct Json {
    at: String,
    lack: Option<&'static str>,
    lack_of_copies: Option<&'static str>,
    freed_bytes: u64,
    datasets: Vec<JsonDataset>,
}

#[derive(Serialize)]
struct JsonDataset {
    dataset: DatasetName,
    entry: DatasetName,
    place: String,
    next_snapshot: Option<String>,
    untouched: usize,
    silent: bool,
    paused: bool,
    braked: Option<String>,
    steps: Vec<JsonStep>,
    copies: Vec<JsonCopy>,
}

#[derive(Serialize)]
struct JsonCopy {
    id: String,
    host: Option<String>,
    path: String,
    problem: Option<String>,
    steps: Vec<JsonSend>,
}

#[derive(Serialize)]
struct JsonSend {
    snapshot: String,
    from: Option<String>,
    bytes: Option<u64>,
    resume: bool,
}

fn json_copy(copy: &PlannedCopy) -> JsonCopy {
    let step = |step: &PlannedStep| JsonSend {
        snapshot: step.snapshot.to_string(),
        from: step.from.clone(),
        bytes: step.bytes,
        resume: step.resume,
    };
    JsonCopy {
        id: copy.id.clone(),
        host: copy.host.clone(),
        path: copy.path.clone(),
        problem: copy.problem.clone(),
        steps: copy.steps.iter().map(step).collect(),
    }
}

#[derive(Serialize)]
struct JsonStep {
    what: What,
    snapshot: String,
    when: String,
    destroyed_after: Option<String>,
    bytes: Option<u64>,
    why: String,
}
