//! `zamctl setup`: from a few answers to a config, and to all that is to be typed after it.

mod ask;
mod make;

use crate::{
    abroad::{Abroad, There},
    commands::{doctor::needed, grant::Print, replica_config, ssh},
    failure::{Failure, Kind, Outcome},
    grants::Role,
    look::Land,
    out,
    session::Session,
    shell::quoted,
};
use make::{Preset, To};
use std::{
    fs,
    io::{self, IsTerminal as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};
use zam_names::DatasetName;
use zam_policy::{
    Span,
    config::{self, Config, Warning},
};

/// Set zam up: a few questions, or their answers as options
///
/// Prints a script for root that does all of it, in this order: the config, the grants, ssh where copies go to another machine,
/// the daemons. With `--write` it writes the config, and nothing else, never over one that is there, and prints the commands that
/// remain, one on a line. On a terminal it asks for what no option says, unless `--dataset` (with `--replica`: `--client`) is
/// among them.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Look after this dataset and all that is below it; may be said several times
    #[arg(long, value_name = "DATASET")]
    dataset: Vec<DatasetName>,
    /// How often snapshots are taken: 10m if not said
    #[arg(long, value_name = "SPAN")]
    every: Option<Span>,
    /// How long they are kept: months if not said
    #[arg(long, value_enum)]
    keep: Option<Preset>,
    /// Where copies go: `usb/copies` on another pool of this machine, `host:olympus` on another machine; may be said several times
    #[arg(long, value_name = "PLACE")]
    to: Vec<To>,
    #[command(flatten)]
    there: There,
    /// On the machine that receives copies: let one client in, with `--client`, `--root` and `--key`
    #[arg(long, conflicts_with_all = ["dataset", "to"])]
    replica: bool,
    /// The public key of the client's zamd-send: a file, or the key itself
    #[arg(long, value_name = "KEY", requires = "replica")]
    key: Option<String>,
    /// Write the config, and say what remains to be done
    #[arg(long)]
    write: bool,
}

/// What is to be looked after.
struct Source {
    datasets: Vec<DatasetName>,
    every: Span,
    keep: Preset,
    to: Vec<To>,
    there: There,
}

/// Who is to be let in.
struct Replica {
    client: String,
    root: DatasetName,
    key: String,
    every: Span,
    keep: Preset,
}

/// A config that is not written yet, and where it belongs.
struct Draft {
    path: PathBuf,
    text: String,
    /// Of the whole, once this is written.
    config: Config,
    /// Whether it joins others, by which the daemons may run already.
    joins: bool,
}

/// Asks, makes, prints or writes.
///
/// # Errors
/// If an answer is missing or wrong, or, to write, there is a config already.
pub fn run(args: &Args, session: &Session) -> Result<Outcome, Failure> {
    // Before anybody answers questions for nothing.
    if args.write && !args.replica && session.globals.config.exists() {
        return Err(over(&session.globals.config));
    }
    let land = Land::survey(&*session.lister());
    if let Err(failure) = &land {
        out::remark(&format!("the pools were not looked at: {}", failure.message));
    }
    let land = land.ok();
    let (draft, remains, script) = if args.replica {
        let replica = if args.there.named().is_some() { args.replica()? } else { ask::replica(args, land.as_ref())? };
        let draft = replica.draft(session, land.as_ref())?;
        let script = replica.script(&draft, session, land.as_ref())?;
        let remains = replica.remains(&draft, session);
        (draft, remains, script)
    } else {
        let source = if args.dataset.is_empty() { ask::source(args, land.as_ref())? } else { args.source() };
        let draft = source.draft(session, land.as_ref())?;
        let script = source.script(&draft, session, land.as_ref())?;
        let remains = source.remains(&draft, session)?;
        (draft, remains, script)
    };
    if args.write {
        write(&draft)?;
        let text: String = remains.iter().map(|line| format!("{line}\n")).collect();
        out::print(&format!("# {} is written. What remains, as root:\n{text}", draft.path.display()))?;
    } else {
        out::print(&script)?;
    }
    Ok(Outcome::Fine)
}

impl Args {
    fn every(&self) -> Span {
        self.every.unwrap_or(make::USUAL)
    }

    fn source(&self) -> Source {
        let (keep, there) = (self.keep.unwrap_or_default(), self.there.clone());
        Source { datasets: self.dataset.clone(), every: self.every(), keep, to: self.to.clone(), there }
    }

    fn replica(&self) -> Result<Replica, Failure> {
        let missing = |option| Failure::usage(format!("with --replica and --client, {option} must be said too"));
        Ok(Replica {
            client: self.there.client()?,
            root: self.there.root().cloned().ok_or_else(|| missing("--root"))?,
            key: self.key.clone().ok_or_else(|| missing("--key"))?,
            every: self.every(),
            keep: self.keep.unwrap_or_default(),
        })
    }
}

impl Source {
    fn hosts(&self) -> impl Iterator<Item = &str> {
        self.to.iter().filter_map(|to| match to {
            To::Host(host) => Some(host.as_str()),
            To::Here(_) => None,
        })
    }

    fn draft(&self, session: &Session, land: Option<&Land>) -> Result<Draft, Failure> {
        if self.hosts().next().is_some() && self.there.root().is_none() {
            return Err(Failure::usage(
                "it is not said below which dataset of the other machine the copies are to lie",
            )
            .hint("say it with `--root`, such as: --root nas/zam/laptop"));
        }
        for to in &self.to {
            let To::Here(root) = to else { continue };
            if self.datasets.iter().any(|dataset| dataset.pool() == root.pool()) {
                return Err(Failure::usage(format!("{root} is on the pool that it would be a copy of"))
                    .hint("what ends that pool would end the copy: name another pool, or a host"));
            }
            must_be_there(land, &DatasetName::from(root.pool()))?;
        }
        self.datasets.iter().try_for_each(|dataset| must_be_there(land, dataset))?;
        let path = session.globals.config.clone();
        let mut text = make::source(self, land);
        let load = |text: &str| load(&[(path.display().to_string(), text.to_owned())], session);
        let (config, _) = load(&text)?;
        for to in &self.to {
            if let To::Here(root) = to {
                let place = Abroad::find(&config, Some(root.as_str()))?;
                let there = There::new(self.there.named().map(str::to_owned), None);
                text += &format!("\n{}", replica_config::block(&config, &place, &there)?);
            }
        }
        let (config, warnings) = load(&text)?;
        warnings.iter().for_each(|warning| out::remark(&warning.to_string()));
        Ok(Draft { path, text, config, joins: false })
    }

    fn remains(&self, draft: &Draft, session: &Session) -> Result<Vec<String>, Failure> {
        let zamctl = session.zamctl();
        let mut lines = Vec::new();
        if self.to.iter().any(|to| matches!(to, To::Here(_))) {
            lines.push(format!("{zamctl} grant --print --replica | sh"));
        }
        lines.push(format!("{zamctl} grant --print | sh"));
        for host in self.hosts() {
            lines.push(format!("{zamctl} ssh --print {} --client {} | sh", quoted(host), self.there.client()?));
        }
        lines.extend(self.elsewhere()?);
        lines.extend(draft.last(session));
        Ok(lines)
    }

    /// What is to be done on the other machine.
    fn elsewhere(&self) -> Result<Vec<String>, Failure> {
        let Some(root) = self.there.root().filter(|_| self.hosts().next().is_some()) else { return Ok(vec![]) };
        let hosts: Vec<&str> = self.hosts().collect();
        Ok(vec![
            format!("cat {}/id_ed25519.pub", ssh::HOME),
            format!(
                "# On {}, as root, with the key that the line above printed: zamctl setup --replica --client {} --root {} \
                 --every {} --keep {} --write --key 'ssh-ed25519 …'",
                hosts.join(", "),
                self.there.client()?,
                quoted(root.as_str()),
                self.every,
                self.keep.name(),
            ),
        ])
    }

    fn script(&self, draft: &Draft, session: &Session, land: Option<&Land>) -> Result<String, Failure> {
        let print = Print { config: &draft.config, roles: &Role::ALL, zfs: session.openzfs(), land };
        let from = draft.path.display().to_string();
        let mut text = draft.script();
        if self.to.iter().any(|to| matches!(to, To::Here(_))) {
            text += &print.replicas(&from);
        }
        text += &print.managed(&from);
        for host in self.hosts() {
            text += &format!("\n{}", ssh::for_source(host, &self.there.client()?, &self.there));
        }
        text.extend(self.elsewhere()?.iter().map(|line| format!("{line}\n")));
        Ok(text + &draft.end(session))
    }
}

impl Replica {
    fn draft(&self, session: &Session, land: Option<&Land>) -> Result<Draft, Failure> {
        must_be_there(land, &DatasetName::from(self.root.pool()))?;
        let main = &session.globals.config;
        // On a machine that has a config of its own, each client has a file.
        let (path, mut texts) = if main.exists() {
            (main.with_file_name("zam.d").join(format!("{}.toml", self.client)), crate::config::texts(main)?)
        } else {
            (main.clone(), Vec::new())
        };
        let (text, shown) = (make::replica(self), path.display().to_string());
        texts.retain(|(file, _)| *file != shown);
        texts.push((shown, text.clone()));
        let (config, _) = load(&texts, session)?;
        Ok(Draft { path, text, config, joins: texts.len() > 1 })
    }

    fn remains(&self, draft: &Draft, session: &Session) -> Vec<String> {
        let (zamctl, key) = (session.zamctl(), quoted(&self.key));
        let mut lines = vec![
            format!("{zamctl} grant --print --replica | sh"),
            format!("{zamctl} ssh --print --from {} --key {key} | sh", self.client),
        ];
        lines.extend(draft.last(session));
        lines
    }

    fn script(&self, draft: &Draft, session: &Session, land: Option<&Land>) -> Result<String, Failure> {
        let print = Print { config: &draft.config, roles: &Role::ALL, zfs: session.openzfs(), land };
        let grants = print.replicas(&draft.path.display().to_string());
        let ssh = ssh::for_replica(&self.client, &self.root, &self.key)?;
        Ok(format!("{}{grants}\n{ssh}{}", draft.script(), draft.end(session)))
    }
}

impl Draft {
    /// The commands that write it, and not over another.
    fn script(&self) -> String {
        let path = quoted(&self.path.display().to_string());
        let text = &self.text;
        format!(
            "# All of it for a root shell; read it first. `--write` writes the config, and prints the rest in short.\n\
             set -eC\ncat >{path} <<'END'\n{text}END\nchmod 0644 {path}\nset +eC\n\n"
        )
    }

    /// What comes last: the daemons that the config needs, and whether all is well.
    fn last(&self, session: &Session) -> Vec<String> {
        let daemons: Vec<&str> = needed(&self.config).map(|role| role.daemon()).collect();
        let reload = self.joins.then(|| "systemctl try-reload-or-restart 'zamd-*.service'".to_owned());
        let mut lines = vec![format!("systemctl enable --now {}", daemons.join(" "))];
        lines.extend(reload);
        lines.push(format!("{} doctor", session.zamctl()));
        lines
    }

    fn end(&self, session: &Session) -> String {
        format!("\n# The daemons; and whether all is well.\n{}\n", self.last(session).join("\n"))
    }
}

fn must_be_there(land: Option<&Land>, name: &DatasetName) -> Result<(), Failure> {
    match land {
        Some(land) if land.dataset(name).is_none() => {
            let pools: Vec<&str> = land.pools.iter().map(|pool| pool.name.as_str()).collect();
            Err(Failure::usage(format!("there is no dataset {name}"))
                .hint(format!("`zfs list` shows those there are; the pools are: {}", pools.join(", "))))
        }
        _ => Ok(()),
    }
}

fn load(texts: &[(String, String)], session: &Session) -> Result<(Config, Vec<Warning>), Failure> {
    config::load(texts, &session.zone)
        .map_err(|errors| Failure::usage(format!("these answers make no config of zam:\n\n{errors}\n")))
}

fn over(path: &Path) -> Failure {
    Failure::new(Kind::Failed, format!("will not write over the config {}", path.display()))
        .hint("without `--write` it is printed, to be put into that file by hand, or into another in zam.d beside it")
}

/// As a whole or not at all, readable for everybody as the package wants it, and never over another.
fn write(draft: &Draft) -> Result<(), Failure> {
    let path = &draft.path;
    let new = path.with_extension("toml.new");
    let written =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(&new).and_then(|mut file| {
            // Whatever the umask says.
            file.set_permissions(fs::Permissions::from_mode(0o644))?;
            file.write_all(draft.text.as_bytes())?;
            file.sync_all()?;
            // A link, unlike a rename, replaces nothing.
            fs::hard_link(&new, path)
        });
    // If there is none, that is as well.
    let _ = fs::remove_file(&new);
    written.map_err(|error| {
        let shown = path.display();
        let failure = |kind, what| Failure::new(kind, format!("{what} {shown}")).because(Some(&error));
        match error.kind() {
            io::ErrorKind::AlreadyExists => over(path),
            io::ErrorKind::PermissionDenied => failure(Kind::NotPermitted, "cannot write the config")
                .hint("run it as root; without `--write` anybody may"),
            io::ErrorKind::NotFound => failure(Kind::Failed, "cannot write the config")
                .hint("its folder is not there: `systemd-tmpfiles --create zam.conf` makes it"),
            _ => failure(Kind::Failed, "cannot write the config"),
        }
    })
}

/// Whether there is somebody to ask.
fn terminal(options: &str) -> Result<(), Failure> {
    if io::stdin().is_terminal() {
        return Ok(());
    }
    Err(Failure::usage("standard input is no terminal, so nobody can be asked")
        .hint(format!("say the answers: {options}")))
}

#[cfg(test)]
#[path = "setup_tests.rs"]
mod tests;
