//! What both daemons say, put side by side and judged.

use super::own;
use crate::{
    doors::{Doors, Report},
    failure::{Failure, Outcome},
    session::Session,
};
use std::collections::{BTreeMap, BTreeSet};
use zam_names::{DatasetName, UnixTime};
use zam_protocol::{Hello, PoolStatus, Role, WorkerState, prune::PruneStatus, snap::SnapStatus};

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

/// Everything that `status` shows.
pub struct Gathered {
    /// For which instant.
    pub now: UnixTime,
    /// The daemons.
    pub daemons: Vec<Daemon>,
    /// The datasets, the worst first.
    pub lines: Vec<Line>,
    /// The pools, as each daemon sees them.
    pub pools: Vec<(Role, PoolStatus)>,
    /// Whether zamctl has looked at the datasets itself, since zamd-snap does not answer.
    pub by_zamctl: bool,
}

impl Gathered {
    /// Asks both.
    ///
    /// # Errors
    /// If the system gives no event queue; a daemon that does not answer is part of the answer.
    pub fn gather(session: &Session, only: Option<&DatasetName>) -> Result<Self, Failure> {
        let doors = Doors::new(session)?;
        let (snap, prune) = (doors.snap_report(), doors.prune_report());
        // What there is, somebody wants to know all the more when the one who takes care of it does not answer.
        let own = if snap.is_err() { own::rows(session).unwrap_or_default() } else { BTreeMap::new() };
        Ok(Self::of(session.now, snap, prune, own, only))
    }

    /// Puts two reports side by side.
    #[must_use]
    pub fn of(
        now: UnixTime,
        snap: Result<Report<SnapStatus>, Failure>,
        prune: Result<Report<PruneStatus>, Failure>,
        own: BTreeMap<DatasetName, SnapStatus>,
        only: Option<&DatasetName>,
    ) -> Self {
        let mut pools = Vec::new();
        let by_zamctl = snap.is_err() && !own.is_empty();
        let (mut snaps, mut prunes) = (own, BTreeMap::new());
        let snap = snap.map(|report| {
            pools.extend(report.pools.into_iter().map(|pool| (Role::Snap, pool)));
            snaps = report.rows;
            report.hello
        });
        let prune = prune.map(|report| {
            pools.extend(report.pools.into_iter().map(|pool| (Role::Prune, pool)));
            prunes = report.rows;
            report.hello
        });
        let daemons = vec![Daemon { role: Role::Snap, hello: snap }, Daemon { role: Role::Prune, hello: prune }];
        let names: BTreeSet<DatasetName> = snaps.keys().chain(prunes.keys()).cloned().collect();
        let wanted = |name: &DatasetName| only.is_none_or(|top| name.below(top).is_some());
        let absent: BTreeSet<_> = pools
            .iter()
            .filter(|(_, pool)| pool.worker == WorkerState::Absent)
            .map(|(_, pool)| pool.name.clone())
            .collect();
        let mut lines: Vec<Line> = names
            .into_iter()
            .filter(wanted)
            .map(|name| {
                let (snap, prune) = (snaps.remove(&name), prunes.remove(&name));
                let away = absent.contains(&name.pool());
                Line::judge(name, snap, prune, away)
            })
            .collect();
        lines.sort_by(|a, b| b.need.cmp(&a.need).then_with(|| a.dataset.cmp(&b.dataset)));
        Self { now, daemons, lines, pools, by_zamctl }
    }

    /// The exit code that it comes to.
    pub fn outcome(&self) -> Outcome {
        let in_trouble = |hello: &Hello| !hello.problems.is_empty() || hello.config.problem.is_some();
        let stuck = |pool: &PoolStatus| pool.last_error.is_some() || matches!(pool.worker, WorkerState::Stuck(_));
        if self.daemons.iter().any(|daemon| daemon.hello.as_ref().is_err()) {
            Outcome::Unreachable
        } else if self.lines.iter().any(|line| line.need > Need::Fine)
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
    fn judge(dataset: DatasetName, snap: Option<SnapStatus>, prune: Option<PruneStatus>, pool_away: bool) -> Self {
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
        found.sort_by_key(|(need, _)| std::cmp::Reverse(*need));
        let need = found.first().map_or(Need::Fine, |(need, _)| *need);
        let mut why: Vec<String> = found.into_iter().map(|(_, why)| why).collect();
        if need == Need::Fine && why.is_empty() {
            why = going_on(snap.as_ref(), prune.as_ref());
        }
        Self { dataset, snap, prune, need, why }
    }
}

/// What there is to say where all is well.
fn going_on(snap: Option<&SnapStatus>, prune: Option<&PruneStatus>) -> Vec<String> {
    let mut why = vec!["ok".to_owned()];
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
