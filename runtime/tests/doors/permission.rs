//! R-DOOR-6: who may ask what: every request, at every door, of every kind of peer; each refusal beside the same
//! request that goes through.

use crate::house::{Seen, open, serve, strangers, this_binary};
use nix::unistd::geteuid;
use pretty_assertions::assert_eq;
use std::{collections::BTreeMap, path::Path};
use tarpc::client::{self, RpcError};
use tokio_util::codec::Framed;
use zam_names::{Guid, Target};
use zam_protocol::{
    Ask, Door, EndOrder, JobId, Need, Reach, Refused, Role,
    codec::ClientCodec,
    preface,
    snap::{KeepOrder, SnapRequest, SnapResponse, SnapshotOrder, Unhold, UnholdOrder},
};
use zam_runtime::doors::People;

/// A user that is not this one; only root can become it.
const OTHER: u32 = 54_321;

#[tokio::test]
async fn the_status_door_refuses_all_that_acts_from_whomever() {
    let me = geteuid().as_raw();
    for people in [strangers(), People::of(me, [], [me]), People::of(me, [me], [])] {
        open(Door::Status, people, async |socket, seen, _| {
            let outcomes = ask_everything(socket).await;
            for (method, need) in needs() {
                assert_eq!(outcomes[&method] == "refused", need != Need::Anybody, "{method}");
            }
            assert!(seen.acted.borrow().is_empty());
            let refused: Vec<_> = seen.refused.borrow().iter().map(|refusal| refusal.answer.clone()).collect();
            assert_eq!(refused.len(), needs().values().filter(|need| **need != Need::Anybody).count());
            assert!(refused.iter().all(|answer| matches!(answer, Refused::NotPermitted { uid, .. } if *uid == me)));
        })
        .await;
    }
}

#[tokio::test]
async fn the_control_door_lets_the_daemons_own_user_act() {
    let me = geteuid().as_raw();
    open(Door::Control, People::of(me, [me], []), async |socket, seen, _| {
        let outcomes = ask_everything(socket).await;
        for (method, need) in needs() {
            // Root may all; another own user all but what root alone may.
            let may = need != Need::Root || me == 0;
            assert_eq!(outcomes[&method], if may { "ok" } else { "refused" }, "{method}");
        }
        assert!(seen.acted.borrow().contains(&("snapshot", me)));
    })
    .await;
}

#[tokio::test]
async fn the_control_door_tells_people_from_roles() {
    let me = geteuid().as_raw();
    let peer = if me == 0 { OTHER } else { me };
    // A person whom the door's mode let in.
    control_door_for(peer, strangers(), |need| need != Need::Root).await;
    // The user of a role, that somebody put into the group.
    control_door_for(peer, People::of(u32::MAX, [peer], [peer]), |need| need == Need::Anybody).await;
}

async fn control_door_for(peer: u32, people: People, may: impl Fn(Need) -> bool) {
    open(Door::Control, people, async |socket, seen, _| {
        let outcomes = if peer == geteuid().as_raw() {
            ask_everything(socket).await
        } else {
            ask_everything_as(peer, socket).await
        };
        for (method, need) in needs() {
            assert_eq!(outcomes[&method], if may(need) { "ok" } else { "refused" }, "{method} of {peer}");
        }
        assert!(seen.acted.borrow().iter().all(|(_, uid)| *uid == peer));
        assert!(seen.refused.borrow().iter().all(|refusal| refusal.peer.uid == peer));
    })
    .await;
}

#[tokio::test]
async fn refusals_are_told_but_do_not_fill_the_journal() {
    open(Door::Status, strangers(), async |socket, seen, _| {
        for _ in 0..10 {
            ask_everything(socket).await;
        }
        assert_eq!(seen.refused.borrow().len(), 10);
    })
    .await;
}

fn needs() -> BTreeMap<String, Need> {
    let needs: BTreeMap<_, _> =
        requests().iter().map(|request| (request.method().to_owned(), request.need())).collect();
    let all: std::collections::BTreeSet<_> = SnapRequest::METHODS.iter().map(ToString::to_string).collect();
    assert!(needs.keys().eq(all.iter()), "a request of each method, please");
    needs
}

fn requests() -> Vec<SnapRequest> {
    use SnapRequest as Q;
    let dataset = || "tank/a".parse().unwrap();
    let target = || Target { name: "tank/a@x".parse().unwrap(), guid: Guid(1) };
    vec![
        Q::Hello {},
        Q::Status { after: None },
        Q::Pools {},
        Q::Job { id: JobId(9) },
        Q::Snapshot { order: SnapshotOrder { dataset: dataset(), reach: Reach::Only, name: None, keep_for: None } },
        Q::Keep { order: KeepOrder { snapshot: target().name, keep_for: None, why: None } },
        Q::Unkeep { snapshot: target().name },
        Q::Expire { snapshot: target() },
        Q::SetEnd { order: EndOrder { snapshot: target(), end: None } },
        Q::Unhold { order: UnholdOrder { dataset: dataset(), reach: Reach::Only, way: Unhold::Pause } },
        Q::Approve { plan: "00000001".parse().unwrap() },
        Q::Notes { dataset: dataset() },
        Q::Release { dataset: None },
    ]
}

/// Sends every request there is; says of each method whether it came through.
async fn ask_everything(socket: &Path) -> BTreeMap<String, &'static str> {
    let mut stream = tokio::net::UnixStream::connect(socket).await.unwrap();
    preface::exchange(&mut stream, Role::Snap, preface::PATIENCE).await.unwrap();
    let transport = Framed::new(stream, ClientCodec::<SnapRequest>::default());
    let client::NewClient { client, dispatch } = client::new(client::Config::default(), transport);
    let driving = tokio::spawn(dispatch);
    let mut outcomes = BTreeMap::new();
    for request in requests() {
        let method = request.method().to_owned();
        let answer = client.call(tarpc::context::current(), request).await;
        outcomes.insert(method, outcome(&answer));
    }
    driving.abort();
    outcomes
}

fn outcome(answer: &Result<SnapResponse, RpcError>) -> &'static str {
    use SnapResponse as A;
    match answer {
        Ok(A::Hello(_) | A::Status(_) | A::Pools(_) | A::Notes(_) | A::Job(Ok(_))) => "ok",
        Ok(
            A::Snapshot(acted)
            | A::Keep(acted)
            | A::Unkeep(acted)
            | A::Expire(acted)
            | A::SetEnd(acted)
            | A::Unhold(acted)
            | A::Approve(acted)
            | A::Release(acted),
        ) => match acted {
            Ok(_) => "ok",
            Err(Refused::NotPermitted { .. }) => "refused",
            Err(other) => panic!("{other}"),
        },
        other => panic!("{other:?}"),
    }
}

/// The same, by a process of another user.
async fn ask_everything_as(uid: u32, socket: &Path) -> BTreeMap<String, &'static str> {
    // Where that user can read it: a build folder may be anywhere.
    let program = socket.with_file_name("client");
    // By another process: what this one had open for writing, what other tests start would have open for a moment too.
    let copied = std::process::Command::new("install").args(["-m", "755"]).arg(this_binary()).arg(&program).status();
    assert!(copied.unwrap().success());
    let child = tokio::process::Command::new(&program)
        .args(["--exact", "permission::child_asks_everything", "--ignored", "--nocapture"])
        .env("ZAM_TEST_SOCKET", socket)
        .uid(uid)
        .gid(uid)
        .output();
    let output = child.await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let outcome = |line: &str| {
        let (method, outcome) = line.strip_prefix("asked ")?.split_once(' ')?;
        Some((method.to_owned(), if outcome == "ok" { "ok" } else { "refused" }))
    };
    text.lines().filter_map(outcome).collect()
}

#[tokio::test]
#[ignore = "the other process of the tests above, not a test"]
async fn child_asks_everything() {
    let Some(socket) = std::env::var_os("ZAM_TEST_SOCKET") else { return };
    println!();
    for (method, outcome) in ask_everything(Path::new(&socket)).await {
        println!("asked {method} {outcome}");
    }
}

/// Two doors of one daemon beside each other, as a daemon has them.
#[tokio::test]
async fn two_doors_serve_beside_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let me = geteuid().as_raw();
    let (seen, stop) = (Seen::default(), tokio_util::sync::CancellationToken::new());
    let bind = |door: Door| tokio::net::UnixListener::bind(folder.path().join(door.file())).unwrap();
    let status = serve(bind(Door::Status), Door::Status, strangers(), &seen, &stop);
    let control = serve(bind(Door::Control), Door::Control, People::of(me, [], []), &seen, &stop);
    let visiting = async {
        assert_eq!(ask_everything(&folder.path().join("status.sock")).await["keep"], "refused");
        assert_eq!(ask_everything(&folder.path().join("control.sock")).await["keep"], "ok");
        stop.cancel();
    };
    tokio::join!(status, control, visiting);
}
