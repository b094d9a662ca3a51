//! R-DOOR-5: too much of everything, against a daemon in a process of its own whose memory is watched.

use crate::house::{Raw, Seen, frame, job, odd_job, serve, serves_others, strangers, this_binary};
use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{
    io::AsyncWriteExt,
    process::{Child, Command},
    time::{sleep, timeout},
};
use zam_protocol::{Door, codec::REQUEST_BOUND};
use zam_runtime::doors::Limits;

/// A daemon's status door in another process, that ends with this one's handle.
struct Daemon {
    process: Child,
    socket: PathBuf,
    _folder: tempfile::TempDir,
}

impl Daemon {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("status.sock");
        let process = Command::new(this_binary())
            .args(["--exact", "flood::child_serves", "--ignored", "--nocapture"])
            .env("ZAM_TEST_SOCKET", &socket)
            .env("RUST_BACKTRACE", "0")
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        for _ in 0..500 {
            if socket.exists() {
                break;
            }
            sleep(Duration::from_millis(20)).await;
        }
        serves_others(&socket).await;
        Self { process, socket, _folder: folder }
    }

    /// Its resident memory, in KiB.
    fn memory(&self) -> u64 {
        let pid = self.process.id().unwrap();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// That it still serves others, and takes at most so many MiB more than before.
    async fn is_well(&self, before: u64, more_mib: u64) {
        let grown = self.memory().saturating_sub(before);
        assert!(grown < more_mib * 1024, "{grown} KiB more than before");
        serves_others(&self.socket).await;
    }
}

#[tokio::test]
#[ignore = "the daemon of the tests below, not a test"]
async fn child_serves() {
    let Some(socket) = std::env::var_os("ZAM_TEST_SOCKET") else { return };
    let unready = Path::new(&socket).with_extension("new");
    let listener = tokio::net::UnixListener::bind(&unready).unwrap();
    std::fs::rename(unready, socket).unwrap();
    serve(listener, Door::Status, strangers(), &Seen::default(), &tokio_util::sync::CancellationToken::new()).await;
}

#[tokio::test]
async fn a_thousand_connections_that_never_speak_are_gone_after_a_second() {
    let daemon = Daemon::start().await;
    let before = daemon.memory();
    let mut crowd = Vec::new();
    for _ in 0..1000 {
        // The kernel's queue may be full for a moment.
        match Raw::try_connect(&daemon.socket).await {
            Some(raw) => crowd.push(raw),
            None => sleep(Duration::from_millis(5)).await,
        }
    }
    assert!(crowd.len() > 500, "{}", crowd.len());
    sleep(Duration::from_millis(1500)).await;
    daemon.is_well(before, 8).await;
}

#[tokio::test]
async fn a_hundred_thousand_pings_whose_answers_nobody_reads_take_no_memory() {
    let daemon = Daemon::start().await;
    let before = daemon.memory();
    let mut client = Raw::greet(&daemon.socket).await;
    let ping = |id: u32| frame(&[&[0, 252][..], &id.to_le_bytes(), &[250, 0]].concat());
    let pings: Vec<u8> = (70_000..170_000).flat_map(ping).collect();
    // The daemon reads no further once its answers are stuck, so the client blocks.
    assert!(timeout(Duration::from_secs(3), client.0.write_all(&pings)).await.is_err());
    daemon.is_well(before, 4).await;
    // Who reads in the end gets answers.
    for _ in 0..100 {
        client.frame().await;
    }
}

#[tokio::test]
async fn heavy_answers_that_nobody_reads_are_bounded() {
    let daemon = Daemon::start().await;
    let before = daemon.memory();
    let mut clients = Vec::new();
    let connections = Limits::of(Door::Status).per_uid - 1;
    for _ in 0..connections {
        let mut client = Raw::greet(&daemon.socket).await;
        let asking: Vec<u8> = (0..100).flat_map(|id| job(id, odd_job::HEAVY)).collect();
        let _ = timeout(Duration::from_millis(200), client.0.write_all(&asking)).await;
        clients.push(client);
    }
    sleep(Duration::from_millis(500)).await;
    // Each connection: 8 in flight, of a quarter of a MiB, one of them as bytes on the way out.
    daemon.is_well(before, 64).await;
    drop(clients);
    sleep(Duration::from_millis(300)).await;
    daemon.is_well(before, 64).await;
}

#[tokio::test]
async fn half_frames_of_full_size_are_bounded() {
    let daemon = Daemon::start().await;
    let before = daemon.memory();
    let mut clients = Vec::new();
    for _ in 0..Limits::of(Door::Status).per_uid - 1 {
        let mut client = Raw::greet(&daemon.socket).await;
        let whole = frame(&vec![0; REQUEST_BOUND]);
        client.write(&whole[..whole.len() - 1]).await;
        clients.push(client);
    }
    daemon.is_well(before, 8).await;
}

#[tokio::test]
async fn calls_begun_and_abandoned_leave_nothing_behind() {
    let daemon = Daemon::start().await;
    let before = daemon.memory();
    for _ in 0..500 {
        let mut client = Raw::greet(&daemon.socket).await;
        let calls: Vec<u8> = (0..8).flat_map(|id| job(id, odd_job::ENDLESS)).collect();
        client.write(&calls).await;
        drop(client);
        // So that the daemon, which has no more than 64 places, sees it go.
        sleep(Duration::from_millis(2)).await;
    }
    daemon.is_well(before, 8).await;
}
