//! zam's front end. Shows what is, says what will be and why, prints grants, and asks the daemons to act; holds no right
//! of its own.
#![forbid(unsafe_code)]

mod abroad;
mod at;
mod bars;
mod cli;
mod commands;
mod config;
mod copies;
mod doors;
mod failure;
mod forecast;
#[cfg(test)]
mod golden;
mod grants;
mod import;
mod look;
mod openzfs;
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
