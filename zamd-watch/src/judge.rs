//! What is wrong, out of what the others say and what the worker of each pool does.

use crate::ears::{Ears, Rows, Said};
use std::collections::BTreeSet;
use zam_names::{DatasetName, PoolName, UnixTime};
use zam_policy::{
    alarm::{Key, Kind, Look, Source, Trouble},
    config::{Config, Destination, DestinationId},
    fresh::lasted,
};
use zam_protocol::{
    Hello, PoolStatus, Role, WorkerState,
    send::{CopyState, CopyStatus},
};

/// For how many seconds trouble may last that a daemon works on itself; what goes over a network may take longer.
const OWN: i64 = 300;
const NETWORK: i64 = 3600;
/// More than this of one daemon's is not told one by one.
const MOST: usize = 1000;
/// So many starts in an hour are too many.
const STARTS: usize = 4;

/// Judges what the others said. A daemon that says nothing for `patience` seconds is down.
pub fn others(ears: &Ears, config: &Config, patience: i64, now: UnixTime) -> Look {
    let mut look = Look::default();
    for (role, said) in &ears.said {
        let add = |kind, place: &str, about: &str, text: String, patience| Trouble {
            key: Key::new(kind, place, about),
            source: Source::Watch,
            text,
            patience,
        };
        let starts = ears.starts(*role, now);
        if starts >= STARTS {
            let text = format!("it has started {starts} times within an hour");
            look.troubles.push(add(Kind::Restarts, role.daemon(), role.daemon(), text, 0));
        }
        match said {
            Ok(said) => {
                let mut found = of(*role, said, config, patience, now);
                if found.len() > MOST {
                    found.truncate(MOST);
                    let text = format!("it finds more than {MOST} things wrong: `zamctl status` has them all");
                    found.push(add(Kind::Trouble, role.daemon(), role.daemon(), text, 0));
                }
                look.troubles.extend(found);
            }
            Err(why) => {
                look.troubles.push(add(Kind::Down, role.daemon(), role.daemon(), why.clone(), patience));
                look.unheard.insert(Source::Daemon(role.daemon().to_owned()));
            }
        }
    }
    look
}

/// What one daemon says is wrong; a `moment` ends what was late and is being done now.
fn of(role: Role, said: &Said, config: &Config, moment: i64, now: UnixTime) -> Vec<Trouble> {
    let mut found = itself(role, &said.hello);
    let mut add = |kind, place: &str, about: &DatasetName, text: String, patience| {
        found.push(Trouble { key: Key::new(kind, place, about), source: source(role), text, patience });
    };
    let mut problems = |dataset: &DatasetName, problems: &[String], patience| {
        // What it is that a pool is away is told of the pool.
        if !problems.is_empty() && !said.pools.iter().any(|pool| is_away(pool) && pool.name == dataset.pool()) {
            add(Kind::Trouble, role.daemon(), dataset, problems.join("; "), patience);
        }
    };
    match &said.rows {
        Rows::Snap(rows) => rows.iter().for_each(|row| problems(&row.dataset, &row.problems, OWN)),
        Rows::Prune(rows) => rows.iter().for_each(|row| problems(&row.dataset, &row.problems, OWN)),
        Rows::Recv(rows) => rows.iter().for_each(|row| problems(&row.dataset, &row.problems, OWN)),
        Rows::Send(rows) => rows.iter().for_each(|row| {
            problems(&row.dataset, &row.problems, NETWORK);
            for copy in row.destinations.iter().filter(|copy| !copy.problems.is_empty()) {
                let (text, patience) = match &copy.state {
                    CopyState::Diverged { .. } => (copy.problems.join("; "), 0),
                    _ => (copy.problems.join("; "), NETWORK),
                };
                problems(&row.dataset, &[format!("copy at {}: {text}", called(copy))], patience);
            }
        }),
    }
    match &said.rows {
        Rows::Snap(rows) => {
            for (row, plan) in rows.iter().filter_map(|row| Some((row, row.braked?))) {
                let text = "releases wait that no accepted policy foretold".to_owned();
                add(Kind::Brake, &plan.to_string(), &row.dataset, text, 0);
            }
        }
        Rows::Prune(rows) => {
            for (row, brake) in rows.iter().filter_map(|row| Some((row, row.braked.as_ref()?))) {
                let text =
                    format!("{} of {} snapshots would go that no accepted policy foretold", brake.deaths, brake.of);
                add(Kind::Brake, &brake.plan.to_string(), &row.dataset, text, 0);
            }
        }
        Rows::Send(rows) => {
            for (row, copy) in rows.iter().flat_map(|row| row.destinations.iter().map(move |copy| (row, copy))) {
                let destination = destination(config, &row.dataset, copy);
                let after = destination.and_then(|destination| Some((destination, destination.stale_after?)));
                let Some(((destination, after), last)) = after.zip(copy.last) else { continue };
                if now.since(last) > after.approximate_seconds() {
                    let text = format!("no run to it ended well for {}", lasted(now.since(last)));
                    add(Kind::Behind, &destination.called(), &row.dataset, text, moment);
                }
            }
        }
        Rows::Recv(_) => {}
    }
    found
}

/// What a daemon says of itself: its config, its clock, its notes.
pub fn itself(role: Role, hello: &Hello) -> Vec<Trouble> {
    let daemon = role.daemon();
    let add =
        |kind, text: String| Trouble { key: Key::new(kind, daemon, daemon), source: source(role), text, patience: OWN };
    let refused = hello.config.problem.iter();
    let refused =
        refused.map(|why| Trouble { patience: 0, ..add(Kind::Config, format!("its config was refused: {why}")) });
    let problems = (!hello.problems.is_empty()).then(|| add(Kind::Trouble, hello.problems.join("; ")));
    refused.chain(problems).collect()
}

/// What zamd-watch's own workers come to: pools that are away or do not answer for `patience` seconds, and which listings
/// are of no use now, or not `seen` to their end yet.
pub fn pools(pools: &[PoolStatus], seen: impl Fn(&PoolName) -> bool, config: &Config, patience: i64) -> Look {
    let mut look = Look::default();
    for pool in pools {
        let text = match (&pool.worker, &pool.last_error) {
            (WorkerState::Absent, _) if is_expected_away(config, &pool.name) => continue,
            (WorkerState::Absent, _) => Some("it is not imported".to_owned()),
            (WorkerState::Stuck(work), _) => Some(format!("it does not answer: {}", work.what)),
            (_, Some(error)) => Some(error.clone()),
            (WorkerState::Idle | WorkerState::Working(_), None) => None,
        };
        if text.is_some() || !seen(&pool.name) {
            look.unheard.insert(Source::Pool(pool.name.to_string()));
        }
        look.troubles.extend(text.map(|text| Trouble {
            key: Key::new(Kind::Pool, &pool.name, &pool.name),
            source: Source::Watch,
            text,
            patience,
        }));
    }
    look
}

/// Whether every entry for the pool says that it may be away.
pub fn is_expected_away(config: &Config, pool: &PoolName) -> bool {
    let mut entries = config.entries.iter().filter(|entry| entry.enabled && entry.source.pool() == *pool);
    entries.all(|entry| entry.absent_expected)
}

fn is_away(pool: &PoolStatus) -> bool {
    pool.worker == WorkerState::Absent
}

fn source(role: Role) -> Source {
    Source::Daemon(role.daemon().to_owned())
}

/// The destination of a copy, in the entry for its dataset: others may name the same place, and another patience.
fn destination<'a>(config: &'a Config, dataset: &DatasetName, copy: &CopyStatus) -> Option<&'a Destination> {
    let id: DestinationId = copy.id.parse().ok()?;
    let entries = [zam_names::Kind::Filesystem, zam_names::Kind::Volume]
        .into_iter()
        .filter_map(|kind| config.sender_for(dataset, kind).entry());
    entries.flat_map(|entry| &entry.destinations).find(|destination| destination.id() == id)
}

fn called(copy: &CopyStatus) -> String {
    copy.host.clone().unwrap_or_else(|| copy.path.clone())
}

/// Joins looks of several eyes.
pub fn join(looks: impl IntoIterator<Item = Look>) -> Look {
    let (mut troubles, mut unheard) = (Vec::new(), BTreeSet::new());
    for look in looks {
        troubles.extend(look.troubles);
        unheard.extend(look.unheard);
    }
    Look { troubles, unheard }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ears::tests::hello;
    use pretty_assertions::assert_eq;
    use zam_policy::{Zone, config::load};
    use zam_protocol::{
        PlanId, Work,
        prune::{Brake, PruneStatus},
        send::SendStatus,
        snap::SnapStatus,
    };

    const CONFIG: &str = r#"
        [[managed-datasets]]
        source = "tank"
        recursive = true
        destinations = [{ remote-host = "olympus", stale-after = "2d" }]
        [[managed-datasets]]
        source = "usb"
        absent = "expected"
    "#;

    fn config() -> Config {
        load(&[("zam.toml".to_owned(), CONFIG.to_owned())], &Zone::utc()).unwrap().0
    }

    fn name(text: &str) -> DatasetName {
        text.parse().unwrap()
    }

    fn pool(pool: &str, worker: WorkerState, last_error: Option<&str>) -> PoolStatus {
        PoolStatus {
            name: pool.parse().unwrap(),
            worker,
            last_listing: Some(UnixTime(0)),
            last_error: last_error.map(str::to_owned),
            last_tick: None,
        }
    }

    /// What is found in what a daemon says: kind, place, what it is about, patience.
    fn found(role: Role, rows: Rows, change: impl FnOnce(&mut Said)) -> Vec<(Kind, String, String, i64)> {
        let mut said = Said { hello: hello(role), pools: vec![], rows };
        change(&mut said);
        let found = of(role, &said, &config(), 60, UnixTime(1_000_000)).into_iter();
        found.map(|one| (one.key.kind, one.key.place, one.key.about, one.patience)).collect()
    }

    fn snap(problems: &[&str], braked: Option<PlanId>) -> Rows {
        Rows::Snap(vec![SnapStatus {
            dataset: name("tank/a"),
            kind: None,
            entry: "tank".into(),
            last: None,
            next: None,
            waits: None,
            snapshots: 0,
            protected: 0,
            releasing: 0,
            used: 0,
            used_by_snapshots: 0,
            paused: false,
            silent: false,
            braked,
            problems: problems.iter().map(|text| (*text).to_owned()).collect(),
        }])
    }

    fn send(last: i64, state: CopyState, problems: &[&str]) -> Rows {
        let config = config();
        let copy = CopyStatus {
            id: config.entries[0].destinations[0].id().to_string(),
            host: Some("olympus".into()),
            path: "tank/a".into(),
            last: Some(UnixTime(last)),
            newest: None,
            lag_snapshots: 0,
            lag_bytes: None,
            state,
            problems: problems.iter().map(|text| (*text).to_owned()).collect(),
        };
        Rows::Send(vec![SendStatus { dataset: name("tank/a"), destinations: vec![copy], problems: vec![] }])
    }

    fn one(kind: Kind, place: &str, about: &str, patience: i64) -> Vec<(Kind, String, String, i64)> {
        vec![(kind, place.to_owned(), about.to_owned(), patience)]
    }

    #[test]
    fn what_the_keys_find_is_an_alarm_and_what_is_well_is_none() {
        assert_eq!(found(Role::Snap, snap(&[], None), |_| {}), []);
        assert_eq!(
            found(Role::Snap, snap(&["no space"], None), |_| {}),
            one(Kind::Trouble, "zamd-snap", "tank/a", OWN)
        );
        let plan = PlanId(7);
        assert_eq!(found(Role::Snap, snap(&[], Some(plan)), |_| {}), one(Kind::Brake, &plan.to_string(), "tank/a", 0));
        let braked = Some(Brake { plan, deaths: 4, of: 5 });
        let (held, dataset) = (0, name("tank/a"));
        let row = PruneStatus {
            dataset,
            held,
            in_grace: 0,
            next: None,
            vetoed: 0,
            braked,
            destroyed: 0,
            last: None,
            problems: vec![],
        };
        assert_eq!(
            found(Role::Prune, Rows::Prune(vec![row]), |_| {}),
            one(Kind::Brake, &plan.to_string(), "tank/a", 0)
        );
    }

    #[test]
    fn that_a_pool_is_away_is_told_of_the_pool_alone() {
        let away = |said: &mut Said| said.pools = vec![pool("tank", WorkerState::Absent, None)];
        assert_eq!(found(Role::Snap, snap(&["pool tank is not imported"], None), away), []);
    }

    #[test]
    fn a_copy_is_judged_by_when_a_run_last_ended_well() {
        let day = 86_400;
        assert_eq!(found(Role::Send, send(1_000_000 - 2 * day, CopyState::Idle, &[]), |_| {}), []);
        let late = send(1_000_000 - 2 * day - 1, CopyState::Idle, &[]);
        assert_eq!(found(Role::Send, late, |_| {}), one(Kind::Behind, "olympus", "tank/a", 60));
        let fails = send(1_000_000, CopyState::Idle, &["connection refused"]);
        assert_eq!(found(Role::Send, fails, |_| {}), one(Kind::Trouble, "zamd-send", "tank/a", NETWORK));
        let diverged = CopyState::Diverged { common: None, beyond: vec![] };
        let waits = send(1_000_000, diverged, &["diverged after @a"]);
        assert_eq!(found(Role::Send, waits, |_| {}), one(Kind::Trouble, "zamd-send", "tank/a", 0));
    }

    #[test]
    fn a_daemon_tells_of_its_config_and_its_clock() {
        let refused = |said: &mut Said| said.hello.config.problem = Some("line 3".into());
        assert_eq!(found(Role::Snap, snap(&[], None), refused), one(Kind::Config, "zamd-snap", "zamd-snap", 0));
        let clock = |said: &mut Said| said.hello.problems = vec!["the clock jumped".into()];
        assert_eq!(found(Role::Snap, snap(&[], None), clock), one(Kind::Trouble, "zamd-snap", "zamd-snap", OWN));
    }

    #[test]
    fn who_is_silent_is_down_and_one_who_starts_again_and_again_is_told() {
        let mut ears = Ears::default();
        for at in 0..4 {
            let hello = Hello { started: UnixTime(at), ..hello(Role::Snap) };
            ears.take(vec![(Role::Snap, Ok(Said { hello, pools: vec![], rows: snap(&[], None) }))]);
        }
        let kinds = |look: &Look| look.troubles.iter().map(|one| one.key.kind).collect::<Vec<_>>();
        let look = others(&ears, &config(), 60, UnixTime(10));
        assert_eq!((kinds(&look), look.unheard.len()), (vec![Kind::Restarts], 0));
        ears.take(vec![(Role::Snap, Err("zamd-snap does not answer".into()))]);
        let look = others(&ears, &config(), 60, UnixTime(4000));
        assert_eq!(kinds(&look), [Kind::Down]);
        assert_eq!(look.troubles[0].patience, 60);
        assert!(look.unheard.contains(&Source::Daemon("zamd-snap".into())));
    }

    #[test]
    fn pools_that_are_away_or_hang_are_told_and_nothing_is_concluded_from_them() {
        let work = Work { what: "list the pool".into(), since: UnixTime(0) };
        for (status, told, unheard) in [
            (pool("tank", WorkerState::Idle, None), 0, 0),
            (pool("tank", WorkerState::Working(work.clone()), None), 0, 0),
            (pool("tank", WorkerState::Absent, None), 1, 1),
            (pool("tank", WorkerState::Stuck(work), None), 1, 1),
            (pool("tank", WorkerState::Idle, Some("cannot be listed")), 1, 1),
            (PoolStatus { last_listing: None, ..pool("tank", WorkerState::Idle, None) }, 0, 1),
            (pool("usb", WorkerState::Absent, None), 0, 0),
        ] {
            let look = pools(std::slice::from_ref(&status), |_| status.last_listing.is_some(), &config(), 60);
            assert_eq!((look.troubles.len(), look.unheard.len()), (told, unheard), "{status:?}");
        }
    }
}
