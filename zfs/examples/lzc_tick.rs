//! The bare calls that a tick comes to, timed: one `lzc_snapshot` and one `lzc_hold` for all names. For the lab, to lay zam's
//! own ticks beside; as a user who may do both, with the library there.
//!
//! ```text
//! zfs list -H -o name -r tank | lzc_tick TAG [HOLD]     prints how many, and the milliseconds of each call
//! ```

use std::error::Error;
use std::io::stdin;
use std::time::Instant;
use zam_names::{DatasetName, HoldTag, SnapTag, SnapshotName};
use zam_zfs::{Batch, Keeper, Open, Snapshotter};

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let tag: SnapTag = words.next().ok_or("usage: lzc_tick TAG [HOLD]")?.parse()?;
    let hold: HoldTag = words.next().unwrap_or_else(|| "zam".to_owned()).parse()?;
    let names: Vec<SnapshotName> = stdin()
        .lines()
        .map(|line| Ok(line?.parse::<DatasetName>()?.at(&tag)?))
        .collect::<Result<_, Box<dyn Error>>>()?;
    let door = Open::Real.for_snap();
    let snapshot = timed("snapshot", || door.snapshot(&names))?;
    let hold = timed("hold", || door.hold(&hold, &names))?;
    println!("names {} snapshot {snapshot} hold {hold} milliseconds", names.len());
    Ok(())
}

fn timed(what: &str, call: impl FnOnce() -> Batch<SnapshotName>) -> Result<u128, Box<dyn Error>> {
    let began = Instant::now();
    let batch = call();
    match batch.failed.first() {
        None => Ok(began.elapsed().as_millis()),
        Some(failed) => Err(format!("{what} {}: {}", failed.what, failed.why).into()),
    }
}
