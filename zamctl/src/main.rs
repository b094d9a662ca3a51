//! zam's front end. Shows what is, says what will be and why, prints grants, and asks the daemons to act; holds no right
//! of its own.
#![forbid(unsafe_code)]

mod at;
mod cli;
mod commands;
mod config;
mod doors;
mod failure;
mod forecast;
#[cfg(test)]
mod golden;
mod grants;
mod look;
mod out;
mod session;
mod shell;
mod table;
mod words;

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let session = session::Session::new(cli.globals);
    failure::conclude(commands::run(cli.command, &session))
}
