use super::super::gather::{Gathered, Said};
use crate::{
    doors::Report,
    failure::{Failure, Kind, Outcome},
    golden,
};
use pretty_assertions::assert_eq;
use std::collections::BTreeMap;
use zam_names::{DatasetName, Kind as Sort, UnixTime};
use zam_policy::notes::PlanId;
use zam_protocol::{
    ConfigState, Hello, PoolStatus, Role, Work, WorkerState,
    prune::{Brake, PruneStatus},
    recv::RecvStatus,
    send::{CopyState, CopyStatus, Progress, SendStatus},
    snap::SnapStatus,
};

const NOW: UnixTime = UnixTime(1_782_864_000);

fn hello(role: Role) -> Hello {
    let config = ConfigState { file: "/etc/zam/zam.toml".into(), loaded: NOW.plus(-60), problem: None };
    Hello { role, build: "0.1.0".into(), minor: 0, pid: 1, started: NOW.plus(-3600), config, problems: vec![] }
}

fn pool(worker: WorkerState) -> PoolStatus {
    let name = "tank".parse().unwrap();
    PoolStatus { name, worker, last_listing: Some(NOW.plus(-5)), last_error: None, last_tick: None }
}

fn by_name<Row>(rows: Vec<Row>, name: impl Fn(&Row) -> &DatasetName) -> BTreeMap<DatasetName, Row> {
    rows.into_iter().map(|row| (name(&row).clone(), row)).collect()
}

fn snap(name: &str) -> SnapStatus {
    SnapStatus {
        dataset: name.parse().unwrap(),
        kind: Some(Sort::Filesystem),
        entry: "tank".into(),
        last: Some(NOW.plus(-180)),
        next: Some(NOW.plus(420)),
        waits: None,
        snapshots: 142,
        protected: 140,
        releasing: 2,
        used: 1 << 40,
        used_by_snapshots: 1_288_490_189,
        paused: false,
        silent: false,
        braked: None,
        problems: vec![],
    }
}

fn prune(name: &str) -> PruneStatus {
    PruneStatus {
        dataset: name.parse().unwrap(),
        held: 2,
        in_grace: 5,
        next: Some(NOW.plus(7200)),
        vetoed: 1,
        braked: None,
        destroyed: 17,
        last: Some(NOW.plus(-300)),
        problems: vec![],
    }
}

/// One of each kind of trouble.
fn troubled() -> Gathered {
    let silent = SnapStatus { silent: true, last: Some(NOW.plus(-90_000)), ..snap("tank/srv") };
    let denied = SnapStatus { problems: vec!["snapshot: permission denied".into()], ..snap("tank/vm") };
    let paused = SnapStatus { paused: true, next: None, ..snap("tank/db") };
    let gone = SnapStatus { kind: None, last: None, next: None, snapshots: 0, protected: 0, ..snap("tank/gone") };
    let snaps = vec![snap("tank/home"), silent, denied, paused, gone, snap("tank/mail")];
    let braked = Some(Brake { plan: PlanId(0xbeef), deaths: 40, of: 50 });
    let prunes = vec![prune("tank/home"), PruneStatus { braked, ..prune("tank/mail") }];
    let mut said = local(snaps, prunes);
    said.send = Some(Ok(Report {
        hello: hello(Role::Send),
        rows: by_name(vec![sent("tank/home", copies()), sent("tank/mail", vec![copy(CopyState::Idle)])], |row| {
            &row.dataset
        }),
        pools: vec![pool(WorkerState::Idle)],
    }));
    Gathered::of(NOW, said, BTreeMap::new(), None)
}

/// One in each state.
fn copies() -> Vec<CopyStatus> {
    let tag = |name: &str| name.parse().unwrap();
    let progress = Progress {
        step: 3,
        of: 17,
        snapshot: tag("zam-20260701T000000Z"),
        bytes: 100 << 20,
        estimated: 400 << 20,
        rate: 10 << 20,
        started: NOW.plus(-60),
    };
    let beyond = vec![tag("mine"), tag("yours")];
    vec![
        copy(CopyState::Running(progress)),
        copy(CopyState::Waiting { why: "usb is not imported".into(), until: None }),
        CopyStatus {
            problems: vec!["olympus: Connection refused".into()],
            ..copy(CopyState::Waiting { why: "the 3rd try failed".into(), until: Some(NOW.plus(240)) })
        },
        CopyStatus {
            problems: vec!["no route to host".into()],
            ..copy(CopyState::Waiting { why: "no route to host".into(), until: Some(NOW.plus(240)) })
        },
        CopyStatus {
            problems: vec!["diverged: it has what we have not".into()],
            ..copy(CopyState::Diverged { common: Some(tag("zam-20260601T000000Z")), beyond })
        },
        copy(CopyState::Diverged { common: None, beyond: vec![] }),
    ]
}

fn copy(state: CopyState) -> CopyStatus {
    let idle = state == CopyState::Idle;
    CopyStatus {
        id: "0badcafe".into(),
        host: Some("olympus".into()),
        path: "tank/home".into(),
        last: Some(NOW.plus(-7200)),
        newest: Some("zam-20260601T000000Z".parse().unwrap()),
        lag_snapshots: if idle { 0 } else { 15 },
        lag_bytes: Some(400 << 20),
        state,
        problems: vec![],
    }
}

fn sent(name: &str, destinations: Vec<CopyStatus>) -> SendStatus {
    SendStatus { dataset: name.parse().unwrap(), destinations, problems: vec![] }
}

/// What the two keys say.
fn local(snaps: Vec<SnapStatus>, prunes: Vec<PruneStatus>) -> Said {
    let stuck = WorkerState::Stuck(Work { what: "listing".into(), since: NOW.plus(-9000) });
    let rows = by_name(snaps, |row| &row.dataset);
    let snap = Report { hello: hello(Role::Snap), rows, pools: vec![pool(WorkerState::Idle)] };
    let rows = by_name(prunes, |row| &row.dataset);
    let prune = Report { hello: hello(Role::Prune), rows, pools: vec![pool(stuck)] };
    Said { snap: Ok(snap), prune: Ok(prune), send: None, recv: None }
}

#[test]
fn the_worst_comes_first_and_says_what_to_do() {
    let gathered = troubled();
    golden::compare(&gathered.text(None), "tests/golden/status.txt");
    golden::compare(&gathered.text(Some(100)), "tests/golden/status-100.txt");
    assert_eq!(gathered.outcome(), Outcome::Attention);
}

#[test]
fn programs_get_the_same_in_names_that_stay() {
    let json = serde_json::to_string_pretty(&troubled().json()).unwrap() + "\n";
    golden::compare(&json, "tests/golden/status.json");
}

#[test]
fn a_daemon_that_does_not_answer_is_said_and_the_other_is_shown() {
    let down = Failure::new(Kind::Unreachable, "zamd-prune does not answer");
    let report = Report {
        hello: hello(Role::Snap),
        rows: by_name(vec![snap("tank/home"), snap("tank/home/ann"), snap("tank/homes")], |row| &row.dataset),
        pools: vec![],
    };
    let top = "tank/home".parse().unwrap();
    let gathered = Gathered::of(
        NOW,
        Said { snap: Ok(report), prune: Err(down), send: None, recv: None },
        BTreeMap::new(),
        Some(&top),
    );
    assert_eq!(
        gathered.text(None),
        "DATASET          LAST   NEXT  SNAPS   USED  PROTECTED  WHY\n\
         tank/home      3m ago  in 7m    142  1.20G    140/142  ok; 2 to release\n\
         tank/home/ann  3m ago  in 7m    142  1.20G    140/142  ok; 2 to release\n\
         \n\
         zamd-prune does not answer\n"
    );
    assert_eq!(gathered.outcome(), Outcome::Unreachable);
}

#[test]
fn all_is_well() {
    let report =
        Report { hello: hello(Role::Snap), rows: by_name(vec![snap("tank/home")], |row| &row.dataset), pools: vec![] };
    let other = Report {
        hello: hello(Role::Prune),
        rows: by_name(vec![prune("tank/home")], |row| &row.dataset),
        pools: vec![],
    };
    let gathered =
        Gathered::of(NOW, Said { snap: Ok(report), prune: Ok(other), send: None, recv: None }, BTreeMap::new(), None);
    assert_eq!(gathered.outcome(), Outcome::Fine);
    assert!(gathered.text(None).ends_with("ok; 2 to release; 5 in grace; 1 expired, kept\n"));
}

#[test]
fn what_is_wrong_on_a_replica_is_said_of_its_dataset() {
    let arrived = RecvStatus {
        dataset: "tank/home".parse().unwrap(),
        client: Some("laptop".into()),
        last: None,
        newest: None,
        snapshots: 142,
        held: 142,
        receiving: None,
        partial: false,
        retired: false,
        problems: vec!["a snapshot is dated in the future".into()],
    };
    let rows = by_name(vec![arrived], |row| &row.dataset);
    let report = Report { hello: hello(Role::Recv), rows, pools: vec![] };
    let said = Said { recv: Some(Ok(report)), ..local(vec![snap("tank/home")], vec![]) };
    let gathered = Gathered::of(NOW, said, BTreeMap::new(), None);
    assert_eq!(gathered.lines[0].why, ["a snapshot is dated in the future"]);
    assert_eq!(gathered.outcome(), Outcome::Attention);
}

#[test]
fn who_copies_is_missed_only_where_there_is_something_to_copy() {
    let down = || Failure::new(Kind::Unreachable, "zamd-send does not answer");
    let mut said = local(vec![snap("tank/home")], vec![]);
    said.prune = said.prune.map(|report| Report { pools: vec![], ..report });
    assert_eq!(Gathered::of(NOW, said, BTreeMap::new(), None).outcome(), Outcome::Fine);
    let said = Said { send: Some(Err(down())), ..local(vec![snap("tank/home")], vec![]) };
    let gathered = Gathered::of(NOW, said, BTreeMap::new(), None);
    assert_eq!(gathered.outcome(), Outcome::Unreachable);
    assert!(gathered.text(None).contains("zamd-send does not answer"));
}
