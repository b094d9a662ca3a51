//! Who is who on this machine.

use nix::unistd::{Group, User, geteuid};
use std::collections::BTreeSet;
use zam_protocol::{Class, Door, OPERATORS, Peer};

/// The users of zam's roles. None of them is ever an operator, whatever its groups.
const ROLE_USERS: [&str; 8] =
    ["zam-snap", "zam-prune", "zam-send", "zam-recv", "zam-ssh", "zam-state", "zam-watch", "zam-web"];

/// What the user database says, read once: a daemon in its sandbox does not ask it, and must not wait for it.
#[derive(Clone, Debug, Default)]
pub struct People {
    own: u32,
    roles: BTreeSet<u32>,
    operators: BTreeSet<u32>,
}

/// The uid of a user, if there is one of this name. Before the sandbox, like [`People::look_up`].
#[must_use]
pub fn uid_of(name: &str) -> Option<u32> {
    Some(User::from_name(name).ok()??.uid.as_raw())
}

impl People {
    /// Reads the user database. Users made later are not known until the daemon starts again.
    #[must_use]
    pub fn look_up() -> Self {
        let members = Group::from_name(OPERATORS).ok().flatten().map(|group| group.mem).unwrap_or_default();
        Self::of(
            geteuid().as_raw(),
            ROLE_USERS.into_iter().filter_map(uid_of),
            members.iter().filter_map(|name| uid_of(name)),
        )
    }

    /// Those people: the daemon's own user, the users of all roles, the members of group zam-operators.
    pub fn of(own: u32, roles: impl IntoIterator<Item = u32>, operators: impl IntoIterator<Item = u32>) -> Self {
        Self { own, roles: roles.into_iter().collect(), operators: operators.into_iter().collect() }
    }

    /// What a peer is taken for at this door. Whoever came through the control door was let in by its file mode: that
    /// makes an operator of everybody but a role's user. The daemon's own user could do all the daemon does without it.
    #[must_use]
    pub fn class(&self, door: Door, peer: Peer) -> Class {
        match (peer.uid, door) {
            (0, _) => Class::Root,
            (uid, _) if uid == self.own => Class::Operator,
            (uid, _) if self.roles.contains(&uid) => Class::Role,
            (_, Door::Control) => Class::Operator,
            (_, Door::Status | Door::Peer | Door::Stream) => Class::Stranger,
        }
    }

    /// Whether room is kept for it that strangers cannot fill: root, operators, and zam's own roles (zamd-watch tells of
    /// trouble, and must not be shut out by who makes it).
    #[must_use]
    pub fn is_known(&self, peer: Peer) -> bool {
        let uid = peer.uid;
        uid == 0 || uid == self.own || self.roles.contains(&uid) || self.operators.contains(&uid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    #[test]
    fn the_control_door_makes_operators_of_people_and_never_of_a_roles_user() {
        let people = People::of(901, [901, 902], [1000]);
        let class = |door, uid| people.class(door, Peer { uid, gid: uid, pid: None });
        assert_eq!(class(Door::Control, 0), Class::Root);
        assert_eq!(class(Door::Control, 1000), Class::Operator);
        assert_eq!(class(Door::Control, 1001), Class::Operator);
        assert_eq!(class(Door::Control, 902), Class::Role);
        assert_eq!(class(Door::Status, 1000), Class::Stranger);
        assert_eq!(class(Door::Status, 901), Class::Operator);
    }

    #[test]
    fn room_is_kept_for_root_operators_and_roles() {
        let people = People::of(901, [902], [1000]);
        let known = |uid| people.is_known(Peer { uid, gid: 0, pid: None });
        assert_eq!([0, 901, 902, 1000, 1001].map(known), [true, true, true, true, false]);
    }
}
