//! Who may speak for which client, and what the config says of that one.

use crate::Recv;
use nix::unistd::geteuid;
use zam_names::{DatasetName, Kind, RelPath};
use zam_policy::config::{Config, Entry, Match};
use zam_protocol::{Door, Need, Peer, Refused, Role, recv::Client};
use zam_runtime::{
    audit::{self, Op, Outcome},
    doors,
    keeper::Shared,
};

/// The users that come through the peer door.
#[derive(Clone, Copy, Debug)]
pub struct Speakers {
    own: u32,
    ssh: Option<u32>,
    send: Option<u32>,
}

impl Speakers {
    /// Reads the user database: before the walls.
    pub fn look_up() -> Self {
        Self { own: geteuid().as_raw(), ssh: doors::uid_of("zam-ssh"), send: doors::uid_of("zam-send") }
    }

    /// Whether this user may speak for such a client: sshd's for those elsewhere, zamd-send's for this host itself. Root
    /// and the daemon's own user could do without asking.
    fn may(self, uid: u32, client: &Client) -> bool {
        let by_name = if client.name.is_some() { self.ssh } else { self.send };
        uid == 0 || uid == self.own || by_name == Some(uid)
    }
}

/// Every root below which something may arrive.
pub fn roots(config: &Config) -> Vec<DatasetName> {
    let replicas = config.entries.iter().filter(|entry| entry.enabled && entry.is_replica());
    replicas.map(|entry| entry.source.clone()).chain(local_roots(config)).collect()
}

/// The roots to which this host sends itself.
fn local_roots(config: &Config) -> impl Iterator<Item = DatasetName> {
    let senders = config.entries.iter().filter(|entry| entry.enabled && !entry.is_replica());
    senders.flat_map(|entry| &entry.destinations).filter_map(|destination| destination.local_root())
}

/// What the config says of a client: the entry of its root, none if this host only sends there.
///
/// # Errors
/// If this user may not speak for it, or the config does not know it with this root. Both are told in the audit trail.
pub fn known(shared: &Shared<Recv>, peer: Peer, request: &str, client: &Client) -> Result<Option<Entry>, Refused> {
    let config = shared.config();
    let speakers = shared.common.speakers.get();
    if !speakers.is_some_and(|speakers| speakers.may(peer.uid, client)) {
        let (uid, role, door, need) = (peer.uid, Role::Recv, Door::Peer, Need::Peer);
        let refused = Refused::NotPermitted { request: request.to_owned(), role, door, uid, need };
        return Err(refuse(shared, peer, request, client, refused));
    }
    let found = match &client.name {
        Some(name) => {
            config.replica_of(name, &client.root).filter(|entry| entry.enabled).map(|entry| Some(entry.clone()))
        }
        None if local_roots(&config).any(|root| root == client.root) => {
            let entry = config.replica_at(&client.root);
            entry.is_none_or(|entry| entry.enabled).then(|| entry.cloned())
        }
        None => None,
    };
    found.ok_or_else(|| {
        let why = match &client.name {
            Some(name) => format!("no entry of `replicas` has client = \"{name}\" and root = \"{}\"", client.root),
            None => format!("no destination on this host has the root {}", client.root),
        };
        refuse(shared, peer, request, client, Refused::NotFound { name: format!("client {client}"), why })
    })
}

/// Where a path of the client's is, and the entry that says how it is kept.
///
/// # Errors
/// If its name gets too long, or the config leaves it out. Told in the audit trail.
pub fn place(
    shared: &Shared<Recv>,
    peer: Peer,
    request: &str,
    client: &Client,
    path: &RelPath,
    kind: Option<Kind>,
) -> Result<(DatasetName, Option<Entry>), Refused> {
    let root = known(shared, peer, request, client)?;
    let invalid = |error: zam_names::NameError| Refused::Invalid { what: request.to_owned(), why: error.to_string() };
    let dataset = path.below(&client.root).map_err(|error| refuse(shared, peer, request, client, invalid(error)))?;
    if root.is_none() {
        return Ok((dataset, None));
    }
    let config = shared.config();
    let kinds = kind.map_or(vec![Kind::Filesystem, Kind::Volume], |kind| vec![kind]);
    let covers = kinds.into_iter().map(|kind| config.entry_for(&dataset, kind)).find_map(Match::entry);
    match covers.filter(|entry| entry.client == client.name || client.name.is_none()) {
        Some(entry) => Ok((dataset, Some(entry.clone()))),
        None => Err(refuse(shared, peer, request, client, Refused::NotManaged { dataset })),
    }
}

/// Tells the audit trail, unless this user has filled enough of it, and passes the refusal on.
pub fn refuse(shared: &Shared<Recv>, peer: Peer, request: &str, client: &Client, refused: Refused) -> Refused {
    if let Some(untold) = shared.common.quiet.borrow_mut().may_tell(peer.uid) {
        let what = format!("{request} for {client}");
        let why = if untold == 0 { String::new() } else { format!("{untold} earlier ones were not told") };
        let outcome = refused.to_string();
        let act = audit::Act::new(Op::Refuse, &what, &why, Outcome::Failed(&outcome));
        audit::Act { uid: Some(peer.uid), ..act }.log();
    }
    refused
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_speaks_for_its_own_kind() {
        let speakers = Speakers { own: 900, ssh: Some(901), send: Some(902) };
        let root: DatasetName = "nas/a".parse().unwrap();
        let remote = Client { name: Some("a".into()), root: root.clone() };
        let local = Client { name: None, root };
        for (uid, for_remote, for_local) in
            [(0, true, true), (900, true, true), (901, true, false), (902, false, true), (903, false, false)]
        {
            assert_eq!((speakers.may(uid, &remote), speakers.may(uid, &local)), (for_remote, for_local), "{uid}");
        }
        let nobody = Speakers { own: 900, ssh: None, send: None };
        assert!(!nobody.may(901, &remote));
    }
}
