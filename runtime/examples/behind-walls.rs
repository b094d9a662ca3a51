//! Runs a command behind walls: `behind-walls snap|prune|send|recv|watch|clearing|bare|files COMMAND…`, for tests and the lab.
#![forbid(unsafe_code)]

use std::{
    error::Error, ffi::OsString, os::unix::process::CommandExt, path::PathBuf, process::Command, process::ExitCode,
};
use zam_runtime::{
    Role,
    sandbox::{self, Reach},
};

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let walls = match args.next().as_deref().and_then(|walls| walls.to_str()) {
        Some("snap") => sandbox::install(Role::Snap),
        Some("prune") => sandbox::install(Role::Prune),
        Some("send") => sandbox::install(Role::Send),
        Some("recv") => sandbox::install(Role::Recv),
        Some("watch") => sandbox::install(Role::Watch),
        Some("clearing") => sandbox::install_for_clearing(),
        Some("bare") => sandbox::install_bare(),
        // `files FOLDER… : COMMAND…`: those to write to, and what every program reads.
        Some("files") => {
            let write = args.by_ref().map(PathBuf::from).take_while(|path| path.as_os_str() != ":").collect();
            match (Reach { write, ..Reach::default() }).confine() {
                Ok(true) => Ok(()),
                Ok(false) => {
                    eprintln!("behind-walls: no Landlock");
                    return ExitCode::from(125);
                }
                Err(error) => Err(error),
            }
        }
        _ => {
            eprintln!("behind-walls snap|prune|send|recv|watch|clearing|bare|files COMMAND…");
            return ExitCode::from(2);
        }
    };
    let command: Vec<OsString> = args.collect();
    let why = match (walls, command.split_first()) {
        (Ok(()), Some((program, args))) => Command::new(program).args(args).exec().to_string(),
        (Ok(()), None) => "no command".to_owned(),
        (Err(error), _) => format!("{error} ({})", error.source().map(ToString::to_string).unwrap_or_default()),
    };
    eprintln!("behind-walls: {why}");
    ExitCode::from(126)
}
