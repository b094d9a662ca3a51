//! What both sides say before the first frame: twelve fixed bytes, so that a wrong version is a clear error and never a
//! frame that is read as something else.
//!
//! `"zam!"`, then five big-endian numbers: service (2 bytes), major (2), minor (2), state (1), a zero.

use crate::Role;
use std::{io, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

/// Raised when anything changes that an older side would misread.
pub const MAJOR: u16 = 1;
/// Raised when methods or enum variants are appended.
pub const MINOR: u16 = 0;
/// How long a server waits for the other side's preface.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// How many bytes it has.
pub const LENGTH: usize = 12;
const MAGIC: [u8; 4] = *b"zam!";

/// What one side says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preface {
    /// The service it serves, or wants.
    pub role: Role,
    /// See [`MAJOR`].
    pub major: u16,
    /// See [`MINOR`].
    pub minor: u16,
    /// Whether it goes on.
    pub state: State,
}

/// What a server says to a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Go on.
    Open,
    /// Too many connections; it closes.
    Full,
}

/// Why two sides cannot talk.
#[derive(Debug, thiserror::Error)]
pub enum PrefaceError {
    /// The connection broke or closed.
    #[error("the connection ended before the other side had said what it speaks")]
    Closed(#[source] io::Error),
    /// Nothing came in time.
    #[error("the other side did not say within {} s what it speaks", .0.as_secs())]
    Silent(Duration),
    /// These are not zam's bytes.
    #[error("what answers there does not speak zam's protocol")]
    Foreign,
    /// It is another daemon.
    #[error("{found} serves this door, not {expected}")]
    Service {
        /// Who was meant.
        expected: Role,
        /// Who it is.
        found: Role,
    },
    /// It speaks another version.
    #[error("it speaks version {theirs} of the protocol, this side {ours}")]
    Version {
        /// The other side's major version.
        theirs: u16,
        /// This side's.
        ours: u16,
    },
    /// It has too many connections.
    #[error("it has too many connections, of this user or of all")]
    Full,
}

impl Preface {
    /// What this build says.
    #[must_use]
    pub fn of(role: Role) -> Self {
        Self { role, major: MAJOR, minor: MINOR, state: State::Open }
    }

    /// What a server says that cannot take one more connection.
    #[must_use]
    pub fn full(role: Role) -> Self {
        Self { state: State::Full, ..Self::of(role) }
    }

    /// As it is sent.
    #[must_use]
    pub fn to_bytes(self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..6].copy_from_slice(&number(self.role).to_be_bytes());
        bytes[6..8].copy_from_slice(&self.major.to_be_bytes());
        bytes[8..10].copy_from_slice(&self.minor.to_be_bytes());
        bytes[10] = match self.state {
            State::Open => 0,
            State::Full => 1,
        };
        bytes
    }

    /// Reads what was sent; a state it does not know is taken as a refusal.
    #[must_use]
    pub fn from_bytes(bytes: [u8; LENGTH]) -> Option<Self> {
        let [m0, m1, m2, m3, r0, r1, a0, a1, i0, i1, state, _] = bytes;
        if [m0, m1, m2, m3] != MAGIC {
            return None;
        }
        let role = ROLES.into_iter().find(|role| number(*role) == u16::from_be_bytes([r0, r1]))?;
        let state = if state == 0 { State::Open } else { State::Full };
        Some(Self { role, major: u16::from_be_bytes([a0, a1]), minor: u16::from_be_bytes([i0, i1]), state })
    }
}

/// Who can be at the other end.
const ROLES: [Role; 5] = Role::ALL;

fn number(role: Role) -> u16 {
    match role {
        Role::Snap => 1,
        Role::Prune => 2,
        Role::Send => 3,
        Role::Recv => 4,
        Role::Watch => 5,
    }
}

/// Says what this side speaks, hears what the other does, and compares.
///
/// # Errors
/// If nothing comes within `patience`, or what comes does not fit.
pub async fn exchange<S>(stream: &mut S, role: Role, patience: Duration) -> Result<Preface, PrefaceError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let both = async {
        stream.write_all(&Preface::of(role).to_bytes()).await?;
        let mut bytes = [0; LENGTH];
        stream.read_exact(&mut bytes).await?;
        Ok(bytes)
    };
    let bytes = timeout(patience, both).await.map_err(|_| PrefaceError::Silent(patience))?;
    let theirs = Preface::from_bytes(bytes.map_err(PrefaceError::Closed)?).ok_or(PrefaceError::Foreign)?;
    if theirs.role != role {
        return Err(PrefaceError::Service { expected: role, found: theirs.role });
    }
    if theirs.major != MAJOR {
        return Err(PrefaceError::Version { theirs: theirs.major, ours: MAJOR });
    }
    match theirs.state {
        State::Open => Ok(theirs),
        State::Full => Err(PrefaceError::Full),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    /// What `exchange` makes of an other side that sends these bytes.
    async fn against(bytes: &[u8]) -> Result<Preface, PrefaceError> {
        let (mut here, mut there) = tokio::io::duplex(64);
        there.write_all(bytes).await.unwrap();
        if bytes.len() < LENGTH {
            there.shutdown().await.unwrap();
        }
        exchange(&mut here, Role::Snap, PATIENCE).await
    }

    #[tokio::test]
    async fn equal_sides_agree() {
        let (mut a, mut b) = tokio::io::duplex(64);
        let (here, there) =
            tokio::join!(exchange(&mut a, Role::Snap, PATIENCE), exchange(&mut b, Role::Snap, PATIENCE));
        assert_eq!(here.unwrap(), there.unwrap());
    }

    #[tokio::test]
    async fn the_bytes_stay() {
        assert_eq!(Preface::of(Role::Prune).to_bytes(), [b'z', b'a', b'm', b'!', 0, 2, 0, 1, 0, 0, 0, 0]);
    }

    #[tokio::test]
    async fn another_side_is_told_apart() {
        let newer = Preface { major: 7, ..Preface::of(Role::Snap) };
        let answer = against(&newer.to_bytes()).await;
        assert!(matches!(answer, Err(PrefaceError::Version { theirs: 7, ours: MAJOR })));
        let answer = against(&Preface { minor: 9, ..Preface::of(Role::Snap) }.to_bytes()).await;
        assert_eq!(answer.unwrap().minor, 9);
        assert!(matches!(
            against(&Preface::of(Role::Prune).to_bytes()).await,
            Err(PrefaceError::Service { expected: Role::Snap, found: Role::Prune })
        ));
        assert!(matches!(against(&Preface::full(Role::Snap).to_bytes()).await, Err(PrefaceError::Full)));
        assert!(matches!(against(b"GET / HTTP/1.1\r\n").await, Err(PrefaceError::Foreign)));
        assert!(matches!(against(b"zam!").await, Err(PrefaceError::Closed(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends() {
        let (mut here, _there) = tokio::io::duplex(64);
        assert!(matches!(exchange(&mut here, Role::Snap, PATIENCE).await, Err(PrefaceError::Silent(_))));
    }
}
