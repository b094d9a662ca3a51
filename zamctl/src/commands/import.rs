//! `zamctl import`: what another tool was told, as a config of zam.

use crate::{
    abroad::There,
    failure::{Failure, Kind, Outcome},
    import::{Asked, File, Sides, Taken, Tool, aim, listed, look_at, report},
    out,
    session::Session,
};
use std::{fs, io, path::PathBuf};
use zam_names::DatasetName;
use zam_policy::config::{self, Config};

/// Print the config that does what another tool's config does
///
/// What has no equivalent stands in a comment, with the line that it is about. Windows are rounded up, so that of no hour, day or
/// month anything is missing that the other tool would have kept; docs/import.md says where the two differ. The other tool's
/// snapshots are left alone, unless `--adopt` says otherwise. Nothing is ever written.
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
    /// Go on with a replica that is there, from the newest snapshot that both sides have
    ///
    /// `tank/home=nas/home` is a replica on this machine, `tank/home=olympus:nas/home` one on another, for which `--listing`
    /// brings what is there. May be said for several sources. Prints what has to be done first, and what would have to be sent again.
    #[arg(long, value_name = "SOURCE=[HOST:]REPLICA")]
    replica: Vec<Taken>,
    /// What `zfs get` says of replicas on other machines; without it the command for that is shown
    #[arg(long, value_name = "FILE", requires = "replica")]
    listing: Vec<PathBuf>,
    /// What a replica on this machine calls this machine (`client` in its `[[replicas]]`); this machine's name if not said
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
}

/// Prints.
///
/// # Errors
/// If a file cannot be read, or is not what the tool takes.
pub fn run(args: &Args, session: &Session) -> Result<Outcome, Failure> {
    let files = args.files.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let pools = || Ok(session.lister().pools()?.into_iter().map(|pool| DatasetName::from(pool.name)).collect());
    let client = || args.client.clone().map_or_else(|| There::default().client(), Ok);
    let asked = Asked { adopt: args.adopt, pools: &pools, client: &client };
    let mut land = args.tool.read(&files, &asked)?;
    let mut taken = Vec::new();
    for replica in &args.replica {
        let sides = sides(replica, args, session)?;
        aim(&mut land, replica, &sides, &client()?)?;
        taken.push((replica, sides));
    }
    let unused = |option, what| Err(Failure::usage(format!("{option} does nothing here: {what}")));
    if !args.listing.is_empty() && args.replica.iter().all(|replica| replica.host.is_none()) {
        return unused("--listing", "every replica is on this machine");
    }
    if args.client.is_some() && land.replicas.is_empty() {
        return unused("--client", "no copies arrive on this machine");
    }
    let text = land.text(args.tool, args.adopt);
    let config = loaded(&text, session)?;
    let reports = taken.iter().map(|(replica, sides)| report(&config, replica, sides, session.now));
    out::print(&(reports.collect::<String>() + &text))?;
    Ok(Outcome::Fine)
}

fn sides(replica: &Taken, args: &Args, session: &Session) -> Result<Sides, Failure> {
    let lister = session.lister();
    let sources = look_at(&*lister, &replica.source)?;
    let bookmarks = lister.bookmarks(&replica.source.pool())?;
    let copies = match &replica.host {
        None => look_at(&*lister, &replica.copy)?,
        Some(host) if args.listing.is_empty() => {
            return Err(Failure::usage(format!("what is at {host}:{} cannot be seen from here", replica.copy))
                .hint(format!("{}, and then: --listing FILE", replica.listing())));
        }
        Some(_) => listed(&args.listing.iter().map(read).collect::<Result<Vec<_>, _>>()?, &replica.copy)?,
    };
    Ok(Sides { sources, copies, bookmarks })
}

/// The config that a text is.
fn loaded(text: &str, session: &Session) -> Result<Config, Failure> {
    let loaded = config::load(&[("the result.toml".to_owned(), text.to_owned())], &session.zone);
    loaded.map(|(config, _)| config).map_err(|errors| {
        Failure::usage(format!("what these files say makes no config of zam:\n\n{errors}\n"))
            .hint("zam does not do this; take the part out of a copy of the file, and import that")
    })
}

fn read(path: &PathBuf) -> Result<File, Failure> {
    let text = if path.as_os_str() == "-" { io::read_to_string(io::stdin()) } else { fs::read_to_string(path) };
    let text = text
        .map_err(|error| Failure::new(Kind::Usage, format!("cannot read {}", path.display())).because(Some(&error)))?;
    let name = if path.as_os_str() == "-" { "standard input".to_owned() } else { path.display().to_string() };
    Ok(File::new(&name, text))
}
