//! Clearing what a stream that was cut has left. ZFS has it that this takes the verb that destroys, which zamd-recv shall
//! not have: a process of its own, started before the daemon's walls, has it, and for each dataset starts one more, whose
//! only word is the dataset's name.

use crate::task::Task;
use std::{
    io,
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use zam_names::DatasetName;
use zam_protocol::Refused;
use zam_runtime::{
    sandbox::{self, Footing, Reach},
    worker,
    worker::Aside,
};
use zam_zfs::{Clearer, Open};

/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(45);

/// Starts the process. Before the walls.
pub fn start() -> io::Result<Aside> {
    Aside::start(&["task", &Task::Clearer.to_json()?])
}

/// Asks it.
///
/// # Errors
/// If ZFS refuses, or the process is gone.
pub async fn clear(aside: &Aside, dataset: &DatasetName) -> Result<(), Refused> {
    let answer: io::Result<Result<(), String>> = aside.ask(dataset, PATIENCE + Duration::from_secs(5)).await;
    let failed = |why| Refused::Failed { what: format!("clearing {dataset}"), why };
    answer.map_err(|error| failed(error.to_string()))?.map_err(failed)
}

/// In the process: its walls, then a child for each question.
pub fn serve(zfs: &Open) -> Result<(), String> {
    let reach = match zfs {
        Open::Real => Reach::of(Footing::Real),
        Open::Sim { folder, .. } => Reach { write: vec![folder.clone()], ..Reach::of(Footing::Simulated) },
    };
    // Where the kernel has it; where not, the daemon says so.
    let _ = reach.confine().map_err(|error| zam_runtime::keeper::chain(&error))?;
    sandbox::install_for_clearing().map_err(|error| zam_runtime::keeper::chain(&error))?;
    worker::serve(|dataset: DatasetName| in_a_child(&dataset).map_err(|error| error.to_string()))
        .map_err(|error| error.to_string())
}

/// In the child.
pub fn run(zfs: &Open, dataset: &DatasetName) -> Result<(), String> {
    zfs.for_clear().clear(dataset).map_err(|error| error.to_string())
}

/// A pool that hangs must not take the others with it: the child is left behind then.
fn in_a_child(dataset: &DatasetName) -> io::Result<()> {
    // This process has the daemon's words, then `task` and its order.
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    let daemons = args.len().saturating_sub(2);
    let mut child = Command::new("/proc/self/exe")
        .args(&args[..daemons])
        .args(["task", &Task::Clear(dataset.clone()).to_json()?])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()?;
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        match child.try_wait()? {
            Some(status) if status.success() => return Ok(()),
            Some(_) => return Err(io::Error::other("ZFS refused; the journal of zamd-recv says why")),
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    }
    // Gone already is as good.
    let _ = child.kill();
    Err(io::Error::other("the pool does not answer"))
}
