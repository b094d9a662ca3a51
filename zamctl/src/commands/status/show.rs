//! The status as a table and as JSON.

use super::gather::{Copy, Daemon, Gathered, Line, Need};
use crate::{
    copies,
    table::{Side, Table},
    words,
};
use serde::Serialize;
use std::fmt::Write as _;
use zam_names::{DatasetName, UnixTime};
use zam_protocol::{
    PoolStatus, Role, Tick, WorkerState,
    send::{CopyState, Progress},
};

impl Gathered {
    /// For people.
    #[must_use]
    pub fn text(&self, width: Option<usize>) -> String {
        let mut table = Table::new(&[
            ("DATASET", Side::Left),
            ("LAST", Side::Right),
            ("NEXT", Side::Right),
            ("SNAPS", Side::Right),
            ("USED", Side::Right),
            ("PROTECTED", Side::Right),
            ("WHY", Side::Left),
        ]);
        for line in &self.lines {
            table.row(self.cells(line));
        }
        let mut text = table.render(width);
        let mut table_of_copies = Table::new(&[
            ("DATASET", Side::Left),
            ("TO", Side::Left),
            ("LAST", Side::Right),
            ("LAG", Side::Right),
            ("STATE", Side::Left),
        ]);
        for copy in &self.copies {
            let status = &copy.status;
            let last = status.last.map_or_else(|| "-".to_owned(), |last| words::relative(last, self.now));
            table_of_copies.row([
                copy.dataset.to_string(),
                copies::place(status.host.as_deref(), &status.path),
                last,
                copies::lag(status),
                copies::state(&copy.dataset, status, self.now),
            ]);
        }
        let copies = table_of_copies.render(width);
        if !text.is_empty() && !copies.is_empty() {
            text.push('\n');
        }
        text += &copies;
        let mut remarks = String::new();
        for (role, pool) in &self.pools {
            if let Some(trouble) = trouble(pool, self.now) {
                // Writing into a String does not fail.
                let _ = writeln!(remarks, "pool {}: {role} {trouble}", pool.name);
            }
        }
        for daemon in &self.daemons {
            remarks += &daemon_remarks(daemon);
        }
        if self.by_zamctl {
            remarks += "The table is zamctl's own look at the pools.\n";
        }
        if self.lines.is_empty() && self.daemons.iter().any(|daemon| daemon.hello.is_ok()) {
            text += "No managed dataset here; `zamctl check` says what the config covers.\n";
        }
        if !text.is_empty() && !remarks.is_empty() {
            text.push('\n');
        }
        text + &remarks
    }

    fn cells(&self, line: &Line) -> [String; 7] {
        let none = || "-".to_owned();
        let when = |instant: Option<UnixTime>| instant.map_or_else(none, |instant| words::relative(instant, self.now));
        let due = |instant: UnixTime| {
            if instant <= self.now { "now".to_owned() } else { words::relative(instant, self.now) }
        };
        let why = line.why.join("; ");
        match &line.snap {
            Some(snap) => [
                line.dataset.to_string(),
                when(snap.last),
                snap.next.map_or_else(none, due),
                snap.snapshots.to_string(),
                words::bytes(snap.used_by_snapshots),
                format!("{}/{}", snap.protected, snap.snapshots),
                why,
            ],
            None => [line.dataset.to_string(), none(), none(), none(), none(), none(), why],
        }
    }

    /// For programs.
    #[must_use]
    pub fn json(&self) -> Json {
        Json {
            now: words::stamp(self.now),
            daemons: self.daemons.iter().map(json_daemon).collect(),
            datasets: self.lines.iter().map(json_line).collect(),
            copies: self.copies.iter().map(json_copy).collect(),
            pools: self.pools.iter().map(|(role, pool)| json_pool(*role, pool)).collect(),
        }
    }
}

/// What is wrong with a pool, or that it is not there.
fn trouble(pool: &PoolStatus, now: UnixTime) -> Option<String> {
    match (&pool.worker, &pool.last_error) {
        (WorkerState::Stuck(work), _) => {
            Some(format!("has been stuck in {:?} for {}", work.what, words::span(now.since(work.since))))
        }
        (WorkerState::Absent, _) => Some("does not see it: not imported".to_owned()),
        (_, Some(error)) => Some(format!("failed: {error}")),
        _ => None,
    }
}

fn daemon_remarks(daemon: &Daemon) -> String {
    let role = daemon.role;
    match &daemon.hello {
        Err(failure) => {
            let causes: String = failure.causes.iter().map(|cause| format!("\n  because: {cause}")).collect();
            format!("{}{causes}\n", failure.message)
        }
        Ok(hello) => {
            let problem = hello.config.problem.iter().map(|problem| {
                format!(
                    "{role} runs by an old config, since the new one is refused; `zamctl check` shows why: {problem}\n"
                )
            });
            let others = hello.problems.iter().map(|problem| format!("{role}: {problem}\n"));
            problem.chain(others).collect()
        }
    }
}

/// `status --json`: field names stay.
#[derive(Serialize)]
pub struct Json {
    now: String,
    daemons: Vec<JsonDaemon>,
    datasets: Vec<JsonLine>,
    copies: Vec<JsonCopy>,
    pools: Vec<JsonPool>,
}

#[derive(Serialize)]
struct JsonDaemon {
    daemon: String,
    reachable: bool,
    error: Option<String>,
    version: Option<String>,
    started: Option<String>,
    config: Option<String>,
    config_loaded: Option<String>,
    config_problem: Option<String>,
    problems: Vec<String>,
}

#[derive(Serialize)]
struct JsonLine {
    dataset: DatasetName,
    need: Need,
    why: Vec<String>,
    entry: Option<String>,
    last: Option<String>,
    next: Option<String>,
    waits_for: Option<String>,
    snapshots: Option<u32>,
    protected: Option<u32>,
    used: Option<u64>,
    used_by_snapshots: Option<u64>,
    paused: Option<bool>,
    silent: Option<bool>,
    releasing: Option<u32>,
    in_grace: Option<u32>,
    vetoed: Option<u32>,
    next_destroy: Option<String>,
    destroyed: Option<u64>,
    braked: Option<String>,
}

#[derive(Serialize)]
struct JsonCopy {
    dataset: DatasetName,
    id: String,
    host: Option<String>,
    path: String,
    need: Need,
    last: Option<String>,
    newest: Option<String>,
    lag_snapshots: u32,
    lag_bytes: Option<u64>,
    state: &'static str,
    waits_for: Option<String>,
    until: Option<String>,
    running: Option<JsonProgress>,
    common: Option<String>,
    beyond: Vec<String>,
    problems: Vec<String>,
}

#[derive(Serialize)]
struct JsonProgress {
    snapshot: String,
    step: u32,
    of: u32,
    bytes: u64,
    estimated: u64,
    rate: u64,
    started: String,
}

#[derive(Serialize)]
struct JsonPool {
    pool: String,
    daemon: String,
    state: &'static str,
    since: Option<String>,
    doing: Option<String>,
    last_listing: Option<String>,
    last_error: Option<String>,
    last_tick: Option<JsonTick>,
}

#[derive(Serialize)]
struct JsonTick {
    when: String,
    datasets: u32,
    done: u32,
    atomic: bool,
    processes: u32,
    milliseconds: u32,
}

fn json_daemon(daemon: &Daemon) -> JsonDaemon {
    let (hello, error) = match &daemon.hello {
        Ok(hello) => (Some(hello), None),
        Err(failure) => (None, Some(failure.message.clone())),
    };
    JsonDaemon {
        daemon: daemon.role.to_string(),
        reachable: hello.is_some(),
        error,
        version: hello.map(|hello| hello.build.clone()),
        started: hello.map(|hello| words::stamp(hello.started)),
        config: hello.map(|hello| hello.config.file.clone()),
        config_loaded: hello.map(|hello| words::stamp(hello.config.loaded)),
        config_problem: hello.and_then(|hello| hello.config.problem.clone()),
        problems: hello.map(|hello| hello.problems.clone()).unwrap_or_default(),
    }
}

fn json_line(line: &Line) -> JsonLine {
    let (snap, prune) = (line.snap.as_ref(), line.prune.as_ref());
    let brake = prune.and_then(|row| row.braked.as_ref()).map(|brake| brake.plan);
    JsonLine {
        dataset: line.dataset.clone(),
        need: line.need,
        why: line.why.clone(),
        entry: snap.map(|row| row.entry.clone()),
        last: snap.and_then(|row| row.last).map(words::stamp),
        next: snap.and_then(|row| row.next).map(words::stamp),
        waits_for: snap.and_then(|row| row.waits.clone()),
        snapshots: snap.map(|row| row.snapshots),
        protected: snap.map(|row| row.protected),
        used: snap.map(|row| row.used),
        used_by_snapshots: snap.map(|row| row.used_by_snapshots),
        paused: snap.map(|row| row.paused),
        silent: snap.map(|row| row.silent),
        releasing: snap.map(|row| row.releasing),
        in_grace: prune.map(|row| row.in_grace),
        vetoed: prune.map(|row| row.vetoed),
        next_destroy: prune.and_then(|row| row.next).map(words::stamp),
        destroyed: prune.map(|row| row.destroyed),
        braked: brake.or(snap.and_then(|row| row.braked)).map(|plan| plan.to_string()),
    }
}

fn json_copy(copy: &Copy) -> JsonCopy {
    let status = copy.status.clone();
    let mut json = JsonCopy {
        dataset: copy.dataset.clone(),
        id: status.id,
        host: status.host,
        path: status.path,
        need: copy.need,
        last: status.last.map(words::stamp),
        newest: status.newest.map(|tag| tag.to_string()),
        lag_snapshots: status.lag_snapshots,
        lag_bytes: status.lag_bytes,
        state: "idle",
        waits_for: None,
        until: None,
        running: None,
        common: None,
        beyond: Vec::new(),
        problems: status.problems,
    };
    match status.state {
        CopyState::Idle => {}
        CopyState::Waiting { why, until } => {
            (json.state, json.waits_for, json.until) = ("waiting", Some(why), until.map(words::stamp));
        }
        CopyState::Running(progress) => {
            let Progress { step, of, snapshot, bytes, estimated, rate, started } = progress;
            let (snapshot, started) = (snapshot.to_string(), words::stamp(started));
            json.state = "running";
            json.running = Some(JsonProgress { snapshot, step, of, bytes, estimated, rate, started });
        }
        CopyState::Diverged { common, beyond } => {
            (json.state, json.common) = ("diverged", common.map(|tag| tag.to_string()));
            json.beyond = beyond.iter().map(ToString::to_string).collect();
        }
    }
    json
}

fn json_pool(role: Role, pool: &PoolStatus) -> JsonPool {
    let (state, work) = match &pool.worker {
        WorkerState::Idle => ("idle", None),
        WorkerState::Working(work) => ("working", Some(work)),
        WorkerState::Stuck(work) => ("stuck", Some(work)),
        WorkerState::Absent => ("absent", None),
    };
    JsonPool {
        pool: pool.name.to_string(),
        daemon: role.to_string(),
        state,
        since: work.map(|work| words::stamp(work.since)),
        doing: work.map(|work| work.what.clone()),
        last_listing: pool.last_listing.map(words::stamp),
        last_error: pool.last_error.clone(),
        last_tick: pool.last_tick.as_ref().map(json_tick),
    }
}

fn json_tick(tick: &Tick) -> JsonTick {
    let Tick { when, datasets, done, atomic, processes, milliseconds } = *tick;
    JsonTick { when: words::stamp(when), datasets, done, atomic, processes, milliseconds }
}

#[cfg(test)]
#[path = "show_tests.rs"]
mod tests;
