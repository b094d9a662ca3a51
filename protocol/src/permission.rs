//! Who may ask what. The kernel says who the peer is, the door says what it came for, and [`Ask::need`] of each service
//! says which request wants whom: exhaustive, so that a new request does not compile until somebody decides.

use crate::Refused;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    fmt,
    path::{Path, PathBuf},
};
use tarpc::RequestName;

/// The unix group of the people who may act: the control doors belong to it.
pub const OPERATORS: &str = "zam-operators";
/// The unix group of the users whose programs bring copies: the peer and stream doors belong to it.
pub const COPIERS: &str = "zam-copy";

/// A daemon that serves doors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Takes snapshots, holds them, releases what has expired.
    Snap,
    /// Destroys what has expired and is released.
    Prune,
    /// Sends to replicas.
    Send,
    /// Receives from sources.
    Recv,
    /// Looks at all of it, and tells people what is wrong.
    Watch,
}

/// The socket through which a peer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Door {
    /// Only answers, to every local user.
    Status,
    /// Acts, for those whom its file mode lets in.
    Control,
    /// For another role.
    Peer,
    /// Takes bytes in, announced by a ticket from the peer door; no request goes through it.
    Stream,
}

/// Who has to be behind a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// Every local user: it only shows.
    Anybody,
    /// Root, or a person whom the control door let in.
    Operator,
    /// Root alone.
    Root,
    /// Another role, through the peer door.
    Peer,
}

/// What a peer is taken for, from its credentials and its door.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Any local user.
    Stranger,
    /// The user of one of zam's own roles: never an operator, whatever its groups.
    Role,
    /// A person who may act, or the daemon's own user, which could do the same without asking.
    Operator,
    /// Uid 0.
    Root,
}

/// The process at the other end, as the kernel says (`SO_PEERCRED`). Decide by `uid`; a pid may be another's by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Peer {
    /// Its effective user when it connected.
    pub uid: u32,
    /// Its effective group then; not the supplementary ones.
    pub gid: u32,
    /// Its process, for the log alone.
    pub pid: Option<i32>,
}

/// Whether a peer of `class` that came through `door` may send a request with this `need`.
#[must_use]
pub fn may(door: Door, class: Class, need: Need) -> bool {
    match (need, door, class) {
        (Need::Anybody, Door::Status | Door::Control | Door::Peer, _) => true,
        (Need::Operator, Door::Control, Class::Operator | Class::Root) => true,
        (Need::Root, Door::Control, Class::Root) => true,
        // At this door an operator is the daemon's own user. Which role it is, and what that may name, the service asks.
        (Need::Peer, Door::Peer, Class::Role | Class::Operator | Class::Root) => true,
        (Need::Peer, Door::Peer, Class::Stranger) | (Need::Peer, Door::Status | Door::Control, _) => false,
        (_, Door::Stream, _) => false,
        (Need::Operator | Need::Root, Door::Status | Door::Peer, _) => false,
        (Need::Operator, Door::Control, Class::Stranger | Class::Role) => false,
        (Need::Root, Door::Control, Class::Stranger | Class::Role | Class::Operator) => false,
    }
}

/// The requests of one service: implemented for the enum that `tarpc` makes of it.
pub trait Ask: RequestName + Serialize + DeserializeOwned + fmt::Debug + Send + 'static {
    /// The enum of its answers.
    type Answer: Serialize + DeserializeOwned + fmt::Debug + Send + 'static;
    /// Who serves it.
    const ROLE: Role;
    /// The method names in the order of their tags on the wire.
    const METHODS: &'static [&'static str];
    /// Who may send it.
    fn need(&self) -> Need;
    /// The answer that says no, for every request that not everybody may send.
    fn refused(&self, why: Refused) -> Option<Self::Answer>;
    /// The method's name without the service.
    fn method(&self) -> &str {
        self.name().rsplit('.').next().unwrap_or_default()
    }
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [Self::Snap, Self::Prune, Self::Send, Self::Recv, Self::Watch];

    /// The daemon's name, which is its unit's too.
    #[must_use]
    pub fn daemon(self) -> &'static str {
        match self {
            Self::Snap => "zamd-snap",
            Self::Prune => "zamd-prune",
            Self::Send => "zamd-send",
            Self::Recv => "zamd-recv",
            Self::Watch => "zamd-watch",
        }
    }

    /// The name of its folders.
    #[must_use]
    pub fn folder(self) -> &'static str {
        match self {
            Self::Snap => "snap",
            Self::Prune => "prune",
            Self::Send => "send",
            Self::Recv => "recv",
            Self::Watch => "watch",
        }
    }

    /// The doors that it serves.
    #[must_use]
    pub fn doors(self) -> &'static [Door] {
        match self {
            Self::Snap | Self::Prune | Self::Send | Self::Watch => &[Door::Status, Door::Control],
            Self::Recv => &[Door::Status, Door::Control, Door::Peer, Door::Stream],
        }
    }

    /// Where one of its doors is, below the run folder (`/run/zam`).
    #[must_use]
    pub fn socket(self, runtime_dir: &Path, door: Door) -> PathBuf {
        runtime_dir.join(self.folder()).join(door.file())
    }
}

impl Door {
    /// The socket's file name.
    #[must_use]
    pub fn file(self) -> &'static str {
        match self {
            Self::Status => "status.sock",
            Self::Control => "control.sock",
            Self::Peer => "peer.sock",
            Self::Stream => "stream.sock",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.daemon())
    }
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Status => "status",
            Self::Control => "control",
            Self::Peer => "peer",
            Self::Stream => "stream",
        })
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "uid {}", self.uid)?;
        self.pid.map_or(Ok(()), |pid| write!(f, " (pid {pid})"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_door_that_only_answers_lets_nobody_act() {
        for class in [Class::Stranger, Class::Role, Class::Operator, Class::Root] {
            for door in [Door::Status, Door::Peer] {
                assert!(may(door, class, Need::Anybody));
                assert!(!may(door, class, Need::Operator), "{door} {class:?}");
                assert!(!may(door, class, Need::Root), "{door} {class:?}");
            }
            for need in [Need::Anybody, Need::Operator, Need::Root, Need::Peer] {
                assert!(!may(Door::Stream, class, need), "{class:?} {need:?}");
            }
            assert!(may(Door::Control, class, Need::Anybody));
        }
    }

    #[test]
    fn the_control_door_lets_operators_act_and_root_alone_unhold() {
        let may_here = |class, need| may(Door::Control, class, need);
        assert!(may_here(Class::Operator, Need::Operator) && may_here(Class::Root, Need::Operator));
        assert!(may_here(Class::Root, Need::Root) && !may_here(Class::Operator, Need::Root));
        for need in [Need::Operator, Need::Root] {
            assert!(!may_here(Class::Role, need) && !may_here(Class::Stranger, need));
        }
    }

    #[test]
    fn what_roles_ask_of_each_other_goes_through_their_door_and_not_for_strangers() {
        for class in [Class::Stranger, Class::Role, Class::Operator, Class::Root] {
            assert_eq!(may(Door::Peer, class, Need::Peer), class != Class::Stranger, "{class:?}");
            assert!(!may(Door::Status, class, Need::Peer) && !may(Door::Control, class, Need::Peer), "{class:?}");
        }
    }
}
