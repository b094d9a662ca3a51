//! zamd-watch: finds out what is wrong, by its own listings, its own clock and the other daemons' status doors, and tells
//! people. It has no right at all: no grant, no verb, no control door of anybody.
#![forbid(unsafe_code)]

mod beat;
mod deliver;
mod desk;
mod ears;
mod eyes;
mod failed;
mod judge;
mod login;
mod metrics;
mod post;

use post::Way;
use serde::{Deserialize, Serialize};
use std::{
    cell::{Cell, OnceCell, RefCell},
    collections::BTreeMap,
    convert::Infallible,
    process::ExitCode,
    rc::Rc,
    time::Duration,
};
use tokio_util::sync::CancellationToken;
use zam_names::{DatasetName, PoolName, UnixTime};
use zam_policy::{alarm::Board, config::Entry, fresh::Sights};
use zam_protocol::{
    Peer, Role,
    watch::{ServeWatch, Watch as _, WatchStatus},
};
use zam_runtime::{
    args::Args,
    clock,
    daemon::{self, Daemon},
    keeper::{Acted, Hands, Held, Keeper, Order, Part, Round, Shared, chain},
    notes_store::Store,
};
use zam_zfs::{Lister, Open};

fn main() -> ExitCode {
    daemon::main::<Watch>()
}

/// The role.
struct Watch;

/// What it must remember.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    /// The alarms.
    board: Board,
    /// What was newest when.
    sights: Sights,
    /// What is to be delivered.
    outbox: Vec<post::Parcel>,
}

/// What the daemon knows while it runs.
#[derive(Default)]
struct Common {
    /// What must be remembered.
    kept: OnceCell<RefCell<Store<Kept>>>,
    /// What each pool's last listing came to.
    lands: RefCell<BTreeMap<PoolName, eyes::Land>>,
    /// What the other daemons last said.
    ears: RefCell<ears::Ears>,
    /// How the ways work on which messages go out.
    post: post::Post,
    /// Whether all that is to be known was known at the last beat.
    looked: Cell<bool>,
    /// How often all is judged.
    beat: Cell<Option<Duration>>,
}

/// How often all is judged, and how long a daemon may be silent, where no test says otherwise.
const BEAT: Duration = Duration::from_secs(10);

impl Common {
    fn beat(&self) -> Duration {
        self.beat.get().unwrap_or(BEAT)
    }

    /// The notes, which are opened before anything else is done.
    fn kept(&self) -> Option<&RefCell<Store<Kept>>> {
        self.kept.get()
    }
}

impl Part for Watch {
    type Act = eyes::Bookmarks;
    type Order = Infallible;
    type Row = WatchStatus;
    type Memory = ();
    type Common = Common;

    async fn round(keeper: &mut Keeper<Self>, _: Vec<Order<Self>>) -> Result<Round<WatchStatus>, String> {
        eyes::round(keeper).await
    }

    fn missing(dataset: DatasetName, _: &Entry, _: String) -> WatchStatus {
        WatchStatus { dataset, newest: None, snapshots: 0, stale_after: None, copies: Vec::new() }
    }
}

impl Daemon for Watch {
    const ROLE: Role = Role::Watch;
    const ABOUT: &'static str = "Find out what is wrong with snapshots, copies and daemons, and tell people";
    type Hands = WatchHands;
    type Service = ServeWatch<desk::Desk>;

    fn hands(zfs: &Open) -> WatchHands {
        WatchHands(zfs.lister())
    }

    fn service(shared: Rc<Shared<Self>>, peer: Peer) -> Self::Service {
        desk::Desk { shared, peer }.serve()
    }

    fn prepare(shared: &Shared<Self>, args: &Args) -> Result<(), String> {
        let kept = Store::open(&args.state_dir, Role::Watch, "alarms").map_err(|error| chain(&error))?;
        // Set once, here.
        let _ = shared.common.kept.set(RefCell::new(kept));
        if args.simulate.is_some() {
            // Nobody waits a minute in a test.
            let short = std::env::var("ZAM_TEST_BEAT_MS").ok().and_then(|text| text.parse().ok());
            shared.common.beat.set(short.map(Duration::from_millis));
        }
        Ok(())
    }

    fn begin(shared: &Rc<Shared<Self>>, stop: &CancellationToken) {
        tokio::task::spawn_local(beat::keep(Rc::clone(shared), stop.clone()));
        tokio::task::spawn_local(metrics::keep(Rc::clone(shared), stop.clone()));
        for way in [Way::Mail, Way::Webhook, Way::Program, Way::Ping] {
            tokio::task::spawn_local(post::keep(Rc::clone(shared), way, stop.clone()));
        }
    }

    fn task(_: &Open, order: &str) -> Result<(), String> {
        deliver::run(order)
    }
}

/// A worker's hands, which only look.
struct WatchHands(Box<dyn Lister + Send>);

impl Hands for WatchHands {
    type Act = eyes::Bookmarks;

    fn lister(&self) -> &dyn Lister {
        &*self.0
    }

    fn act(&mut self, eyes::Bookmarks(pool): eyes::Bookmarks) -> (Acted, Option<Held>) {
        let acted = match self.0.bookmarks(&pool) {
            Ok(bookmarks) => Acted::Copies { bookmarks, facts: Vec::new() },
            Err(error) => Acted::Failed(chain(&error)),
        };
        (acted, None)
    }
}

/// Now; without a clock the epoch, at which nothing is stale.
fn now() -> UnixTime {
    clock::wall().unwrap_or(UnixTime(0))
}
