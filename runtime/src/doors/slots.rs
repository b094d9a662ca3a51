//! How many connections at once, of one user and of all.

use std::{cell::RefCell, collections::HashMap, rc::Rc};
use zam_protocol::{Door, Peer};

/// How much one door lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections of all users.
    pub total: usize,
    /// Connections of one user, root excepted.
    pub per_uid: usize,
    /// How many of all are kept for root, operators and zam's own roles.
    pub reserved: usize,
    /// Requests in flight on one connection; more fail at once.
    pub in_flight: usize,
}

impl Limits {
    /// The usual ones. Answers that nobody reads are what takes memory, and at the status door anybody may ask: fewer
    /// in flight there.
    #[must_use]
    pub fn of(door: Door) -> Self {
        let (per_uid, reserved, in_flight) = match door {
            Door::Status => (16, 32, 8),
            Door::Control => (16, 0, 16),
            // All clients come as one user.
            Door::Peer | Door::Stream => (48, 0, 16),
        };
        Self { total: 64, per_uid, reserved, in_flight }
    }
}

/// The connections of one door.
#[derive(Clone, Debug)]
pub(super) struct Slots {
    limits: Limits,
    taken: Rc<RefCell<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    by_uid: HashMap<u32, usize>,
    all: usize,
    by_strangers: usize,
}

/// A connection's place; free again when it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    uid: u32,
    known: bool,
    taken: Rc<RefCell<Taken>>,
}

impl Slots {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, taken: Rc::default() }
    }

    /// A place for this peer, if there is one.
    pub(super) fn take(&self, peer: Peer, known: bool) -> Option<Slot> {
        let Limits { total, per_uid, reserved, .. } = self.limits;
        let mut taken = self.taken.borrow_mut();
        let own = taken.by_uid.get(&peer.uid).copied().unwrap_or_default();
        let room = taken.all < total
            && (own < per_uid || peer.uid == 0)
            && (known || taken.by_strangers < total.saturating_sub(reserved));
        if !room {
            return None;
        }
        taken.all += 1;
        taken.by_strangers += usize::from(!known);
        taken.by_uid.insert(peer.uid, own + 1);
        Some(Slot { uid: peer.uid, known, taken: self.taken.clone() })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.taken.borrow_mut();
        taken.all -= 1;
        taken.by_strangers -= usize::from(!self.known);
        if let Some(own) = taken.by_uid.get_mut(&self.uid) {
            *own -= 1;
            if *own == 0 {
                taken.by_uid.remove(&self.uid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { total: 6, per_uid: 2, reserved: 2, in_flight: 1 };

    fn peer(uid: u32) -> Peer {
        Peer { uid, gid: uid, pid: None }
    }

    #[test]
    fn one_user_cannot_take_the_room_of_others_nor_strangers_that_of_operators() {
        let slots = Slots::new(LIMITS);
        let mut inside = vec![slots.take(peer(1), false).unwrap(), slots.take(peer(1), false).unwrap()];
        assert!(slots.take(peer(1), false).is_none());
        inside.push(slots.take(peer(2), false).unwrap());
        inside.push(slots.take(peer(3), false).unwrap());
        assert!(slots.take(peer(4), false).is_none());
        inside.push(slots.take(peer(1000), true).unwrap());
        inside.push(slots.take(peer(0), true).unwrap());
        assert!(slots.take(peer(0), true).is_none());
    }

    #[test]
    fn who_leaves_makes_room_and_is_forgotten() {
        let slots = Slots::new(LIMITS);
        for _ in 0..100 {
            drop((slots.take(peer(1), false).unwrap(), slots.take(peer(1), false).unwrap()));
        }
        assert!(slots.taken.borrow().by_uid.is_empty());
        assert_eq!(slots.taken.borrow().all, 0);
    }
}
