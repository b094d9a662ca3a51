//! The service manager: it gives the listening sockets and is told how the daemon is. All of it works without one too.

use crate::Role;
use listenfd::ListenFd;
use nix::sys::socket::{self, AddressFamily, Backlog, SockFlag, SockType, UnixAddr, listen};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{Group, chown};
use sd_notify::NotifyState;
use std::fs::{self, DirBuilder, Permissions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::{env, io, time::Duration};
use tokio::time::{Instant, sleep_until};
use zam_protocol::{COPIERS, Door, OPERATORS};

/// The listening sockets of a daemon, ready to become tokio's: one for each of its role's doors.
pub type Sockets = Vec<(Door, UnixListener)>;

/// Why a daemon has no sockets.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The service manager's sockets are not those of the role's doors.
    #[error(
        "the service manager gave the sockets {given:?}, and not one for each of {}: see FileDescriptorName= in the socket units",
        wanted.iter().map(|door| format!("`{door}`")).collect::<Vec<_>>().join(", ")
    )]
    Names {
        /// What it gave.
        given: Vec<String>,
        /// What the role serves.
        wanted: &'static [Door],
    },
    /// Another daemon of this role serves here.
    #[error("somebody answers on {} already: is another {} running?", path.display(), role.daemon())]
    Taken {
        /// Which daemon this is.
        role: Role,
        /// The socket.
        path: PathBuf,
    },
    /// Another thing than a socket is in the way.
    #[error("{} is in the way: it is not a socket", .0.display())]
    InTheWay(PathBuf),
    /// A socket cannot be made.
    #[error("cannot {what} {}", path.display())]
    System {
        /// What was tried.
        what: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Takes the sockets that the service manager made, or else makes `RUNTIME/ROLE/DOOR.sock`.
///
/// # Errors
/// If the service manager gave other ones, another daemon has them, or they cannot be made.
pub fn sockets(runtime_dir: &Path, role: Role) -> Result<Sockets, SocketError> {
    let folder = runtime_dir.join(role.folder());
    let sockets = match given(role)? {
        Some(sockets) => sockets,
        None => {
            DirBuilder::new().recursive(true).mode(0o755).create(&folder).map_err(at("make the folder", &folder))?;
            let bound = role.doors().iter().map(|&door| Ok((door, bind(&role.socket(runtime_dir, door), role, door)?)));
            bound.collect::<Result<Sockets, SocketError>>()?
        }
    };
    for (_, socket) in &sockets {
        // Clients see as their peer whoever called listen() last, which was the service manager.
        Backlog::new(BACKLOG)
            .and_then(|backlog| listen(socket, backlog))
            .map_err(io::Error::from)
            .and_then(|()| socket.set_nonblocking(true))
            .map_err(at("listen on the sockets of", &folder))?;
    }
    Ok(sockets)
}

/// Tells the service manager that the daemon serves.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Tells it in a line for people how things are (`systemctl status`).
pub fn status(status: &str) {
    tell(&[NotifyState::Status(status)]);
}

/// Tells it that the config is being read again; [`ready`] ends that.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// Tells it that the daemon ends.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// The service manager's watchdog: it restarts a daemon that does not say in time that it is alive. The main loop says so
/// itself, between two pieces of work, so that a loop that hangs is found out.
#[derive(Debug)]
pub struct Watchdog {
    every: Option<Duration>,
    next: Instant,
}

impl Default for Watchdog {
    fn default() -> Self {
        // Twice within the time, so that one late turn is no death.
        Self { every: sd_notify::watchdog_enabled().map(|within| within / 2), next: Instant::now() }
    }
}

impl Watchdog {
    /// When the main loop must turn next; never, where there is no watchdog. For a branch of its `select!`.
    pub async fn due(&self) {
        match self.every {
            Some(_) => sleep_until(self.next).await,
            None => std::future::pending().await,
        }
    }

    /// The main loop has turned.
    pub fn pet(&mut self) {
        if let Some(every) = self.every
            && Instant::now() >= self.next
        {
            tell(&[NotifyState::Watchdog]);
            self.next = Instant::now() + every;
        }
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "cannot tell the service manager");
    }
}

fn given(role: Role) -> Result<Option<Sockets>, SocketError> {
    let names: Vec<String> = env::var("LISTEN_FDNAMES").unwrap_or_default().split(':').map(str::to_owned).collect();
    let mut fds = ListenFd::from_env();
    if fds.len() == 0 {
        return Ok(None);
    }
    let mut take = |door: Door| {
        let index = names.iter().position(|name| *name == door.to_string())?;
        Some((door, fds.take_unix_listener(index).ok().flatten()?))
    };
    let taken: Option<Sockets> = role.doors().iter().map(|&door| take(door)).collect();
    taken.map(Some).ok_or(SocketError::Names { given: names, wanted: role.doors() })
}

fn bind(path: &Path, role: Role, door: Door) -> Result<UnixListener, SocketError> {
    match fs::symlink_metadata(path) {
        Ok(there) if !there.file_type().is_socket() => return Err(SocketError::InTheWay(path.to_owned())),
        Ok(_) if UnixStream::connect(path).is_ok() => return Err(SocketError::Taken { role, path: path.to_owned() }),
        Ok(_) => fs::remove_file(path).map_err(at("remove the old socket", path))?,
        Err(_) => {}
    }
    let socket = private(path).map_err(|errno| at("bind", path)(errno.into()))?;
    let mode = match door {
        Door::Status => 0o666,
        Door::Control => group_mode(path, OPERATORS),
        Door::Peer | Door::Stream => group_mode(path, COPIERS),
    };
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(at("set the mode of", path))?;
    Ok(socket)
}

/// A socket that is this user's alone from its first moment: Linux gives its file the mode that it has before, and the umask, which is
/// all threads', is left as it is.
fn private(path: &Path) -> nix::Result<UnixListener> {
    let socket = socket::socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    fchmod(&socket, Mode::S_IRUSR | Mode::S_IWUSR)?;
    socket::bind(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(socket.into())
}

/// Gives the socket to those who may come in, or keeps it for this user where there are none.
fn group_mode(path: &Path, name: &str) -> u32 {
    let group = Group::from_name(name).ok().flatten();
    match group.map(|group| chown(path, None, Some(group.gid))) {
        Some(Ok(())) => 0o660,
        Some(Err(error)) => {
            tracing::warn!(%error, "cannot give {} to group {name}: it is for this user alone", path.display());
            0o600
        }
        None => 0o600,
    }
}

fn at(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SocketError {
    let path = path.to_owned();
    move |source| SocketError::System { what, path, source }
}

const BACKLOG: i32 = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn everybody_may_ask_and_not_everybody_may_order() {
        let run = tempfile::tempdir().unwrap();
        let _sockets = sockets(run.path(), Role::Snap).unwrap();
        assert_eq!(mode(&run.path().join("snap")) & 0o755, 0o755);
        assert_eq!(mode(&run.path().join("snap/status.sock")), 0o666);
        let control = mode(&run.path().join("snap/control.sock"));
        let expected = |group| if Group::from_name(group).unwrap().is_some() { [0o660, 0o600] } else { [0o600; 2] };
        assert!(expected(OPERATORS).contains(&control), "{control:o}");
        assert!(!run.path().join("snap/peer.sock").exists(), "a door that the role does not have");
        let _sockets = sockets(run.path(), Role::Recv).unwrap();
        for door in ["peer", "stream"] {
            let mode = mode(&run.path().join(format!("recv/{door}.sock")));
            assert!(expected(COPIERS).contains(&mode), "{door} {mode:o}");
        }
    }

    #[test]
    fn a_socket_is_for_this_user_alone_before_it_is_anybody_elses() {
        let run = tempfile::tempdir().unwrap();
        let _socket = private(&run.path().join("new.sock")).unwrap();
        assert_eq!(mode(&run.path().join("new.sock")), 0o600);
        let _control = UnixListener::bind(run.path().join("control.sock")).unwrap();
        assert_ne!(mode(&run.path().join("control.sock")), 0o600);
    }

    #[test]
    fn a_socket_that_answers_is_not_taken_over_and_a_dead_one_is() {
        let run = tempfile::tempdir().unwrap();
        let first = sockets(run.path(), Role::Prune).unwrap();
        let error = sockets(run.path(), Role::Prune).unwrap_err();
        assert!(matches!(error, SocketError::Taken { .. }), "{error}");
        drop(first);
        let again = sockets(run.path(), Role::Prune).unwrap();
        UnixStream::connect(run.path().join("prune/status.sock")).unwrap();
        assert_eq!(again[0].0, Door::Status);
        again[0].1.accept().unwrap();
    }

    #[test]
    fn what_is_no_socket_is_left_alone() {
        let run = tempfile::tempdir().unwrap();
        fs::create_dir(run.path().join("snap")).unwrap();
        fs::write(run.path().join("snap/status.sock"), "mine").unwrap();
        assert!(matches!(sockets(run.path(), Role::Snap).unwrap_err(), SocketError::InTheWay(_)));
    }

    #[tokio::test(flavor = "current_thread", start_paused = true)]
    async fn without_a_watchdog_nothing_is_ever_due() {
        let watchdog = Watchdog { every: None, next: Instant::now() };
        assert!(tokio::time::timeout(Duration::from_secs(3600), watchdog.due()).await.is_err());
        let mut watchdog = Watchdog { every: Some(Duration::from_secs(10)), next: Instant::now() };
        watchdog.due().await;
        watchdog.pet();
        assert!(tokio::time::timeout(Duration::from_secs(9), watchdog.due()).await.is_err());
        watchdog.due().await;
    }
}
