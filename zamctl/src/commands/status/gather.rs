//! What the daemons say, put side by side and judged.

use super::own;
use crate::{
    copies::other_problems,
    doors::{Doors, Report},
    failure::{Failure, Outcome},
    session::Session,
};
use std::collections::{BTreeMap, BTreeSet};
use zam_names::{DatasetName, UnixTime};
use zam_protocol::{
    Hello, PoolStatus, Role, WorkerState,
    prune::PruneStatus,
    recv::RecvStatus,
    send::{CopyState, CopyStatus, SendStatus},
    snap::SnapStatus,
};

/// How badly something needs a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// Not at all.
    Fine,
    /// It was stopped on purpose, and should not be forgotten.
    Paused,
    /// It waits for a decision.
    Waiting,
    /// Something does not work.
    Broken,
}

/// A daemon.
pub struct Daemon {
    /// Which.
    pub role: Role,
    /// What it says of itself, or why it says nothing.
    pub hello: Result<Hello, Failure>,
}

/// A dataset.
pub struct Line {
    /// Its name.
    pub dataset: DatasetName,
    /// What zamd-snap says.
    pub snap: Option<SnapStatus>,
    /// What zamd-prune says.
    pub prune: Option<PruneStatus>,
    /// How badly it needs a person.
    pub need: Need,
    /// What is the matter, worst first; or what goes on, if nothing is.
    pub why: Vec<String>,
}

/// A copy of a dataset.
pub struct Copy {
    /// Of which.
    pub dataset: DatasetName,
    /// What zamd-send says.
    pub status: CopyStatus,
    /// How badly it needs a person.
    pub need: Need,
}

/// What the daemons said; one that has nothing to do here, and does not run, says none.
pub struct Said {
    /// zamd-snap.
    pub snap: Result<Report<SnapStatus>, Failure>,
    /// zamd-prune.
    pub prune: Result<Report<PruneStatus>, Failure>,
    /// zamd-send.
    pub send: Option<Result<Report<SendStatus>, Failure>>,
    /// zamd-recv.
    pub recv: Option<Result<Report<RecvStatus>, Failure>>,
}

/// Everything that `status` shows.
pub struct Gathered {
    /// For which instant.
    pub now: UnixTime,
    /// The daemons.
    pub daemons: Vec<Daemon>,
    /// The datasets, the worst first.
    pub lines: Vec<Line>,
    /// Their copies, the worst first.
    pub copies: Vec<Copy>,
    /// The pools, as each daemon sees them.
    pub pools: Vec<(Role, PoolStatus)>,
    /// Whether zamctl has looked at the datasets itself, since zamd-snap does not answer.
    pub by_zamctl: bool,
}

impl Gathered {
    /// Asks all.
    ///
    /// # Errors
    /// If the system gives no event queue; a daemon that does not answer is part of the answer.
    pub fn gather(session: &Session, only: Option<&DatasetName>) -> Result<Self, Failure> {
        let doors = Doors::new(session)?;
        let entries = session.config().map(|loaded| loaded.config.entries).unwrap_or_default();
        let mut destinations = entries.iter().filter(|entry| entry.enabled).flat_map(|entry| &entry.destinations);
        let here = destinations.clone().any(|destination| destination.local_root().is_some());
        let sends = destinations.next().is_some();
        let receives = here || entries.iter().any(|entry| entry.enabled && entry.is_replica());
        let said = Said {
            snap: doors.snap_report(),
            prune: doors.prune_report(),
            send: Some(doors.send_report()).filter(|said| sends || said.is_ok()),
            recv: Some(doors.recv_report()).filter(|said| receives || said.is_ok()),
        };
        // What there is, somebody wants to know all the more when the one who takes care of it does not answer.
        let own = if said.snap.is_err() { own::rows(session).unwrap_or_default() } else { BTreeMap::new() };
        Ok(Self::of(session.now, said, own, only))
    }

    /// Puts the reports side by side.
    #[must_use]
    pub fn of(now: UnixTime, said: Said, own: BTreeMap<DatasetName, SnapStatus>, only: Option<&DatasetName>) -> Self {
        let (mut pools, mut daemons) = (Vec::new(), Vec::new());
        let by_zamctl = said.snap.is_err() && !own.is_empty();
        let (mut snaps, mut prunes) = (own, BTreeMap::new());
        let (mut sends, mut recvs) = (BTreeMap::new(), BTreeMap::new());
        macro_rules! take {
            ($role:expr, $report:expr, $rows:ident) => {
                let hello = $report.map(|report| {
                    pools.extend(report.pools.into_iter().map(|pool| ($role, pool)));
                    $rows = report.rows;
                    report.hello
                });
                daemons.push(Daemon { role: $role, hello });
            };
        }
        take!(Role::Snap, said.snap, snaps);
        take!(Role::Prune, said.prune, prunes);
        if let Some(report) = said.send {
            take!(Role::Send, report, sends);
        }
        if let Some(report) = said.recv {
            take!(Role::Recv, report, recvs);
        }
        let wanted = |name: &DatasetName| only.is_none_or(|top| name.below(top).is_some());
        let absent: BTreeSet<_> = pools
            .iter()
            .filter(|(_, pool)| pool.worker == WorkerState::Absent)
            .map(|(_, pool)| pool.name.clone())
            .collect();
        let mut copies = Vec::new();
        let mut others: BTreeMap<DatasetName, Vec<String>> = BTreeMap::new();
        for (dataset, row) in sends {
            others.entry(dataset.clone()).or_default().extend(row.problems);
            let copy = |status: CopyStatus| Copy { need: need(&status), dataset: dataset.clone(), status };
            copies.extend(row.destinations.into_iter().filter(|_| wanted(&dataset)).map(copy));
        }
        for (dataset, row) in &recvs {
            others.entry(dataset.clone()).or_default().extend(row.problems.clone());
        }
        copies.sort_by(|a, b| b.need.cmp(&a.need).then_with(|| a.dataset.cmp(&b.dataset)));
        others.retain(|_, problems| !problems.is_empty());
        let names: BTreeSet<DatasetName> = snaps.keys().chain(prunes.keys()).chain(others.keys()).cloned().collect();
        let mut lines: Vec<Line> = names
            .into_iter()
            .filter(wanted)
            .map(|name| {
                let (snap, prune) = (snaps.remove(&name), prunes.remove(&name));
                let away = absent.contains(&name.pool());
                let others = others.remove(&name).unwrap_or_default();
                Line::judge(name, snap, prune, others, away)
            })
            .collect();
        lines.sort_by(|a, b| b.need.cmp(&a.need).then_with(|| a.dataset.cmp(&b.dataset)));
        Self { now, daemons, lines, copies, pools, by_zamctl }
    }

    /// The exit code that it comes to.
    pub fn outcome(&self) -> Outcome {
        let in_trouble = |hello: &Hello| !hello.problems.is_empty() || hello.config.problem.is_some();
        let stuck = |pool: &PoolStatus| pool.last_error.is_some() || matches!(pool.worker, WorkerState::Stuck(_));
        if self.daemons.iter().any(|daemon| daemon.hello.as_ref().is_err()) {
            Outcome::Unreachable
        } else if self.lines.iter().any(|line| line.need > Need::Fine)
            || self.copies.iter().any(|copy| copy.need > Need::Fine)
            || self.daemons.iter().any(|daemon| daemon.hello.as_ref().is_ok_and(in_trouble))
            || self.pools.iter().any(|(_, pool)| stuck(pool))
        {
            Outcome::Attention
        } else {
            Outcome::Fine
        }
    }
}

impl Line {
    /// `others` are the problems that the daemons have with it that copy.
    fn judge(
        dataset: DatasetName,
        snap: Option<SnapStatus>,
        prune: Option<PruneStatus>,
        others: Vec<String>,
        pool_away: bool,
    ) -> Self {
        let mut found: Vec<(Need, String)> = Vec::new();
        if let Some(snap) = &snap {
            found.extend(snap.problems.iter().map(|problem| (Need::Broken, problem.clone())));
            if let Some(plan) = snap.braked {
                found.push((Need::Waiting, format!("releases braked: zamctl prune --approve {plan}")));
            }
            if snap.silent {
                found.push((Need::Broken, "no good new snapshot for too long: ageing out pauses".to_owned()));
            }
            if snap.paused {
                found.push((Need::Paused, format!("paused by root: zamctl unhold {dataset} --undo")));
            }
            if snap.kind.is_none() && snap.problems.is_empty() {
                let (need, why) = if pool_away {
                    (Need::Fine, "its pool is not imported")
                } else {
                    (Need::Waiting, "configured, and not there")
                };
                found.push((need, why.to_owned()));
            }
        }
        if let Some(prune) = &prune {
            let problems = prune.problems.iter().filter(|problem| !found.iter().any(|(_, known)| known == *problem));
            let problems: Vec<_> = problems.map(|problem| (Need::Broken, problem.clone())).collect();
            found.extend(problems);
            if let Some(brake) = &prune.braked {
                let (deaths, plan) = (brake.deaths, brake.plan);
                found.retain(|(_, why)| !why.starts_with("releases braked"));
                found.push((Need::Waiting, format!("braked, {deaths} would go: zamctl prune --approve {plan}")));
            }
        }
        for problem in others {
            if !found.iter().any(|(_, known)| *known == problem) {
                found.push((Need::Broken, problem));
            }
        }
        found.sort_by_key(|(need, _)| std::cmp::Reverse(*need));
        let need = found.first().map_or(Need::Fine, |(need, _)| *need);
        let mut why: Vec<String> = found.into_iter().map(|(_, why)| why).collect();
        if need == Need::Fine && why.is_empty() {
            why = going_on(snap.as_ref(), prune.as_ref());
        }
        Self { dataset, snap, prune, need, why }
    }
}

/// How badly a copy needs a person. One that only waits does not: it goes on by itself.
fn need(copy: &CopyStatus) -> Need {
    match &copy.state {
        _ if other_problems(copy).next().is_some() => Need::Broken,
        CopyState::Diverged { .. } => Need::Waiting,
        CopyState::Idle | CopyState::Waiting { .. } | CopyState::Running(_) => Need::Fine,
    }
}

/// What there is to say where all is well.
fn going_on(snap: Option<&SnapStatus>, prune: Option<&PruneStatus>) -> Vec<String> {
    let waits = snap.and_then(|snap| snap.waits.as_ref()).map(|what| format!("waits: {what}"));
    let mut why = vec![waits.unwrap_or_else(|| "ok".to_owned())];
    if let Some(count) = snap.map(|snap| snap.releasing).filter(|count| *count > 0) {
        why.push(format!("{count} to release"));
    }
    if let Some(prune) = prune {
        if prune.in_grace > 0 {
            why.push(format!("{} in grace", prune.in_grace));
        }
        if prune.vetoed > 0 {
            why.push(format!("{} expired, kept", prune.vetoed));
        }
    }
    why
}
