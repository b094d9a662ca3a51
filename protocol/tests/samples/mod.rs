//! Messages of every kind: each request, each answer, each variant of what they are made of.

use zam_names::{Guid, Kind, Target, UnixTime};
use zam_protocol::{
    ConfigState, Door, EndOrder, Hello, JobId, JobState, Need, Page, PlanId, PoolStatus, Reach, Refused, Role, Tick,
    Work, WorkerState,
    prune::{Brake, Grace, PruneOrder, PruneRequest, PruneResponse, PruneStatus},
    snap::{KeepOrder, SnapRequest, SnapResponse, SnapStatus, SnapshotOrder, Unhold, UnholdOrder},
};

const THEN: UnixTime = UnixTime(1_767_225_600);

pub fn snap_requests() -> Vec<SnapRequest> {
    use SnapRequest as Q;
    let order = |reach, name: Option<&str>, keep_for: Option<&str>| SnapshotOrder {
        dataset: name_of("tank/home"),
        reach,
        name: name.map(name_of),
        keep_for: keep_for.map(|span| span.parse().unwrap()),
    };
    let keep = KeepOrder { snapshot: name_of("tank/home@a"), keep_for: None, why: None };
    let unhold = |reach, way| UnholdOrder { dataset: name_of("tank/home"), reach, way };
    vec![
        Q::Hello {},
        Q::Status { after: None },
        Q::Status { after: Some(name_of("tank/home")) },
        Q::Pools {},
        Q::Job { id: JobId(300) },
        Q::Snapshot { order: order(Reach::Only, None, None) },
        Q::Snapshot { order: order(Reach::Below, Some("before-upgrade"), Some("30d")) },
        Q::Keep { order: keep.clone() },
        Q::Keep { order: KeepOrder { keep_for: Some("6mo".parse().unwrap()), why: Some(name_of("audit")), ..keep } },
        Q::Unkeep { snapshot: name_of("tank/home@a") },
        Q::Expire { snapshot: target() },
        Q::SetEnd { order: EndOrder { snapshot: target(), end: Some(THEN) } },
        Q::SetEnd { order: EndOrder { snapshot: target(), end: None } },
        Q::Unhold { order: unhold(Reach::Only, Unhold::Pause) },
        Q::Unhold { order: unhold(Reach::Below, Unhold::Resume) },
        Q::Approve { plan: plan() },
        Q::Notes { dataset: name_of("tank/home") },
        Q::Release { dataset: Some(name_of("tank/home")) },
        Q::Release { dataset: None },
    ]
}

pub fn snap_answers() -> Vec<SnapResponse> {
    use SnapResponse as A;
    let row = SnapStatus {
        dataset: name_of("tank/home"),
        kind: Some(Kind::Filesystem),
        entry: "tank".into(),
        last: Some(THEN),
        next: Some(THEN.plus(600)),
        snapshots: 70_000,
        protected: 3,
        releasing: 1,
        used: 1 << 40,
        used_by_snapshots: 1 << 20,
        paused: true,
        silent: false,
        braked: Some(plan()),
        problems: vec!["busy".into()],
    };
    let volume = SnapStatus { kind: Some(Kind::Volume), last: None, next: None, braked: None, ..row.clone() };
    let absent = SnapStatus { kind: None, silent: true, paused: false, ..volume.clone() };
    let page = Page { rows: vec![row.clone(), volume, absent], next: Some(row.dataset) };
    let mut answers = vec![
        A::Hello(hello(Role::Snap)),
        A::Status(page),
        A::Status(Page { rows: vec![], next: None }),
        A::Pools(pools()),
        A::Snapshot(Ok(JobId(1))),
        A::Keep(Ok(JobId(2))),
        A::Unkeep(Ok(JobId(3))),
        A::Expire(Ok(JobId(4))),
        A::SetEnd(Ok(JobId(5))),
        A::Unhold(Ok(JobId(6))),
        A::Approve(Ok(JobId(7))),
        A::Release(Ok(JobId(8))),
        A::Notes(Some("{}".into())),
        A::Notes(None),
    ];
    answers.extend(job_states().into_iter().map(A::Job));
    answers.extend(refusals().into_iter().map(|refused| A::Snapshot(Err(refused))));
    answers
}

pub fn prune_requests() -> Vec<PruneRequest> {
    use PruneRequest as Q;
    vec![
        Q::Hello {},
        Q::Status { after: None },
        Q::Status { after: Some(name_of("tank/home")) },
        Q::Pools {},
        Q::Job { id: JobId(300) },
        Q::Prune { order: PruneOrder { dataset: None, grace: Grace::Wait } },
        Q::Prune { order: PruneOrder { dataset: Some(name_of("tank/home")), grace: Grace::Skip } },
        Q::Approve { plan: plan() },
        Q::Expire { snapshot: target() },
        Q::SetEnd { order: EndOrder { snapshot: target(), end: Some(THEN) } },
        Q::Notes { dataset: name_of("tank/home") },
    ]
}

pub fn prune_answers() -> Vec<PruneResponse> {
    use PruneResponse as A;
    let row = PruneStatus {
        dataset: name_of("tank/home"),
        held: 1,
        in_grace: 2,
        next: Some(THEN),
        vetoed: 3,
        braked: Some(Brake { plan: plan(), deaths: 40, of: 50 }),
        destroyed: 4,
        last: Some(THEN),
        problems: vec!["busy".into()],
    };
    let calm = PruneStatus { next: None, braked: None, last: None, problems: vec![], ..row.clone() };
    let mut answers = vec![
        A::Hello(hello(Role::Prune)),
        A::Status(Page { rows: vec![row, calm], next: None }),
        A::Pools(pools()),
        A::Prune(Ok(JobId(1))),
        A::Approve(Ok(JobId(2))),
        A::Expire(Ok(JobId(3))),
        A::SetEnd(Ok(JobId(4))),
        A::Notes(Some("{}".into())),
        A::Notes(None),
    ];
    answers.extend(job_states().into_iter().map(A::Job));
    answers.extend(refusals().into_iter().map(|refused| A::Prune(Err(refused))));
    answers
}

fn hello(role: Role) -> Hello {
    let config = ConfigState { file: "/etc/zam/zam.toml".into(), loaded: THEN, problem: Some("line 3".into()) };
    Hello { role, build: "0.1.0".into(), minor: 0, pid: 4711, started: THEN, config, problems: vec!["clock".into()] }
}

fn pools() -> Vec<PoolStatus> {
    let work = Work { what: "listing".into(), since: THEN };
    let tick = Tick { when: THEN, datasets: 100, done: 99, atomic: true, processes: 1, milliseconds: 30 };
    let pool = |worker| PoolStatus {
        name: name_of("tank"),
        worker,
        last_listing: Some(THEN),
        last_error: Some("suspended".into()),
        last_tick: Some(tick.clone()),
    };
    let states = [WorkerState::Idle, WorkerState::Working(work.clone()), WorkerState::Stuck(work), WorkerState::Absent];
    let mut pools: Vec<_> = states.into_iter().map(pool).collect();
    pools.push(PoolStatus { last_listing: None, last_error: None, last_tick: None, ..pool(WorkerState::Idle) });
    pools
}

fn job_states() -> Vec<Result<JobState, Refused>> {
    let lines = || vec!["took tank/home@a".to_owned()];
    vec![
        Ok(JobState::Waiting),
        Ok(JobState::Running),
        Ok(JobState::done(lines())),
        Ok(JobState::failed("the pool is suspended", lines())),
        Err(Refused::NotFound { name: "job 3".into(), why: String::new() }),
    ]
}

fn refusals() -> Vec<Refused> {
    let not_permitted =
        |role, door, need| Refused::NotPermitted { request: "keep".into(), role, door, uid: 1000, need };
    vec![
        not_permitted(Role::Snap, Door::Status, Need::Anybody),
        not_permitted(Role::Prune, Door::Control, Need::Operator),
        not_permitted(Role::Snap, Door::Peer, Need::Root),
        Refused::NotManaged { dataset: name_of("tank/home") },
        Refused::NotFound { name: "tank/home@a".into(), why: "it has another GUID".into() },
        Refused::Busy { what: "tank".into(), why: "a scrub".into() },
        Refused::Invalid { what: "name".into(), why: "taken".into() },
        Refused::Failed { what: "snapshot".into(), why: "no space".into() },
    ]
}

fn plan() -> PlanId {
    PlanId(0xbeef)
}

fn target() -> Target {
    Target { name: name_of("tank/home@a"), guid: Guid(u64::MAX) }
}

fn name_of<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}
