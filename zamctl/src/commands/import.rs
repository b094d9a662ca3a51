//! `zamctl import`: what another tool was told, as a config of zam.

use crate::{
    abroad::There,
    failure::{Failure, Kind, Outcome},
    import::{Asked, File, Tool},
    out,
    session::Session,
};
use std::{fs, io, path::PathBuf};
use zam_names::DatasetName;
use zam_policy::config;

/// Print the config that does what another tool's config does
///
/// What has no equivalent stands in a comment, with the line that it is about. It never keeps less than the other tool while
/// both run, and leaves the other tool's snapshots alone, unless `--adopt` says otherwise. Nothing is ever written.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Whose config it is
    #[arg(value_enum)]
    tool: Tool,
    /// The files, in the order in which the tool reads them; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Let the windows thin the snapshots that the other tool took
    ///
    /// Without it they stay until somebody destroys them.
    #[arg(long)]
    adopt: bool,
}

/// Prints.
///
/// # Errors
/// If a file cannot be read, or is not what the tool takes.
pub fn run(args: &Args, session: &Session) -> Result<Outcome, Failure> {
    let files = args.files.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let pools = || Ok(session.lister().pools()?.into_iter().map(|pool| DatasetName::from(pool.name)).collect());
    let client = || There::default().client();
    let asked = Asked { adopt: args.adopt, pools: &pools, client: &client };
    let land = args.tool.read(&files, &asked)?;
    out::print(&checked(land.text(args.tool, args.adopt), session)?)?;
    Ok(Outcome::Fine)
}

/// The text, if it is a config.
fn checked(text: String, session: &Session) -> Result<String, Failure> {
    match config::load(&[("the result.toml".to_owned(), text.clone())], &session.zone) {
        Ok(_) => Ok(text),
        Err(errors) => Err(Failure::usage(format!("what these files say makes no config of zam:\n\n{errors}\n"))
            .hint("zam does not do this; take the part out of a copy of the file, and import that")),
    }
}

fn read(path: &PathBuf) -> Result<File, Failure> {
    let text = if path.as_os_str() == "-" { io::read_to_string(io::stdin()) } else { fs::read_to_string(path) };
    let text = text
        .map_err(|error| Failure::new(Kind::Usage, format!("cannot read {}", path.display())).because(Some(&error)))?;
    let name = if path.as_os_str() == "-" { "standard input".to_owned() } else { path.display().to_string() };
    Ok(File::new(&name, text))
}
