//! Calls that end in another way than with an answer.

use crate::house::{Raw, hello, job, odd_job, open, serves_others, strangers};
use pretty_assertions::assert_eq;
use std::time::{Duration, Instant};
use tokio::time::sleep;
use zam_protocol::{
    Door, JobState,
    client::{CallError, ConnectError, act, call, connect_prune, connect_snap, soon},
};

#[tokio::test]
async fn a_client_that_goes_away_takes_its_call_with_it_and_nothing_else() {
    open(Door::Status, strangers(), async |socket, seen, _| {
        let snap = connect_snap(socket).await.unwrap();
        let abandoned = tokio::time::timeout(Duration::from_millis(50), snap.job(soon(), odd_job::LONG)).await;
        assert!(abandoned.is_err());
        drop(snap);
        serves_others(socket).await;
        sleep(Duration::from_millis(500)).await;
        // Begun and dropped on the way: hence whatever acts is a job of its own.
        assert_eq!(seen.long_calls.get(), (1, 0));
        // The positive control: who stays gets the answer.
        let snap = connect_snap(socket).await.unwrap();
        assert_eq!(act(snap.job(soon(), odd_job::LONG)).await.unwrap(), JobState::Waiting);
        assert_eq!(seen.long_calls.get(), (2, 1));
    })
    .await;
}

#[tokio::test]
async fn a_client_that_dies_takes_its_calls_and_its_place_with_it() {
    open(Door::Status, strangers(), async |socket, seen, _| {
        for _ in 0..200 {
            let mut client = Raw::greet(socket).await;
            client.write(&job(1, odd_job::ENDLESS)).await;
            client.write(&hello(2, &[252, 255, 255, 255, 255])).await;
            assert_eq!(client.frame().await[0], 2);
            drop(client);
            sleep(Duration::from_millis(2)).await;
        }
        assert_eq!(seen.long_calls.get(), (200, 0));
        serves_others(socket).await;
    })
    .await;
}

#[tokio::test]
async fn a_bug_in_one_call_fails_that_call_at_once() {
    open(Door::Status, strangers(), async |socket, _, _| {
        let snap = connect_snap(socket).await.unwrap();
        let other = snap.job(soon(), odd_job::LONG);
        let (bug, other) = tokio::join!(act(snap.job(soon(), odd_job::PANIC)), act(other));
        assert!(matches!(&bug, Err(CallError::Failed(why)) if why.contains("bug")), "{bug:?}");
        assert_eq!(other.unwrap(), JobState::Waiting);
        assert_eq!(call(snap.hello(soon())).await.unwrap().build, "dummy");
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_is_too_long_fails_its_call_alone() {
    open(Door::Status, strangers(), async |socket, _, _| {
        let snap = connect_snap(socket).await.unwrap();
        let fat = act(snap.job(soon(), odd_job::FAT)).await;
        assert!(matches!(&fat, Err(CallError::Failed(why)) if why.contains("bound")), "{fat:?}");
        let heavy = act(snap.job(soon(), odd_job::HEAVY)).await.unwrap();
        assert!(matches!(heavy, JobState::Done { lines } if lines[0].len() == 250_000));
    })
    .await;
}

#[tokio::test]
async fn a_stop_lets_calls_finish_and_nobody_in() {
    let began = Instant::now();
    open(Door::Status, strangers(), async |socket, seen, stop| {
        let snap = connect_snap(socket).await.unwrap();
        let stopping = async {
            sleep(Duration::from_millis(100)).await;
            stop.cancel();
            sleep(Duration::from_millis(50)).await;
            let error = connect_snap(socket).await.unwrap_err();
            assert!(matches!(error, ConnectError::NotRunning { .. }), "{error}");
        };
        let (answer, ()) = tokio::join!(act(snap.job(soon(), odd_job::LONG)), stopping);
        assert_eq!(answer.unwrap(), JobState::Waiting);
        assert_eq!(seen.long_calls.get(), (1, 1));
    })
    .await;
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever() {
    let began = Instant::now();
    open(Door::Status, strangers(), async |socket, _, stop| {
        let snap = connect_snap(socket).await.unwrap();
        let stopping = async {
            sleep(Duration::from_millis(100)).await;
            stop.cancel();
        };
        let (answer, ()) = tokio::join!(act(snap.job(soon(), odd_job::ENDLESS)), stopping);
        assert!(matches!(answer, Err(CallError::Lost(_))), "{answer:?}");
    })
    .await;
    assert!(began.elapsed() < Duration::from_secs(8));
}

#[tokio::test]
async fn the_wrong_daemon_at_a_door_is_named() {
    open(Door::Status, strangers(), async |socket, _, _| {
        let error = connect_prune(socket).await.unwrap_err();
        let ConnectError::Greeting { source, .. } = &error else { panic!("{error}") };
        assert_eq!(source.to_string(), "zamd-snap serves this door, not zamd-prune");
    })
    .await;
}
