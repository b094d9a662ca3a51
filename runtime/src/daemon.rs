//! A daemon from its first breath to its last: command line, config, sockets, walls, pools, doors.

use crate::{
    Role,
    args::{Args, Inner},
    audit,
    config::Live,
    doors::{Doorkeeper, People},
    keeper::{Hands, Keeper, Part, Shared, chain, serve},
    machine,
    sandbox::{self, Reach},
    signals, systemd, worker,
};
use std::{collections::BTreeMap, future::Future, path::Path, process::ExitCode, rc::Rc, sync::Arc};
use tarpc::server::Serve;
use tokio::{
    net::UnixStream,
    task::{JoinHandle, LocalSet},
};
use tokio_util::sync::CancellationToken;
use zam_names::PoolName;
use zam_protocol::{Ask, Door, Peer};
use zam_zfs::Open;

/// How often a pool's task that ended by a bug is looked for.
const REVIVE: std::time::Duration = std::time::Duration::from_secs(30);
/// Bad usage or bad config.
const BAD_CONFIG: u8 = 2;

/// What makes a role of a daemon.
pub trait Daemon: Part {
    /// Which.
    const ROLE: Role;
    /// What it is, for `--help`.
    const ABOUT: &'static str;
    /// What its workers act with.
    type Hands: Hands<Act = Self::Act>;
    /// What answers one connection.
    type Service: Serve<Req: Ask<Answer = <Self::Service as Serve>::Resp>> + Clone + 'static;

    /// Opens the role's door to ZFS.
    fn hands(zfs: &Open) -> Self::Hands;
    /// Answers a peer.
    fn service(shared: Rc<Shared<Self>>, peer: Peer) -> Self::Service;

    /// Before the walls: what needs the world as it was, such as a process that gets walls of its own.
    ///
    /// # Errors
    /// If the daemon cannot go on without it.
    fn prepare(_shared: &Shared<Self>, _args: &Args) -> Result<(), String> {
        Ok(())
    }

    /// Once the doors are open. What it spawns locally ends with the daemon, at the latest five seconds after `stop`.
    fn begin(_shared: &Rc<Shared<Self>>, _stop: &CancellationToken) {}

    /// Takes a connection to the stream door, of a role that has one.
    fn stream(_shared: Rc<Shared<Self>>, _guest: UnixStream, _peer: Peer) -> impl Future<Output = ()> {
        std::future::ready(())
    }

    /// In a process of its own (`task ORDER`), behind the walls of the daemon that started it: one thing that may hang, or
    /// that must be able to be killed.
    ///
    /// # Errors
    /// What it has to say; the process then ends with a failure.
    fn task(_zfs: &Open, order: &str) -> Result<(), String> {
        Err(format!("{} knows no task: {order}", Self::ROLE))
    }
}

/// The program: the daemon, or one of its workers, or a command behind its walls.
pub fn main<D: Daemon>() -> ExitCode {
    let args = Args::parse(D::ROLE, D::ABOUT);
    audit::start(D::ROLE);
    let ended = match &args.inner {
        Some(Inner::Worker { pool }) => serve(D::hands(&door(D::ROLE, &args)), pool.clone()).map_err(|e| chain(&e)),
        Some(Inner::Task { order }) => worker::end_with_parent()
            .map_err(|error| chain(&error))
            .and_then(|()| D::task(&door(D::ROLE, &args), order)),
        Some(Inner::Sandboxed { command }) => Err(chain(&sandbox::exec(D::ROLE, command))),
        None => return daemon::<D>(&args),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn daemon<D: Daemon>(args: &Args) -> ExitCode {
    let live = match Live::load(&args.config) {
        Ok(live) => live,
        Err(error) => {
            eprintln!("{}: {}", D::ROLE.daemon(), chain(&error));
            return ExitCode::from(BAD_CONFIG);
        }
    };
    if args.check {
        println!("config ok: {} entries in {}", live.config().entries.len(), args.config.display());
        return ExitCode::SUCCESS;
    }
    match start::<D>(args, live) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Everything that needs the world as it was before the walls, then the walls, then the runtime: a filter holds for the
/// threads that come after it.
fn start<D: Daemon>(args: &Args, live: Live) -> Result<(), String> {
    sandbox::assert_lowly(D::ROLE, args.footing()).map_err(|error| chain(&error))?;
    let people = Arc::new(People::look_up());
    let sockets = systemd::sockets(&args.runtime_dir, D::ROLE).map_err(|error| chain(&error))?;
    let shared = Rc::new(Shared::<D>::new(D::ROLE, args, live)?);
    D::prepare(&shared, args)?;
    if !reach(D::ROLE, args).confine().map_err(|error| chain(&error))? {
        tracing::warn!(
            "Landlock is not to be had here: what files {} reaches is its user's and its unit's to bound; a kernel from 5.13 on has it, where the unit's SystemCallFilter= lets it through",
            D::ROLE
        );
    }
    sandbox::install(D::ROLE).map_err(|error| chain(&error))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| chain(&error))?;
    let local = LocalSet::new();
    local.block_on(&runtime, serve_until_stopped(shared, people, sockets)).map_err(|error| chain(&error))
}

/// The files of a role: its config, which is read again, its own folder, and where its sockets are.
fn reach(role: Role, args: &Args) -> Reach {
    let mut reach = Reach::of(args.footing());
    (reach.connects, reach.listens) = (matches!(role, Role::Send | Role::Watch), role == Role::Watch);
    let config = [Some(args.config.clone()), args.config.canonicalize().ok()];
    reach.read.extend(config.iter().flatten().filter_map(|file| file.parent()).map(Path::to_owned));
    reach.write.extend([args.state_dir.join(role.folder()), args.runtime_dir.join(role.folder())]);
    reach.write.extend(args.simulate.clone());
    reach
}

async fn serve_until_stopped<D: Daemon>(
    shared: Rc<Shared<D>>,
    people: Arc<People>,
    sockets: systemd::Sockets,
) -> std::io::Result<()> {
    let mut signals = signals::watch()?;
    let mut watchdog = systemd::Watchdog::default();
    let doors = sockets.into_iter().map(|(door, listener)| {
        let keeper = Doorkeeper::new(door, people.clone(), signals.stop.clone());
        let shared = shared.clone();
        let listener = tokio::net::UnixListener::from_std(listener)?;
        Ok(match door {
            Door::Stream => tokio::task::spawn_local(
                keeper.serve_streams(listener, async move |guest, peer| D::stream(shared.clone(), guest, peer).await),
            ),
            _ => tokio::task::spawn_local(keeper.serve(listener, move |peer| D::service(shared.clone(), peer))),
        })
    });
    let doors: Vec<JoinHandle<()>> = doors.collect::<std::io::Result<_>>()?;
    tokio::task::spawn_local(machine::watch(Rc::clone(&shared), signals.stop.clone()));
    D::begin(&shared, &signals.stop);
    let mut pools = Pools::new(shared.clone());
    pools.follow_the_config();
    systemd::ready(&pools.line());
    loop {
        tokio::select! {
            () = signals.stop.cancelled() => break,
            Some(()) = signals.reload.recv() => {
                systemd::reloading();
                // What is wrong with it was said by `reload`; the old config goes on.
                if shared.reload().is_ok() {
                    pools.follow_the_config();
                }
                systemd::ready(&pools.line());
            }
            () = watchdog.due() => watchdog.pet(),
            () = tokio::time::sleep(REVIVE) => pools.revive(),
        }
    }
    systemd::stopping();
    pools.stop().await;
    // The doors finish the calls in flight by themselves, within their own bound.
    for door in doors {
        if let Err(error) = door.await {
            tracing::error!(%error, "a door did not end well");
        }
    }
    Ok(())
}

/// The tasks of the pools that the config speaks of.
struct Pools<D: Daemon> {
    shared: Rc<Shared<D>>,
    tasks: BTreeMap<PoolName, (CancellationToken, JoinHandle<()>)>,
}

impl<D: Daemon> Pools<D> {
    fn new(shared: Rc<Shared<D>>) -> Self {
        Self { shared, tasks: BTreeMap::new() }
    }

    /// Starts and stops tasks so that there is one for each configured pool, and wakes those that stay.
    fn follow_the_config(&mut self) {
        let wanted = D::pools(&self.shared.config());
        self.tasks.retain(|pool, (stop, task)| {
            // A task that panicked is replaced like one that is new.
            if wanted.contains(pool) && !task.is_finished() {
                return true;
            }
            stop.cancel();
            self.shared.leave(pool);
            false
        });
        for pool in wanted {
            if self.tasks.contains_key(&pool) {
                self.shared.wake(&pool);
                continue;
            }
            self.begin(pool);
        }
    }

    /// Replaces tasks that ended, which they only do by a bug.
    fn revive(&mut self) {
        let dead: Vec<PoolName> =
            self.tasks.iter().filter(|(_, (_, task))| task.is_finished()).map(|(pool, _)| pool.clone()).collect();
        for pool in dead {
            tracing::error!(%pool, "the pool's task ended, which is a bug; starting it again");
            self.tasks.remove(&pool);
            self.shared.leave(&pool);
            self.begin(pool);
        }
    }

    fn begin(&mut self, pool: PoolName) {
        let stop = CancellationToken::new();
        let orders = self.shared.enter(pool.clone());
        let keeper = Keeper::new(pool.clone(), self.shared.clone());
        let task = tokio::task::spawn_local(keeper.run(orders, stop.clone()));
        self.tasks.insert(pool, (stop, task));
    }

    /// Lets each round that is under way end, and no new one begin.
    async fn stop(self) {
        for (stop, _) in self.tasks.values() {
            stop.cancel();
        }
        for (pool, (_, task)) in self.tasks {
            let patience = std::time::Duration::from_secs(30);
            if tokio::time::timeout(patience, task).await.is_err() {
                tracing::warn!(%pool, "the pool does not answer; leaving without it");
            }
        }
    }

    fn line(&self) -> String {
        let pools: Vec<&str> = self.tasks.keys().map(PoolName::as_str).collect();
        if pools.is_empty() { "no pool is configured".to_owned() } else { format!("keeping {}", pools.join(", ")) }
    }
}

fn door(role: Role, args: &Args) -> Open {
    match &args.simulate {
        None => Open::Real,
        Some(folder) => Open::Sim { folder: folder.clone(), user: crate::role::user(role).to_owned() },
    }
}
