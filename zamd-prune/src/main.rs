//! zamd-prune: destroys what has expired and is released. The second of the two keys: it cannot release.
#![forbid(unsafe_code)]

mod destroy;
mod hands;
mod orders;
mod round;
mod service;

use std::{process::ExitCode, rc::Rc};
use zam_names::DatasetName;
use zam_policy::config::Entry;
use zam_protocol::{Peer, Role, prune::Prune as _, prune::PruneStatus, prune::ServePrune};
use zam_runtime::{
    daemon::{self, Daemon},
    keeper::{Keeper, Order, Part, Round, Shared},
};
use zam_zfs::Open;

fn main() -> ExitCode {
    daemon::main::<Prune>()
}

/// The role.
struct Prune;

impl Part for Prune {
    type Act = hands::Act;
    type Order = orders::Wish;
    type Row = PruneStatus;
    type Memory = round::Memory;
    type Common = ();

    async fn round(keeper: &mut Keeper<Self>, orders: Vec<Order<Self>>) -> Result<Round<PruneStatus>, String> {
        round::round(keeper, orders).await
    }

    fn missing(dataset: DatasetName, entry: &Entry, why: String) -> PruneStatus {
        round::empty_row(dataset, entry, why)
    }
}

impl Daemon for Prune {
    const ROLE: Role = Role::Prune;
    const ABOUT: &'static str = "Destroy the snapshots that have expired by the config and that nothing holds";
    type Hands = hands::PruneHands;
    type Service = ServePrune<service::Desk>;

    fn hands(zfs: &Open) -> hands::PruneHands {
        hands::PruneHands(zfs.for_prune())
    }

    fn service(shared: Rc<Shared<Self>>, peer: Peer) -> Self::Service {
        service::Desk { shared, peer }.serve()
    }
}
