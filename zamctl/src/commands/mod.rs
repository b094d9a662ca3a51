//! The verbs, a file each.

mod alerts;
mod check;
mod completions;
mod doctor;
mod expire;
mod explain;
mod grant;
mod health;
mod import;
mod keep;
mod man;
mod plan;
mod prune;
mod replica_config;
mod replicate;
mod restore;
mod setup;
mod snapshot;
mod ssh;
mod status;
mod unhold;
mod uninstall;
mod unkeep;

use crate::{
    failure::{Failure, Outcome},
    session::Session,
};
use clap::Subcommand;

/// What to do. Each verb's help is the doc comment of its arguments.
#[derive(Debug, Subcommand)]
#[allow(missing_docs, reason = "a doc comment here would replace the one of the arguments, which is the help")]
pub enum Command {
    Status(status::Args),
    Alerts(alerts::Args),
    Health(health::Args),
    Plan(plan::Args),
    Explain(explain::Args),
    Setup(setup::Args),
    Check(check::Args),
    Doctor(doctor::Args),
    Snapshot(snapshot::Args),
    Prune(prune::Args),
    Replicate(replicate::Args),
    Keep(keep::Args),
    Unkeep(unkeep::Args),
    Expire(expire::Args),
    Unhold(unhold::Args),
    Grant(grant::Args),
    Ssh(ssh::Args),
    ReplicaConfig(replica_config::Args),
    Restore(restore::Args),
    Import(import::Args),
    Uninstall(uninstall::Args),
    #[command(hide = true)]
    Completions(completions::Args),
    #[command(hide = true)]
    Man(man::Args),
}

/// Does it.
///
/// # Errors
/// If it cannot be done.
pub fn run(command: Command, session: &Session) -> Result<Outcome, Failure> {
    match command {
        Command::Status(args) => status::run(&args, session),
        Command::Alerts(args) => alerts::run(&args, session),
        Command::Health(args) => health::run(&args, session),
        Command::Plan(args) => plan::run(&args, session),
        Command::Explain(args) => explain::run(&args, session),
        Command::Setup(args) => setup::run(&args, session),
        Command::Check(args) => check::run(&args, session),
        Command::Doctor(args) => doctor::run(&args, session),
        Command::Snapshot(args) => snapshot::run(&args, session),
        Command::Prune(args) => prune::run(&args, session),
        Command::Replicate(args) => replicate::run(&args, session),
        Command::Keep(args) => keep::run(args, session),
        Command::Unkeep(args) => unkeep::run(args, session),
        Command::Expire(args) => expire::run(&args, session),
        Command::Unhold(args) => unhold::run(args, session),
        Command::Grant(args) => grant::run(&args, session),
        Command::Ssh(args) => ssh::run(&args, session),
        Command::ReplicaConfig(args) => replica_config::run(&args, session),
        Command::Restore(args) => restore::run(&args, session),
        Command::Import(args) => import::run(&args, session),
        Command::Uninstall(args) => uninstall::run(&args, session),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    }
}
