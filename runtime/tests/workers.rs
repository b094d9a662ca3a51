//! The worker of a pool, with a real process on the other side.
#![allow(clippy::unwrap_used)]

use std::time::Duration;
use zam_runtime::worker::{Worker, WorkerError};

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(200);

fn toy() -> Worker<String, String> {
    let toy = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("examples/toy-worker");
    Worker::with_command("tank".parse().unwrap(), toy.into(), vec!["worker".into(), "tank".into()])
}

async fn ask(worker: &mut Worker<String, String>, request: &str) -> String {
    worker.ask(&request.to_owned(), LONG).await.unwrap()
}

fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

#[tokio::test(flavor = "current_thread")]
async fn one_process_answers_all_questions() {
    let mut worker = toy();
    let pid = ask(&mut worker, "pid").await;
    assert_eq!(ask(&mut worker, "tank").await, "tanktank");
    let long = "x".repeat(3 << 20);
    assert_eq!(ask(&mut worker, &long).await.len(), 6 << 20);
    assert_eq!(ask(&mut worker, "pid").await, pid);
    worker.close(LONG).await;
    assert!(!runs(&pid));
}

#[tokio::test(flavor = "current_thread")]
async fn a_worker_that_does_not_answer_is_killed_with_all_it_started() {
    let mut worker = toy();
    let pid = ask(&mut worker, "pid").await;
    let child = ask(&mut worker, "child").await;
    assert!(runs(&child));
    let error = worker.ask(&"sleep".to_owned(), SHORT).await.unwrap_err();
    assert!(matches!(error, WorkerError::TimedOut { .. }), "{error}");
    assert!(!runs(&pid) && !runs(&child));
    assert_eq!(worker.hanging(), 0);
    assert_ne!(ask(&mut worker, "pid").await, pid);
}

#[tokio::test(flavor = "current_thread")]
async fn a_worker_that_dies_is_told_and_replaced() {
    let mut worker = toy();
    let error = worker.ask(&"die".to_owned(), LONG).await.unwrap_err();
    assert_eq!(error.to_string(), "the worker for pool tank died (exit status: 7)");
    assert_eq!(ask(&mut worker, "a").await, "aa");
}

#[tokio::test(flavor = "current_thread")]
async fn a_worker_that_died_between_questions_is_replaced_unseen() {
    let mut worker = toy();
    let pid = ask(&mut worker, "pid").await;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.parse().unwrap()), nix::sys::signal::Signal::SIGKILL)
        .unwrap();
    while runs(&pid) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_ne!(ask(&mut worker, "pid").await, pid);
}

#[tokio::test(flavor = "current_thread")]
async fn an_answer_whose_asker_went_away_is_nobodys() {
    let mut worker = toy();
    let pid = ask(&mut worker, "pid").await;
    let gone = tokio::time::timeout(SHORT, worker.ask(&"sleep".to_owned(), LONG)).await;
    assert!(gone.is_err());
    assert_eq!(ask(&mut worker, "b").await, "bb");
    assert!(!runs(&pid));
}

#[tokio::test(flavor = "current_thread")]
async fn something_that_is_no_worker_is_an_error() {
    let mut worker: Worker<String, String> = Worker::with_command(
        "tank".parse().unwrap(),
        "sh".into(),
        vec!["-c".into(), "head -c 5 <&0 >/dev/null; echo 'no frame at all' >&0".into()],
    );
    let error = worker.ask(&"x".to_owned(), LONG).await.unwrap_err();
    assert!(matches!(error, WorkerError::Garbled { .. }), "{error}");
}
