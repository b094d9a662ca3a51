//! Messages of every kind: each request, each answer, each variant of what they are made of.

use zam_names::{Guid, Kind, Target, UnixTime};
use zam_policy::alarm::{Alarm, Key, Kind as Wrong, Source};
use zam_protocol::{
    ConfigState, Door, EndOrder, Hello, JobId, JobState, Need, Page, PlanId, PoolStatus, Reach, Refused, Role, Tick,
    Work, WorkerState,
    prune::{Brake, Grace, PruneOrder, PruneRequest, PruneResponse, PruneStatus},
    recv::{
        Arrived, Client, Failing, Greeting, Keeping, Offer, Outcome, Partial, Receiving, RecvRequest, RecvResponse,
        RecvStatus, ReplicaPage, ReplicaRow, Space, Ticket,
    },
    send::{
        CopyState, CopyStatus, PlannedCopy, PlannedStep, Progress, ReplicateOrder, Rotation, SendRequest, SendResponse,
        SendStatus,
    },
    snap::{KeepOrder, SnapRequest, SnapResponse, SnapStatus, SnapshotOrder, Unhold, UnholdOrder},
    watch::{AlarmPage, WatchRequest, WatchResponse, WatchStatus, WatchedCopy},
    words::{Answer, Hi, Word},
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
        waits: Some("on battery".into()),
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

pub fn send_requests() -> Vec<SendRequest> {
    use SendRequest as Q;
    let order = ReplicateOrder { dataset: None, reach: Reach::Below, to: None, full: false };
    let one = ReplicateOrder {
        dataset: Some(name_of("tank/home")),
        reach: Reach::Only,
        to: Some("olympus".into()),
        full: true,
    };
    vec![
        Q::Hello {},
        Q::Status { after: None },
        Q::Status { after: Some(name_of("tank/home")) },
        Q::Pools {},
        Q::Job { id: JobId(300) },
        Q::Replicate { order },
        Q::Replicate { order: one },
        Q::Rotate { dataset: name_of("tank/home"), to: "olympus".into() },
        Q::Plan { dataset: name_of("tank/home") },
    ]
}

pub fn send_answers() -> Vec<SendResponse> {
    use SendResponse as A;
    let progress = Progress {
        step: 3,
        of: 200,
        snapshot: name_of("a"),
        bytes: 70_000,
        estimated: 1 << 40,
        rate: 1 << 20,
        started: THEN,
    };
    let states = [
        CopyState::Idle,
        CopyState::Waiting { why: "unreachable".into(), until: Some(THEN) },
        CopyState::Waiting { why: "its pool is not imported".into(), until: None },
        CopyState::Running(progress),
        CopyState::Diverged { common: Some(name_of("a")), beyond: vec![name_of("b")] },
        CopyState::Diverged { common: None, beyond: vec![] },
    ];
    let copy = |state| CopyStatus {
        id: "deadbeef".into(),
        host: Some("olympus".into()),
        path: "tank/home".into(),
        last: Some(THEN),
        newest: Some(name_of("a")),
        lag_snapshots: 2,
        lag_bytes: Some(300),
        state,
        problems: vec!["no space".into()],
    };
    let mut destinations: Vec<_> = states.into_iter().map(copy).collect();
    let never = CopyStatus { host: None, last: None, newest: None, lag_bytes: None, ..copy(CopyState::Idle) };
    destinations.push(never);
    let row = SendStatus { dataset: name_of("tank/home"), destinations, problems: vec!["renamed".into()] };
    let step = PlannedStep { snapshot: name_of("b"), from: Some("@a".into()), bytes: Some(300), resume: false };
    let full = PlannedStep { from: None, bytes: None, resume: true, ..step.clone() };
    let planned = PlannedCopy {
        id: "deadbeef".into(),
        host: Some("olympus".into()),
        path: "tank/home".into(),
        steps: vec![step, full],
        problem: None,
    };
    let stuck = PlannedCopy { host: None, steps: vec![], problem: Some("diverged".into()), ..planned.clone() };
    let mut answers = vec![
        A::Hello(hello(Role::Send)),
        A::Status(Page { rows: vec![row], next: Some(name_of("tank/home")) }),
        A::Pools(pools()),
        A::Replicate(Ok(JobId(1))),
        A::Rotate(Ok(Rotation {
            id: "7bcb02ac".into(),
            host: Some("olympus".into()),
            dataset: name_of("nas/a"),
            common: "s1".parse().unwrap(),
            below: vec!["b".parse().unwrap()],
        })),
        A::Plan(Ok(vec![planned, stuck])),
    ];
    answers.extend(job_states().into_iter().map(A::Job));
    answers.extend(refusals().into_iter().map(|refused| A::Replicate(Err(refused))));
    answers
}

pub fn recv_requests() -> Vec<RecvRequest> {
    use RecvRequest as Q;
    let client = || Client { name: Some("s-host".into()), root: name_of("nas/zam/s-host") };
    let local = Client { name: None, ..client() };
    vec![
        Q::Hello {},
        Q::Status { after: None },
        Q::Status { after: Some(name_of("tank/home")) },
        Q::Pools {},
        Q::Job { id: JobId(300) },
        Q::Greet { client: client() },
        Q::Greet { client: local },
        Q::List { client: client(), after: None },
        Q::List { client: client(), after: Some(name_of("tank/home")) },
        Q::Space { client: client() },
        Q::Receive { client: client(), offer: offer() },
        Q::Outcome { ticket: Ticket(u128::MAX) },
        Q::Clear { client: client(), path: name_of("tank/home") },
        Q::Keeping { client: client(), path: name_of("tank/home"), kind: Kind::Volume },
    ]
}

pub fn recv_answers() -> Vec<RecvResponse> {
    use RecvResponse as A;
    let row = RecvStatus {
        dataset: name_of("nas/zam/s-host/tank/home"),
        client: Some("s-host".into()),
        last: Some(THEN),
        newest: Some(arrived()),
        snapshots: 300,
        held: 299,
        receiving: Some(Receiving { snapshot: name_of("b"), bytes: 70_000, estimated: 1 << 40, since: THEN }),
        partial: true,
        retired: false,
        problems: vec!["dated in the future".into()],
    };
    let calm = RecvStatus { client: None, last: None, newest: None, receiving: None, problems: vec![], ..row.clone() };
    let mut answers = vec![
        A::Hello(hello(Role::Recv)),
        A::Status(Page { rows: vec![row, calm], next: None }),
        A::Pools(pools()),
        A::Greet(Ok(Greeting { build: "0.1.0".into(), retired: false })),
        A::List(Ok(page())),
        A::List(Ok(ReplicaPage { rows: vec![], next: None })),
        A::Space(Ok(Space { available: 1 << 40 })),
        A::Receive(Ok(Ticket(u128::MAX))),
        A::Outcome(Ok(None)),
        A::Clear(Ok(())),
        A::Keeping(Ok(page().rows.remove(0).keeping)),
    ];
    answers.extend(outcomes().into_iter().map(|outcome| A::Outcome(Ok(Some(outcome)))));
    answers.extend(job_states().into_iter().map(A::Job));
    answers.extend(refusals().into_iter().map(|refused| A::Receive(Err(refused))));
    answers
}

pub fn words() -> Vec<Word> {
    vec![
        Word::Hello(hi()),
        Word::List { after: None },
        Word::List { after: Some(name_of("tank/home")) },
        Word::Space,
        Word::Receive(offer()),
        Word::Receive(Offer { from: None, raw: false, kind: Kind::Volume, resume: false, ..offer() }),
        Word::Clear { path: name_of("tank/home") },
        Word::Keeping { path: name_of("tank/home"), kind: Kind::Filesystem },
    ]
}

pub fn word_answers() -> Vec<Answer> {
    let mut answers = vec![
        Answer::Hello { hi: hi(), build: "0.1.0".into(), root: "backup/zam/s-host".parse().unwrap(), retired: true },
        Answer::Rows(page()),
        Answer::Space(Space { available: 1 << 40 }),
        Answer::Go,
        Answer::Cleared,
        Answer::Still,
        Answer::Keeping(page().rows.remove(0).keeping),
    ];
    answers.extend(outcomes().into_iter().map(Answer::Received));
    answers.extend(refusals().into_iter().map(Answer::Refused));
    answers
}

fn hi() -> Hi {
    Hi { major: 1, minor: 0, capabilities: vec!["zstd".into()] }
}

fn offer() -> Offer {
    Offer {
        path: name_of("tank/home"),
        tag: name_of("b"),
        guid: Guid(u64::MAX),
        from: Some(Guid(7)),
        raw: true,
        kind: Kind::Filesystem,
        resume: true,
        bytes: 70_000,
    }
}

fn arrived() -> Arrived {
    Arrived { guid: Guid(7), tag: name_of("a"), creation: THEN }
}

fn page() -> ReplicaPage {
    let spans = ["1h", "6w"].map(|span| span.parse().unwrap());
    let keeping = Keeping {
        windows: vec![(Some(spans[1]), spans[0]), (None, spans[1])],
        at_least: 2,
        zone: "Europe/Vienna".into(),
        prefix: "zam".into(),
        adopt: vec!["daily-*".into()],
    };
    let partial = Partial { to: Guid(8), from: Some(Guid(7)), object: 300, offset: 70_000, bytes: 1 << 40, raw: true };
    let full = Partial { from: None, raw: false, ..partial.clone() };
    let row = ReplicaRow {
        path: name_of("tank/home"),
        guid: Guid(5),
        kind: Kind::Filesystem,
        newest: vec![arrived()],
        count: 1,
        partial: Some(partial),
        encrypted: true,
        written: 0,
        keeping,
        retired: false,
    };
    let empty = ReplicaRow {
        kind: Kind::Volume,
        newest: vec![],
        count: 0,
        partial: Some(full),
        keeping: Keeping::default(),
        ..row.clone()
    };
    let bare = ReplicaRow { partial: None, retired: true, ..empty.clone() };
    ReplicaPage { rows: vec![row, empty, bare], next: Some(name_of("tank/home")) }
}

pub fn watch_requests() -> Vec<WatchRequest> {
    use WatchRequest as Q;
    vec![
        Q::Hello {},
        Q::Status { after: None },
        Q::Status { after: Some(name_of("tank/home")) },
        Q::Pools {},
        Q::Alarms { skip: 0 },
        Q::Alarms { skip: 300 },
        Q::Acknowledge {},
    ]
}

pub fn watch_answers() -> Vec<WatchResponse> {
    use WatchResponse as A;
    let copy = WatchedCopy {
        id: "0badcafe".into(),
        to: "olympus".into(),
        newest: Some(THEN),
        behind: Some(THEN),
        stale_after: Some(86_400),
    };
    let none = WatchedCopy { newest: None, behind: None, stale_after: None, ..copy.clone() };
    let row = WatchStatus {
        dataset: name_of("tank/home"),
        newest: Some(THEN),
        snapshots: 300,
        stale_after: Some(600),
        copies: vec![copy, none],
    };
    let bare = WatchStatus { newest: None, stale_after: None, copies: vec![], ..row.clone() };
    let alarm = |kind, source| Alarm {
        key: Key::new(kind, "tank", "tank/home"),
        source,
        text: "no good snapshot yet".into(),
        since: THEN,
        raised: Some(THEN),
        told: Some(THEN),
        known: Some(THEN),
    };
    let kinds = [
        Wrong::Down,
        Wrong::Failed,
        Wrong::Restarts,
        Wrong::Config,
        Wrong::Stale,
        Wrong::Behind,
        Wrong::Quiet,
        Wrong::Pool,
        Wrong::Marked,
        Wrong::Unheld,
        Wrong::Stray,
        Wrong::Brake,
        Wrong::Trouble,
        Wrong::Undelivered,
    ];
    let mut alarms: Vec<Alarm> = kinds.into_iter().map(|kind| alarm(kind, Source::Watch)).collect();
    alarms.push(alarm(Wrong::Stale, Source::Pool("tank".into())));
    let new = alarm(Wrong::Down, Source::Daemon("zamd-snap".into()));
    alarms.push(Alarm { raised: None, told: None, known: None, ..new });
    vec![
        A::Hello(hello(Role::Watch)),
        A::Status(Page { rows: vec![row, bare], next: None }),
        A::Pools(pools()),
        A::Alarms(AlarmPage { alarms, more: true }),
        A::Alarms(AlarmPage::default()),
        A::Acknowledge(Ok(3)),
        A::Acknowledge(Err(refusals().remove(0))),
    ]
}

fn outcomes() -> Vec<Outcome> {
    use Failing as F;
    let failings = [F::Cut, F::NoSpace, F::Diverged, F::Partial, F::Stream, F::Busy, F::NotPermitted, F::Other];
    let failed = failings.into_iter().map(|failing| Outcome::Failed(failing, "why".into()));
    std::iter::once(Outcome::Done).chain(failed).collect()
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
        not_permitted(Role::Send, Door::Stream, Need::Peer),
        not_permitted(Role::Recv, Door::Status, Need::Peer),
        not_permitted(Role::Watch, Door::Status, Need::Operator),
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
