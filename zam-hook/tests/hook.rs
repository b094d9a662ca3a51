//! zam-hook with programs of all manners, and with whoever asks dying in between.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::PathBuf,
    process::{Child, Command},
    thread::sleep,
    time::{Duration, Instant},
};
use tempfile::TempDir;

struct Hook {
    folder: TempDir,
    server: Child,
}

impl Hook {
    /// A server for this script, which is asked by this user.
    fn new(script: &str, peer: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        let log = folder.path().join("log");
        // By another process: what this one had open for writing, what other tests start would have open for a moment too.
        let text = folder.path().join("text");
        fs::write(&text, format!("#!/bin/sh\nlog={}\n{script}", log.display())).unwrap();
        assert!(Command::new("install").args(["-m", "755"]).arg(&text).arg(&program).status().unwrap().success());
        let socket = folder.path().join("sock");
        let mut server = Command::new(env!("CARGO_BIN_EXE_zam-hook"));
        let server = server.args(["--peer", peer, "--listen"]).arg(&socket).arg(&program).spawn().unwrap();
        let hook = Self { folder, server };
        wait_for("its socket", || UnixStream::connect(&socket).is_ok());
        hook
    }

    fn mine(script: &str) -> Self {
        Self::new(script, &nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().unwrap().name)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn connect(&self) -> BufReader<UnixStream> {
        BufReader::new(UnixStream::connect(self.path("sock")).unwrap())
    }

    fn before(&self, seconds: u32) -> (BufReader<UnixStream>, String) {
        let mut guest = self.connect();
        write!(guest.get_mut(), "before\n{seconds}\nzam-1\ntank/a b\ntank/c\n\n").unwrap();
        let said = answer(&mut guest);
        (guest, said)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        // It serves until it is killed.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn answer(guest: &mut BufReader<UnixStream>) -> String {
    let mut line = String::new();
    guest.read_line(&mut line).unwrap();
    line
}

fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < until, "waited in vain for {what}");
        sleep(Duration::from_millis(20));
    }
}

#[test]
fn it_runs_before_and_after_and_says_what_for() {
    let hook = Hook::mine("echo \"$1 $ZAM_SNAPSHOT\" $(echo \"$ZAM_DATASETS\" | wc -l) >>$log");
    let (mut guest, said) = hook.before(30);
    assert_eq!((said.as_str(), hook.log().as_str()), ("ok\n", "before zam-1 2\n"));
    guest.get_mut().write_all(b"after\n").unwrap();
    assert_eq!((answer(&mut guest).as_str(), hook.log().as_str()), ("ok\n", "before zam-1 2\nafter zam-1 2\n"));
    assert_eq!(answer(&mut guest), "", "it is over");
}

#[test]
fn what_fails_is_said_and_after_runs_all_the_same_and_once() {
    let hook = Hook::mine("echo $1 >>$log; exit 3");
    let (mut guest, said) = hook.before(30);
    assert_eq!(said, "failed exit status: 3\n");
    guest.get_mut().write_all(b"after\nafter\n").unwrap();
    assert_eq!(answer(&mut guest), "failed exit status: 3\n");
    assert_eq!((answer(&mut guest).as_str(), hook.log().as_str()), ("", "before\nafter\n"));
}

#[test]
fn what_hangs_is_killed_with_all_that_it_started() {
    let hook = Hook::mine(
        "echo $1 >>$log; [ $1 = after ] || { while [ -e $0 ]; do sleep 0.1; done & echo $! >$log.pid; wait; }",
    );
    let (guest, said) = hook.before(1);
    assert_eq!(said, "failed it did not end within 1 s and was killed\n");
    drop(guest);
    wait_for("after", || hook.log() == "before\nafter\n");
    wait_for("the end of what it started", || !runs(&hook));
}

#[test]
fn who_dies_is_followed_by_after_and_what_kept_a_lock_lives_until_then() {
    let script = "[ $1 = before ] && { while [ -e $0 ]; do sleep 0.1; done & echo $! >$log.pid; }; \
                  kill -0 $(cat $log.pid) && echo $1 >>$log";
    let hook = Hook::mine(script);
    let (guest, said) = hook.before(30);
    assert!(said == "ok\n" && runs(&hook));
    drop(guest);
    // It still ran when `after` did.
    wait_for("after", || hook.log() == "before\nafter\n");
    wait_for("the end of what kept the lock", || !runs(&hook));
    // The next one is served.
    assert_eq!(hook.before(30).1, "ok\n");
}

/// Whether what the script left still runs: what is dead and not yet fetched does not.
fn runs(hook: &Hook) -> bool {
    let pid = fs::read_to_string(hook.path("log.pid")).unwrap_or_default();
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
}

/// R-HOOK-1 R-HOOK-2
#[test]
fn strangers_and_what_is_no_request_start_nothing() {
    let hook = Hook::new("echo $1 >>$log", "nobody");
    let mut guest = hook.connect();
    assert_eq!(answer(&mut guest), "", "nobody alone may");
    let hook = Hook::mine("echo $1 >>$log");
    for bad in [
        "after\n",
        "before\nsoon\nzam-1\n\n",
        "before\n1\nzam@1\n\n",
        "before\n1\nzam-1\ntank/../x\n\n",
        "before\n1\nzam-1\ntank\n",
    ] {
        let mut guest = hook.connect();
        guest.get_mut().write_all(bad.as_bytes()).unwrap();
        guest.get_mut().shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!((answer(&mut guest).as_str(), hook.log().as_str()), ("", ""), "{bad:?}");
    }
    assert_eq!((hook.before(30).1.as_str(), hook.log().as_str()), ("ok\n", "before\n"));
}

#[test]
fn after_runs_where_the_program_itself_was_killed() {
    let hook = Hook::mine("echo $1 >>$log");
    let died = |code: &str, status: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zam-hook"));
        let command = command.env("EXIT_CODE", code).env("EXIT_STATUS", status);
        assert!(command.arg("--died").arg(hook.path("program")).status().unwrap().success());
        hook.log()
    };
    assert_eq!(died("exited", "0"), "");
    assert_eq!(died("killed", "KILL"), "after\n");
}
