//! The administrator of simulated pools, for shell scripts: `sim FOLDER < SCRIPT`, in the words of `zam_zfs::sim::Admin`.

use std::env::args_os;
use std::error::Error;
use std::io::{Read, stdin};
use std::path::Path;
use zam_zfs::sim::Admin;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = args_os().nth(1).ok_or("usage: sim FOLDER < SCRIPT")?;
    let mut script = String::new();
    stdin().read_to_string(&mut script)?;
    Ok(Admin::open(Path::new(&folder))?.script(&script)?)
}
