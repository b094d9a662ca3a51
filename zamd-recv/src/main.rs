//! zamd-recv: takes streams in on a replica, below each client's root, and holds what arrived. It cannot release, and
//! destroys nothing: what a stream that was cut has left is cleared by a process with other walls.
#![forbid(unsafe_code)]

mod book;
mod clear;
mod clients;
mod desk;
mod hands;
mod late;
mod pair;
mod round;
mod seats;
mod stream;
mod task;

use std::{
    cell::{Cell, OnceCell, RefCell},
    collections::BTreeMap,
    process::ExitCode,
    rc::Rc,
    time::{Duration, Instant},
};
use tokio::net::UnixStream;
use zam_names::{DatasetName, PoolName};
use zam_policy::config::{Config, Entry};
use zam_protocol::{
    Peer, Role,
    recv::{Recv as _, RecvStatus, ServeRecv},
};
use zam_runtime::{
    args::Args,
    daemon::{self, Daemon},
    doors::Quiet,
    keeper::{Keeper, Order, Part, Round, Shared},
    worker::Aside,
};
use zam_zfs::Open;

fn main() -> ExitCode {
    daemon::main::<Recv>()
}

/// The role.
struct Recv;

/// What the daemon knows while it runs.
#[derive(Default)]
struct Common {
    /// The streams that were announced, come, or are over.
    book: book::Book,
    /// What the pools were last seen to have.
    tables: RefCell<BTreeMap<PoolName, round::Table>>,
    /// Who may speak for whom.
    speakers: OnceCell<clients::Speakers>,
    /// How many sessions each client has.
    seats: seats::Seats,
    /// The processes that wait for the next stream.
    pairs: RefCell<Vec<pair::Pair>>,
    /// The process that clears.
    clearer: OnceCell<Aside>,
    /// How much is told of refusals.
    quiet: RefCell<Quiet>,
    /// How long a stream may be silent.
    silence: Cell<Option<Duration>>,
    /// The pools at which a look is due soon anyway, and when something last arrived there.
    wakes: RefCell<BTreeMap<PoolName, Instant>>,
}

impl Part for Recv {
    type Act = hands::Act;
    type Order = round::Wish;
    type Row = RecvStatus;
    type Memory = late::Memory;
    type Common = Common;

    async fn round(keeper: &mut Keeper<Self>, orders: Vec<Order<Self>>) -> Result<Round<RecvStatus>, String> {
        round::round(keeper, orders).await
    }

    fn concerns(entry: &Entry) -> bool {
        entry.is_replica()
    }

    fn pools(config: &Config) -> Vec<PoolName> {
        let mut pools: Vec<PoolName> = clients::roots(config).iter().map(DatasetName::pool).collect();
        pools.sort();
        pools.dedup();
        pools
    }

    fn missing(dataset: DatasetName, entry: &Entry, why: String) -> RecvStatus {
        round::empty_row(dataset, entry, why)
    }
}

impl Daemon for Recv {
    const ROLE: Role = Role::Recv;
    const ABOUT: &'static str = "Take in the snapshots that clients send, below their roots, and hold them";
    type Hands = hands::RecvHands;
    type Service = ServeRecv<desk::Desk>;

    fn hands(zfs: &Open) -> hands::RecvHands {
        hands::RecvHands(zfs.for_recv())
    }

    fn service(shared: Rc<Shared<Self>>, peer: Peer) -> Self::Service {
        desk::Desk { shared, peer, seat: Rc::default(), looking: desk::Looking::default() }.serve()
    }

    fn prepare(shared: &Shared<Self>, args: &Args) -> Result<(), String> {
        let common = &shared.common;
        // Set once, here.
        let _ = common.speakers.set(clients::Speakers::look_up());
        if args.simulate.is_some() {
            // Nobody waits ten minutes in a test.
            let short = std::env::var("ZAM_TEST_SILENCE_MS").ok().and_then(|text| text.parse().ok());
            common.silence.set(short.map(Duration::from_millis));
        }
        let clearer = clear::start().map_err(|error| format!("cannot start the process that clears: {error}"))?;
        let _ = common.clearer.set(clearer);
        Ok(())
    }

    async fn stream(shared: Rc<Shared<Self>>, guest: UnixStream, peer: Peer) {
        stream::attend(&shared, guest, peer).await;
    }

    fn task(zfs: &Open, order: &str) -> Result<(), String> {
        task::run(zfs, order)
    }
}
