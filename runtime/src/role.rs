//! The users of the roles, and the ioctls through which each speaks to ZFS.

use nix::libc;
use zam_protocol::Role;

/// One operation of ZFS: the low byte of its ioctl number `0x5aXX` and its name in `include/sys/fs/zfs.h`, less `ZFS_IOC_`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verb(pub u8, pub &'static str);

/// Every ioctl of ZFS that a role may make; all others of `0x5a00` to `0x5aff` are refused.
#[must_use]
pub fn ioctls(role: Role) -> Vec<Verb> {
    let acts: &[Verb] = match role {
        Role::Snap => &SNAP,
        Role::Prune => &PRUNE,
        Role::Send => &SEND,
        Role::Recv => &RECV,
        Role::Watch => &[],
    };
    READ.iter().chain(acts).copied().collect()
}

/// What the process may that clears a partial receive for zamd-recv: to destroy, which is what that takes. The verb reaches
/// snapshots and filesystems alike: what keeps it from them is that the grant is `-c`, for who made the dataset, and the hold.
#[must_use]
pub fn clearing() -> Vec<Verb> {
    READ.into_iter().chain([Verb(0x18, "DESTROY")]).collect()
}

/// The families of sockets that a role may make (`RestrictAddressFamilies=` of its unit).
#[must_use]
pub const fn families(role: Role) -> &'static [i32] {
    match role {
        Role::Send | Role::Watch => &[libc::AF_UNIX, libc::AF_INET, libc::AF_INET6],
        Role::Snap | Role::Prune | Role::Recv => &[libc::AF_UNIX],
    }
}

/// The unix user that a role runs as, and whose grants it has.
#[must_use]
pub const fn user(role: Role) -> &'static str {
    match role {
        Role::Snap => "zam-snap",
        Role::Prune => "zam-prune",
        Role::Send => "zam-send",
        Role::Recv => "zam-recv",
        Role::Watch => "zam-watch",
    }
}

/// What `zfs list`, `zpool list`, `zfs holds` and `zfs allow DATASET` need.
const READ: [Verb; 13] = [
    Verb(0x04, "POOL_CONFIGS"),
    Verb(0x05, "POOL_STATS"),
    Verb(0x12, "OBJSET_STATS"),
    Verb(0x13, "OBJSET_ZPLPROPS"),
    Verb(0x14, "DATASET_LIST_NEXT"),
    Verb(0x15, "SNAPSHOT_LIST_NEXT"),
    Verb(0x27, "POOL_GET_PROPS"),
    Verb(0x29, "GET_FSACL"),
    Verb(0x32, "GET_HOLDS"),
    Verb(0x39, "SPACE_WRITTEN"),
    // Writes the command line into the pool's history; the kernel takes it only right after an operation that went well.
    Verb(0x3f, "LOG_HISTORY"),
    Verb(0x44, "GET_BOOKMARKS"),
    Verb(0x52, "GET_BOOKMARK_PROPS"),
];

const SNAP: [Verb; 3] = [Verb(0x23, "SNAPSHOT"), Verb(0x30, "HOLD"), Verb(0x31, "RELEASE")];

const PRUNE: [Verb; 2] = [Verb(0x3b, "DESTROY_SNAPS"), Verb(0x45, "DESTROY_BOOKMARKS")];

const SEND: [Verb; 3] = [Verb(0x40, "SEND_NEW"), Verb(0x41, "SEND_SPACE"), Verb(0x43, "BOOKMARK")];

const RECV: [Verb; 3] = [Verb(0x17, "CREATE"), Verb(0x30, "HOLD"), Verb(0x46, "RECV_NEW")];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_key_has_the_verb_of_the_other_nor_may_any_destroy_a_filesystem() {
        let may = |role: Role, number| ioctls(role).iter().any(|verb| verb.0 == number);
        for role in Role::ALL {
            // SET_PROP DESTROY ROLLBACK RENAME RECV SET_FSACL INHERIT_PROP CLONE CHANNEL_PROGRAM
            for number in [0x16, 0x18, 0x19, 0x1a, 0x1b, 0x28, 0x2b, 0x42, 0x48] {
                assert!(!may(role, number), "{role:?} {number:x}");
            }
        }
        let only = |number, those: &[Role]| {
            for role in Role::ALL {
                assert_eq!(may(role, number), those.contains(&role), "{role:?} {number:x}");
            }
        };
        // SNAPSHOT RELEASE HOLD DESTROY_SNAPS DESTROY_BOOKMARKS BOOKMARK SEND_NEW SEND_SPACE RECV_NEW CREATE
        only(0x23, &[Role::Snap]);
        only(0x31, &[Role::Snap]);
        only(0x30, &[Role::Snap, Role::Recv]);
        only(0x3b, &[Role::Prune]);
        only(0x45, &[Role::Prune]);
        only(0x43, &[Role::Send]);
        only(0x40, &[Role::Send]);
        only(0x41, &[Role::Send]);
        only(0x46, &[Role::Recv]);
        only(0x17, &[Role::Recv]);
    }

    #[test]
    fn clearing_adds_one_verb_to_looking() {
        let clear = clearing();
        assert!(clear.iter().any(|verb| verb.0 == 0x18));
        // By that one snapshots go too, where a grant reaches them; nothing comes in, nothing is let go.
        assert!(clear.iter().all(|verb| ![0x31, 0x3b, 0x45, 0x46, 0x17].contains(&verb.0)));
    }
}
