//! zam-hook: runs an admin's program before and after a snapshot. zamd-snap asks for it at a socket, and can start nothing
//! itself; systemd starts this, as the user that the admin chose. What was begun ends: when zamd-snap is done, dies or
//! says nothing for too long, the program runs once more, with `after`.
#![forbid(unsafe_code)]

use clap::Parser;
use nix::{
    sys::{
        signal::{Signal, killpg},
        socket::{MsgFlags, getsockopt, recv, sockopt::PeerCredentials},
        wait::{Id, WaitPidFlag, WaitStatus, waitid},
    },
    unistd::{Pid, User},
};
use std::{
    io::{BufRead, BufReader, Read, Write},
    os::{
        fd::AsRawFd,
        unix::{
            net::{UnixListener, UnixStream},
            process::CommandExt,
        },
    },
    path::PathBuf,
    process::{Child, Command, ExitCode, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};
use zam_names::{DatasetName, SnapTag};

/// Runs a program before and after a snapshot: what zam-hook@.service starts for zamd-snap
#[derive(Debug, Parser)]
#[command(name = "zam-hook", version)]
struct Args {
    /// Who may ask, beside nobody else
    #[arg(long, value_name = "USER", default_value = "zam-snap")]
    peer: String,
    /// Make this socket and serve one after the other, without systemd
    #[arg(long, value_name = "SOCKET")]
    listen: Option<PathBuf>,
    /// By systemd, when this program is gone: run `after` unless it ended well (`$EXIT_CODE`, `$EXIT_STATUS`)
    #[arg(long, conflicts_with = "listen")]
    died: bool,
    /// The admin's program
    program: PathBuf,
}

/// What zamd-snap asks for.
struct Job {
    timeout: Duration,
    snapshot: SnapTag,
    datasets: Vec<DatasetName>,
}

/// Whatever zamd-snap says: so long at most a program runs, or the snapshot may take.
const LONGEST: Duration = Duration::from_secs(600);
/// How long a request may take to arrive, and how much of it there may be.
const PATIENCE: Duration = Duration::from_secs(10);
const MOST: u64 = 1 << 22;

fn main() -> ExitCode {
    let args = Args::parse();
    let done = if args.died {
        died(&args)
    } else {
        listener(&args).and_then(|(listener, many)| serve(&args, &listener, many))
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("zam-hook: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The socket, and whether more than one is to be served: systemd starts this anew for each.
fn listener(args: &Args) -> Result<(UnixListener, bool), String> {
    if let Some(path) = &args.listen {
        let bound = UnixListener::bind(path).map_err(|error| format!("cannot listen on {}: {error}", path.display()));
        return Ok((bound?, true));
    }
    let given = listenfd::ListenFd::from_env().take_unix_listener(0).map_err(|error| error.to_string())?;
    let none = "systemd gave no socket: start zam-hook@NAME.socket, or say --listen SOCKET";
    Ok((given.ok_or(none)?, false))
}

fn serve(args: &Args, listener: &UnixListener, many: bool) -> Result<(), String> {
    let peer = User::from_name(&args.peer).ok().flatten().ok_or_else(|| format!("there is no user {}", args.peer))?;
    listener.set_nonblocking(false).map_err(|error| error.to_string())?;
    loop {
        let (guest, _) = listener.accept().map_err(|error| format!("nobody can be let in: {error}"))?;
        let uid = getsockopt(&guest, PeerCredentials).map_err(|error| error.to_string())?.uid();
        if uid != peer.uid.as_raw() {
            eprintln!("zam-hook: uid {uid} may not ask, {} alone may", args.peer);
        } else if let Err(error) = session(args, &guest) {
            eprintln!("zam-hook: {error}");
        }
        if !many {
            return Ok(());
        }
    }
}

/// From `before` to `after`. Once `before` has begun, nothing leads past `after`.
fn session(args: &Args, guest: &UnixStream) -> Result<(), String> {
    guest.set_read_timeout(Some(PATIENCE)).map_err(|error| error.to_string())?;
    let mut asked = BufReader::new(guest.take(MOST));
    let job = Job::read(&mut asked)?;
    // Whoever is gone is not told, and the rest is done all the same.
    let tell = |said: Result<(), String>, word: &str| {
        if let Err(why) = &said {
            eprintln!("zam-hook: {word} of {}: {why}", job.snapshot);
        }
        let line = said.map_or_else(|why| format!("failed {}\n", why.replace('\n', " ")), |()| "ok\n".to_owned());
        let mut to = guest;
        let _ = to.write_all(line.as_bytes());
    };
    // Nothing is begun for who has given up while others had their turn.
    if recv(guest.as_raw_fd(), &mut [0], MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT) == Ok(0) {
        return Err(format!("whoever asked for {} is gone", job.snapshot));
    }
    let (before, said) = run(args, "before", Some(&job));
    tell(said, "before");
    let _ = guest.set_read_timeout(Some(LONGEST));
    // A word, of which a byte is enough, or the end.
    let _ = asked.read(&mut [0]);
    let (after, said) = run(args, "after", Some(&job));
    // What `before` left running, to keep a lock. Who hears that all is done may end this program.
    drop((before, after));
    tell(said, "after");
    Ok(())
}

/// The last resort: this program was killed between `before` and `after`, or stopped.
fn died(args: &Args) -> Result<(), String> {
    let word = |name: &str| std::env::var(name).unwrap_or_default();
    if word("EXIT_CODE") == "exited" && word("EXIT_STATUS") == "0" { Ok(()) } else { run(args, "after", None).1 }
}

/// A process group, all of which ends with this. Its first process is not reaped before that: until then nobody else has its number.
struct Group(Child);

impl Group {
    fn pid(&self) -> Pid {
        Pid::from_raw(self.0.id().cast_signed())
    }

    fn kill(&self) {
        let _ = killpg(self.pid(), Signal::SIGKILL);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
        let _ = self.0.wait();
    }
}

/// Runs the program in a process group of its own, all of which ends when the time is over.
fn run(args: &Args, word: &str, job: Option<&Job>) -> (Option<Group>, Result<(), String>) {
    let mut command = Command::new(&args.program);
    command.arg(word).stdin(Stdio::null()).process_group(0);
    if let Some(job) = job {
        let names: Vec<&str> = job.datasets.iter().map(DatasetName::as_str).collect();
        command.env("ZAM_SNAPSHOT", job.snapshot.as_str()).env("ZAM_DATASETS", names.join("\n"));
    }
    let group = match command.spawn() {
        Ok(child) => Group(child),
        Err(error) => return (None, Err(format!("{} cannot be run: {error}", args.program.display()))),
    };
    let (sender, ended) = mpsc::channel();
    let first = Id::Pid(group.pid());
    thread::spawn(move || sender.send(waitid(first, WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT)));
    let timeout = job.map_or(LONGEST, |job| job.timeout);
    let said = match ended.recv_timeout(timeout) {
        Ok(Ok(WaitStatus::Exited(_, 0))) => Ok(()),
        Ok(Ok(WaitStatus::Exited(_, code))) => Err(format!("exit status: {code}")),
        Ok(Ok(WaitStatus::Signaled(_, signal, _))) => Err(format!("killed by {signal}")),
        Ok(other) => Err(format!("it ended as {other:?}")),
        Err(_) => {
            group.kill();
            Err(format!("it did not end within {} s and was killed", timeout.as_secs()))
        }
    };
    (Some(group), said)
}

impl Job {
    /// Lines: `before`, seconds, the snapshot's name, datasets, and an empty one.
    fn read(asked: &mut impl BufRead) -> Result<Self, String> {
        let mut line = || {
            let mut line = String::new();
            let read = asked.read_line(&mut line).map_err(|error| format!("no request came: {error}"));
            read.map(|_| line.strip_suffix('\n').map(str::to_owned))
        };
        let mut need = || line()?.ok_or_else(|| "the request has no end".to_owned());
        if need()? != "before" {
            return Err("the request does not begin with `before`".to_owned());
        }
        let seconds: u64 = need()?.parse().map_err(|_| "the request says no time".to_owned())?;
        let snapshot = need()?.parse().map_err(|error| format!("the request names no snapshot: {error}"))?;
        let mut datasets = Vec::new();
        loop {
            match need()?.as_str() {
                "" => return Ok(Self { timeout: Duration::from_secs(seconds).min(LONGEST), snapshot, datasets }),
                name => datasets.push(name.parse().map_err(|error| format!("the request names no dataset: {error}"))?),
            }
        }
    }
}
