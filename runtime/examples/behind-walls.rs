//! Runs a command behind a role's walls: `behind-walls snap|prune COMMAND…`, for tests and the lab.
#![forbid(unsafe_code)]

use std::{error::Error, ffi::OsString, process::ExitCode};
use zam_runtime::{Role, sandbox};

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let role = match args.next().as_deref().and_then(|role| role.to_str()) {
        Some("snap") => Role::Snap,
        Some("prune") => Role::Prune,
        _ => {
            eprintln!("behind-walls snap|prune COMMAND…");
            return ExitCode::from(2);
        }
    };
    let error = sandbox::exec(role, &args.collect::<Vec<OsString>>());
    eprintln!("behind-walls: {error} ({})", error.source().map(ToString::to_string).unwrap_or_default());
    ExitCode::from(126)
}
