//! Knocking at a daemon's door.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use zam_protocol::{Door, Role, client};
//! let socket = Role::Snap.socket("/run/zam".as_ref(), Door::Status);
//! let snap = client::connect_snap(&socket).await?;
//! println!("{}", client::call(snap.hello(client::soon())).await?.build);
//! # Ok(()) }
//! ```

use crate::{
    Ask, Door, Refused, Role,
    codec::ClientCodec,
    preface::{self, PrefaceError},
    prune::PruneClient,
    recv::RecvClient,
    send::SendClient,
    snap::SnapClient,
    watch::WatchClient,
};
use std::{
    future::Future,
    io,
    path::{Path, PathBuf},
    time::Duration,
};
use tarpc::{client, client::RpcError, context};
use tokio::net::UnixStream;
use tokio_util::codec::Framed;

/// How long a client waits for a daemon to greet: one that systemd starts for this very connection needs a while.
const PATIENCE: Duration = Duration::from_secs(10);
/// Calls in flight at once; more wait their turn. Below what the doors let through.
const IN_FLIGHT: usize = 4;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nothing listens there (exit code 5).
    #[error(
        "{role} does not answer at {}. `systemctl status {role}` says why; `systemctl start {role}` starts it",
        socket.display()
    )]
    NotRunning {
        /// Who was to serve.
        role: Role,
        /// Where.
        socket: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The socket's mode keeps this user out (exit code 4).
    #[error("cannot open the {} {}: permission denied. {}", door_of(socket), socket.display(), who_may(socket))]
    NotPermitted {
        /// Who was to serve.
        role: Role,
        /// Where.
        socket: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// It speaks another version (exit code 5).
    #[error("{role} speaks protocol {theirs}, this program {ours}: {}", upgrade(*role, *theirs, *ours))]
    Version {
        /// Who serves.
        role: Role,
        /// Its version.
        theirs: u16,
        /// This program's.
        ours: u16,
    },
    /// It has too many connections (exit code 5).
    #[error("{role} has too many connections at {}, of this user or of all: close some and try again", socket.display())]
    Full {
        /// Who serves.
        role: Role,
        /// Where.
        socket: PathBuf,
    },
    /// It did not greet as it should (exit code 5).
    #[error("{role} did not greet at {}", socket.display())]
    Greeting {
        /// Who was to serve.
        role: Role,
        /// Where.
        socket: PathBuf,
        /// What happened instead.
        source: PrefaceError,
    },
}

/// Why a call brought no result.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The daemon said no, or could not (exit code 4 for `NotPermitted`, else 1).
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The daemon gave the call up: a bug in it, an answer that is too long, too many calls at once (exit code 1).
    #[error("the daemon could not answer: {0}")]
    Failed(String),
    /// The connection ended, or the time was up (exit code 5).
    #[error("the daemon did not answer")]
    Lost(#[source] RpcError),
}

/// Connects to a door of zamd-snap.
///
/// # Errors
/// If nobody is there, this user may not, or the two do not speak the same version.
pub async fn connect_snap(socket: &Path) -> Result<SnapClient, ConnectError> {
    let transport = connect(socket).await?;
    let client::NewClient { client, dispatch } = SnapClient::new(settings(), transport);
    drive(Role::Snap, dispatch);
    Ok(client)
}

/// Connects to a door of zamd-prune.
///
/// # Errors
/// If nobody is there, this user may not, or the two do not speak the same version.
pub async fn connect_prune(socket: &Path) -> Result<PruneClient, ConnectError> {
    let transport = connect(socket).await?;
    let client::NewClient { client, dispatch } = PruneClient::new(settings(), transport);
    drive(Role::Prune, dispatch);
    Ok(client)
}

/// Connects to a door of zamd-send.
///
/// # Errors
/// If nobody is there, this user may not, or the two do not speak the same version.
pub async fn connect_send(socket: &Path) -> Result<SendClient, ConnectError> {
    let transport = connect(socket).await?;
    let client::NewClient { client, dispatch } = SendClient::new(settings(), transport);
    drive(Role::Send, dispatch);
    Ok(client)
}

/// Connects to a door of zamd-recv.
///
/// # Errors
/// If nobody is there, this user may not, or the two do not speak the same version.
pub async fn connect_recv(socket: &Path) -> Result<RecvClient, ConnectError> {
    let transport = connect(socket).await?;
    let client::NewClient { client, dispatch } = RecvClient::new(settings(), transport);
    drive(Role::Recv, dispatch);
    Ok(client)
}

/// Connects to a door of zamd-watch.
///
/// # Errors
/// If nobody is there, this user may not, or the two do not speak the same version.
pub async fn connect_watch(socket: &Path) -> Result<WatchClient, ConnectError> {
    let transport = connect(socket).await?;
    let client::NewClient { client, dispatch } = WatchClient::new(settings(), transport);
    drive(Role::Watch, dispatch);
    Ok(client)
}

/// What a call gets along: ten seconds.
#[must_use]
pub fn soon() -> context::Context {
    context::current()
}

/// What a call gets along that may take so long, up to the minute that a daemon gives it.
#[must_use]
pub fn within(limit: Duration) -> context::Context {
    let mut context = context::current();
    context.deadline = std::time::Instant::now() + limit;
    context
}

/// Waits for an answer that only shows.
///
/// # Errors
/// If none comes.
pub async fn call<T>(answer: impl Future<Output = Result<T, RpcError>>) -> Result<T, CallError> {
    answer.await.map_err(|error| match error {
        RpcError::Server(error) => CallError::Failed(error.detail),
        error => CallError::Lost(error),
    })
}

/// Waits for an answer that may be a refusal.
///
/// # Errors
/// If none comes, or the daemon refuses.
pub async fn act<T>(answer: impl Future<Output = Result<Result<T, Refused>, RpcError>>) -> Result<T, CallError> {
    Ok(call(answer).await??)
}

/// Opens a socket and exchanges prefaces.
async fn connect<Q: Ask>(path: &Path) -> Result<Framed<UnixStream, ClientCodec<Q>>, ConnectError> {
    let (role, socket) = (Q::ROLE, path.to_owned());
    let mut stream = match UnixStream::connect(path).await {
        Ok(stream) => stream,
        Err(source) => {
            return Err(match source.kind() {
                io::ErrorKind::PermissionDenied => ConnectError::NotPermitted { role, socket, source },
                io::ErrorKind::WouldBlock => ConnectError::Full { role, socket },
                _ => ConnectError::NotRunning { role, socket, source },
            });
        }
    };
    match preface::exchange(&mut stream, role, PATIENCE).await {
        Ok(_) => Ok(Framed::new(stream, ClientCodec::default())),
        Err(PrefaceError::Version { theirs, ours }) => Err(ConnectError::Version { role, theirs, ours }),
        Err(PrefaceError::Full) => Err(ConnectError::Full { role, socket }),
        Err(source) => Err(ConnectError::Greeting { role, socket, source }),
    }
}

fn settings() -> client::Config {
    let mut config = client::Config::default();
    config.max_in_flight_requests = IN_FLIGHT;
    config
}

/// Runs a connection until its client is dropped or it breaks; calls in flight learn of it themselves.
fn drive<E: std::fmt::Display + Send>(role: Role, dispatch: impl Future<Output = Result<(), E>> + Send + 'static) {
    tokio::spawn(async move {
        if let Err(error) = dispatch.await {
            tracing::debug!(%role, %error, "the connection broke");
        }
    });
}

fn door_of(socket: &Path) -> String {
    let stem = socket.file_stem().unwrap_or_default();
    format!("{} socket", stem.to_string_lossy())
}

fn who_may(socket: &Path) -> &'static str {
    if socket.file_name().is_some_and(|name| name == Door::Control.file()) {
        "Members of group zam-operators may; run it as root or as one of them (who was just added logs in again), \
         or use `zamctl status`, which needs no group"
    } else {
        "Its folder or mode keeps this user out, which a package does not do: see `ls -l` of it"
    }
}

fn upgrade(role: Role, theirs: u16, ours: u16) -> String {
    if theirs > ours {
        "upgrade this program".into()
    } else {
        format!("`systemctl restart {role}` if zam was upgraded, else upgrade zam")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    #[test]
    fn an_error_says_who_what_and_what_next() {
        let socket = Role::Snap.socket("/run/zam".as_ref(), Door::Control);
        let source = io::Error::from(io::ErrorKind::PermissionDenied);
        let error = ConnectError::NotPermitted { role: Role::Snap, socket, source };
        assert_eq!(
            error.to_string(),
            "cannot open the control socket /run/zam/snap/control.sock: permission denied. Members of group \
             zam-operators may; run it as root or as one of them (who was just added logs in again), or use \
             `zamctl status`, which needs no group"
        );
        let error = ConnectError::Version { role: Role::Snap, theirs: 2, ours: 1 };
        assert_eq!(error.to_string(), "zamd-snap speaks protocol 2, this program 1: upgrade this program");
    }

    #[tokio::test]
    async fn a_door_that_is_not_there_is_a_daemon_that_does_not_run() {
        let error = connect_prune("/nonexistent/status.sock".as_ref()).await.unwrap_err();
        assert!(matches!(error, ConnectError::NotRunning { role: Role::Prune, .. }), "{error}");
    }
}
