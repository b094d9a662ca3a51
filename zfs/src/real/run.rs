//! Runs a command within its limits.

use super::args::{CommandLine, Program};
use crate::door::Error;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Commands of ZFS that this process has started.
static STARTED: AtomicU32 = AtomicU32::new(0);

/// How many commands of ZFS this process has started in its life. A tick must not need more for more datasets.
#[must_use]
pub fn processes_started() -> u32 {
    STARTED.load(Ordering::Relaxed)
}

/// Where the commands are looked for: `PATH` has no say.
const FOLDERS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/usr/local/sbin"];

/// What a command may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From its start to its end.
    pub time: Duration,
    /// Bytes on each of standard output and standard error.
    pub output: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { time: Duration::from_secs(600), output: 1 << 30 }
    }
}

/// What a command gave.
pub(super) struct Output {
    pub(super) stdout: String,
    pub(super) stderr: String,
    pub(super) status: ExitStatus,
}

/// Starts `zfs` and `zpool` in an empty environment.
#[derive(Clone, Debug)]
pub(super) struct Runner {
    zfs: PathBuf,
    zpool: PathBuf,
    limits: Limits,
}

impl Runner {
    pub(super) fn new(limits: Limits) -> Self {
        Self { zfs: found(Program::Zfs), zpool: found(Program::Zpool), limits }
    }

    #[cfg(test)]
    pub(super) fn with(zfs: &Path, limits: Limits) -> Self {
        Self { zfs: zfs.to_owned(), zpool: zfs.to_owned(), limits }
    }

    /// Runs it to its end, whatever that is.
    pub(super) fn run(&self, line: &CommandLine) -> Result<Output, Error> {
        let failed = |source| Error::Run { command: line.to_string(), source };
        let started = Instant::now();
        let (stdout, stderr, status) = self.try_run(line).map_err(failed)?;
        tracing::debug!(command = %line, %status, milliseconds = started.elapsed().as_millis(), "ran a command");
        let stdout = String::from_utf8(stdout).map_err(|_| failed(io::Error::other("its output is not UTF-8")))?;
        Ok(Output { stdout, stderr: String::from_utf8_lossy(&stderr).into_owned(), status })
    }

    fn try_run(&self, line: &CommandLine) -> io::Result<(Vec<u8>, Vec<u8>, ExitStatus)> {
        let path = match line.program {
            Program::Zfs => &self.zfs,
            Program::Zpool => &self.zpool,
        };
        let until = Instant::now() + self.limits.time;
        STARTED.fetch_add(1, Ordering::Relaxed);
        let mut child = Command::new(path)
            .args(&line.arguments)
            .env_clear()
            .env("LC_ALL", "C")
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
        let pipes = [child.stdout.take().map(OwnedFd::from), child.stderr.take().map(OwnedFd::from)];
        let finished = read_all(pipes, self.limits.output, until).and_then(|read| Ok((read, wait(&mut child, until)?)));
        match finished {
            Ok(([stdout, stderr], status)) => Ok((stdout, stderr, status)),
            Err(error) => {
                abandon(child);
                Err(error)
            }
        }
    }
}

/// The command's absolute path; the first candidate if it is nowhere, so that the error names a path.
fn found(program: Program) -> PathBuf {
    let candidates = FOLDERS.map(|folder| Path::new(folder).join(program.name()));
    candidates.iter().find(|path| path.is_file()).unwrap_or(&candidates[0]).clone()
}

/// Reads both pipes side by side until both are closed.
fn read_all(pipes: [Option<OwnedFd>; 2], limit: usize, until: Instant) -> io::Result<[Vec<u8>; 2]> {
    let mut pipes = pipes.map(|pipe| pipe.map(File::from));
    let mut read = [Vec::new(), Vec::new()];
    let mut piece = vec![0; 64 << 10];
    while pipes.iter().any(Option::is_some) {
        for at in readable(&pipes, until)? {
            let Some(pipe) = &mut pipes[at] else { continue };
            match pipe.read(&mut piece) {
                Ok(0) => pipes[at] = None,
                Ok(count) if read[at].len() + count > limit => {
                    return Err(io::Error::other(format!("it wrote more than {limit} bytes")));
                }
                Ok(count) => read[at].extend_from_slice(&piece[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(read)
}

/// Which of the open pipes have something to read, or have been closed at the other end.
fn readable(pipes: &[Option<File>; 2], until: Instant) -> io::Result<Vec<usize>> {
    let open: Vec<(usize, &File)> =
        pipes.iter().enumerate().filter_map(|(at, pipe)| Some((at, pipe.as_ref()?))).collect();
    let mut asked: Vec<PollFd<'_>> =
        open.iter().map(|(_, pipe)| PollFd::new(pipe.as_fd(), PollFlags::POLLIN)).collect();
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(too_long());
    }
    // Rounded up, so that the last piece of a millisecond does not become a busy loop.
    let left = PollTimeout::try_from(left.as_millis().saturating_add(1)).unwrap_or(PollTimeout::MAX);
    match poll(&mut asked, left) {
        Ok(_) | Err(nix::errno::Errno::EINTR) => {}
        Err(errno) => return Err(errno.into()),
    }
    let ready = open.iter().zip(&asked).filter(|(_, asked)| asked.any().unwrap_or(false));
    Ok(ready.map(|((at, _), _)| *at).collect())
}

/// Waits for a child that has closed its output, which ends at once if it is well.
fn wait(child: &mut Child, until: Instant) -> io::Result<ExitStatus> {
    let mut pause = Duration::from_micros(100);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() >= until {
            return Err(too_long());
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "it took longer than its time limit and was killed")
}

/// Kills it and lets a thread wait for its end: a process that hangs in the kernel, on a suspended pool, does not die now.
fn abandon(mut child: Child) {
    // It may have ended by itself meanwhile; there is nothing to do about any other failure.
    let _ = child.kill();
    std::thread::spawn(move || child.wait());
}

#[cfg(test)]
mod tests {
    use super::super::args;
    use super::*;

    fn script(text: &str, limits: Limits) -> (tempfile::TempDir, Runner) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("zfs");
        let plain = folder.path().join("text");
        std::fs::write(&plain, format!("#!/bin/sh\n{text}\n")).unwrap();
        // By another process: what a neighbouring test starts could have it open for writing, and then it is busy.
        let put = Command::new("install").args(["-m", "755"]).arg(&plain).arg(&path).status();
        assert!(put.unwrap().success());
        let runner = Runner::with(&path, limits);
        (folder, runner)
    }

    #[test]
    fn both_outputs_and_the_status_arrive_from_an_empty_environment() {
        let text = "/usr/bin/env | /usr/bin/grep -v -e ^_= -e ^PWD= -e ^SHLVL= -e ^OLDPWD=; echo \"$*\" >&2; exit 3";
        let (_folder, runner) = script(text, Limits::default());
        let output = runner.run(&args::pools()).unwrap();
        assert_eq!(output.stdout, "LC_ALL=C\n");
        assert_eq!(output.stderr, "list -H -p -o name,health,free,capacity\n");
        assert_eq!(output.status.code(), Some(3));
    }

    #[test]
    fn a_hanging_command_is_killed() {
        let limits = Limits { time: Duration::from_millis(200), ..Limits::default() };
        for text in ["exec sleep 60", "exec >&- 2>&-; exec sleep 60"] {
            let (_folder, runner) = script(text, limits);
            let started = Instant::now();
            let Err(Error::Run { source, .. }) = runner.run(&args::pools()) else { panic!("it ended well") };
            assert_eq!(source.kind(), io::ErrorKind::TimedOut);
            assert!(started.elapsed() < Duration::from_secs(20));
        }
    }

    #[test]
    fn a_flood_is_cut_off() {
        let (_folder, runner) = script("exec /usr/bin/yes", Limits { output: 1 << 20, ..Limits::default() });
        let Err(Error::Run { source, .. }) = runner.run(&args::pools()) else { panic!("it ended well") };
        assert_eq!(source.to_string(), "it wrote more than 1048576 bytes");
    }

    #[test]
    fn a_missing_command_is_named() {
        let runner = Runner::with(Path::new("/nonexistent/zfs"), Limits::default());
        let Err(Error::Run { command, source }) = runner.run(&args::pools()) else { panic!("it ran") };
        assert!(command.starts_with("zpool list") && source.to_string().starts_with("/nonexistent/zfs: "));
    }
}
