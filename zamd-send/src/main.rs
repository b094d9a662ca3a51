//! zamd-send: sends snapshots to replicas, step by step from what both sides have, and leaves a bookmark of each. It can
//! read what it sends, and neither hold, nor release, nor destroy anything.
#![forbid(unsafe_code)]

mod copies;
mod desk;
mod floor;
mod keep;
mod lane;
mod maker;
mod pace;
mod place;
mod plan;
mod round;
mod run;
mod session;
mod task;
mod ticket;

use std::{
    cell::{Cell, OnceCell, RefCell},
    collections::BTreeMap,
    process::ExitCode,
    rc::Rc,
};
use tokio_util::sync::CancellationToken;
use zam_names::{DatasetName, PoolName, UnixTime};
use zam_policy::{config::Entry, when::When};
use zam_protocol::{
    Peer, Role,
    send::{Send as _, SendStatus, ServeSend},
};
use zam_runtime::{
    args::Args,
    clock,
    daemon::{self, Daemon},
    keeper::{Keeper, Order, Part, Round, Shared, chain},
    notes_store::Store,
};
use zam_zfs::Open;

fn main() -> ExitCode {
    daemon::main::<Send>()
}

/// The role.
struct Send;

/// What the daemon knows while it runs.
#[derive(Default)]
struct Common {
    /// What the pools of sources were last seen to have.
    tables: RefCell<BTreeMap<PoolName, Rc<copies::Table>>>,
    /// What the places were last heard to have.
    remotes: RefCell<BTreeMap<place::Place, Rc<copies::Remote>>>,
    /// How each copy stands.
    copies: RefCell<BTreeMap<copies::Key, copies::Copy>>,
    /// The task of each place.
    places: RefCell<keep::Places>,
    /// What is remembered of copies.
    notes: OnceCell<RefCell<Store<copies::Notes>>>,
    /// How places are reached.
    ways: OnceCell<place::Ways>,
    /// How many runs there were.
    runs: Cell<u64>,
    /// The end of it all.
    stop: OnceCell<CancellationToken>,
}

impl Part for Send {
    type Act = round::Act;
    type Order = round::Wish;
    type Row = SendStatus;
    type Memory = ();
    type Common = Common;

    async fn round(keeper: &mut Keeper<Self>, orders: Vec<Order<Self>>) -> Result<Round<SendStatus>, String> {
        round::round(keeper, orders).await
    }

    fn concerns(entry: &Entry) -> bool {
        !entry.is_replica() && !entry.destinations.is_empty()
    }

    fn when(entry: &Entry) -> Option<&When> {
        entry.run_when.replication.as_ref()
    }

    fn missing(dataset: DatasetName, entry: &Entry, why: String) -> SendStatus {
        round::empty_row(dataset, entry, why)
    }
}

impl Daemon for Send {
    const ROLE: Role = Role::Send;
    const ABOUT: &'static str = "Send snapshots to replicas, step by step, and leave a bookmark of each";
    type Hands = round::SendHands;
    type Service = ServeSend<desk::Desk>;

    fn hands(zfs: &Open) -> round::SendHands {
        round::SendHands(zfs.for_send())
    }

    fn service(shared: Rc<Shared<Self>>, peer: Peer) -> Self::Service {
        desk::Desk { shared, peer }.serve()
    }

    fn prepare(shared: &Shared<Self>, args: &Args) -> Result<(), String> {
        let notes = Store::open(&args.state_dir, Role::Send, "copies").map_err(|error| chain(&error))?;
        let simulated = args.simulate.is_some();
        // Tests have no sshd.
        let ssh = std::env::var_os("ZAM_TEST_SSH").filter(|_| simulated).map(Into::into);
        let ways = place::Ways::new(&args.config, &shared.folder, &args.runtime_dir, ssh);
        ways.tidy();
        // Set once, here.
        let _ = (shared.common.notes.set(RefCell::new(notes)), shared.common.ways.set(ways));
        Ok(())
    }

    fn begin(shared: &Rc<Shared<Self>>, stop: &CancellationToken) {
        let _ = shared.common.stop.set(stop.clone());
        keep::follow(shared);
    }

    fn task(zfs: &Open, order: &str) -> Result<(), String> {
        task::run(zfs, order)
    }
}

/// Now; without a clock the epoch, at which nothing is due.
fn now() -> UnixTime {
    clock::wall().unwrap_or(UnixTime(0))
}
