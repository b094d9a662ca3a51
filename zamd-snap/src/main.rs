//! zamd-snap: takes snapshots, holds them, releases what has expired. The first of the two keys: it cannot destroy.
#![forbid(unsafe_code)]

mod hands;
mod hook;
mod orders;
mod round;
mod service;
mod take;

use std::{process::ExitCode, rc::Rc};
use zam_names::{DatasetName, UnixTime};
use zam_policy::{config::Entry, when::When};
use zam_protocol::{Peer, Role, snap::ServeSnap, snap::Snap as _, snap::SnapStatus};
use zam_runtime::{
    daemon::{self, Daemon},
    keeper::{Keeper, Order, Part, Round, Shared},
};
use zam_zfs::Open;

fn main() -> ExitCode {
    daemon::main::<Snap>()
}

/// The role.
struct Snap;

impl Part for Snap {
    type Act = hands::Act;
    type Order = orders::Wish;
    type Row = SnapStatus;
    type Memory = round::Memory;
    type Common = hook::Hooks;

    async fn round(keeper: &mut Keeper<Self>, orders: Vec<Order<Self>>) -> Result<Round<SnapStatus>, String> {
        round::round(keeper, orders).await
    }

    fn when(entry: &Entry) -> Option<&When> {
        entry.run_when.snapshots.as_ref()
    }

    fn missing(dataset: DatasetName, entry: &Entry, why: String) -> SnapStatus {
        round::empty_row(dataset, entry, why)
    }
}

impl Daemon for Snap {
    const ROLE: Role = Role::Snap;
    const ABOUT: &'static str = "Take snapshots by the config, hold them, and release the holds of what has expired";
    type Hands = hands::SnapHands;
    type Service = ServeSnap<service::Desk>;

    fn hands(zfs: &Open) -> hands::SnapHands {
        hands::SnapHands(zfs.for_snap())
    }

    fn service(shared: Rc<Shared<Self>>, peer: Peer) -> Self::Service {
        service::Desk { shared, peer }.serve()
    }
}

/// Now; a round that cannot read the clock does nothing.
fn now() -> Result<UnixTime, String> {
    zam_runtime::clock::wall().map_err(|error| format!("the clock cannot be read: {error}"))
}
