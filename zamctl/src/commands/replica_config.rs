//! `zamctl replica-config`: what the replica's config says about this machine.

use crate::{
    abroad::{Abroad, There},
    failure::{Failure, Outcome},
    out,
    session::Session,
};
use std::fmt::Write as _;
use zam_names::RelPath;
use zam_policy::{
    Pattern, Tier,
    config::{Config, Destination, Entry},
};

/// Print the `[[replicas]]` block for the replica's config
///
/// Made from this config: what the destination's windows say is kept there, else what the entry keeps here. From then on the
/// replica's own config decides how long the copies are kept.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print it (nothing is ever written)
    #[arg(long, required = true)]
    print: bool,
    /// Which destination, if there is more than one
    #[arg(value_name = "DEST")]
    destination: Option<String>,
    #[command(flatten)]
    there: There,
}

/// Prints.
///
/// # Errors
/// If the config is faulty, or does not say enough.
pub fn run(args: &Args, session: &Session) -> Result<Outcome, Failure> {
    debug_assert!(args.print);
    let config = session.config()?.config;
    let place = Abroad::find(&config, args.destination.as_deref())?;
    out::print(&block(&config, &place, &args.there)?)?;
    Ok(Outcome::Fine)
}

/// The block.
///
/// # Errors
/// If the config does not say enough.
pub fn block(config: &Config, place: &Abroad<'_>, there: &There) -> Result<String, Failure> {
    let (client, root) = (there.client()?, place.root(there)?);
    let mut sent = Vec::new();
    for (entry, destination) in &place.sent {
        sent.push((place.path(&entry.source, &root)?, Keeping::of(entry, destination)));
    }
    sent.sort_by(|(a, _), (b, _)| a.cmp(b));
    let usual = usual(&sent);
    let host = place.host().unwrap_or("this machine");
    let mut text = format!("# For /etc/zam/zam.toml of {host}, or a file in zam.d beside it: what {client} sends.\n");
    if config.prefix != "zam" {
        let _ = writeln!(
            text,
            "# {client} names its snapshots {0}-…: `prefix = \"{0}\"` must stand there too.",
            config.prefix
        );
    }
    let _ =
        writeln!(text, "\n[[replicas]]\nclient = \"{client}\"\nroot = \"{root}\"\n{}", usual.lines(false).join("\n"));
    if usual.windows.is_empty() {
        text += "# No windows here, so nothing of it would ever expire there. To thin it: keep = { hourly = 48, daily = 30, monthly = 12 }\n";
    }
    let mut other: Vec<(&RelPath, &Keeping<'_>)> = Vec::new();
    for (path, keeping) in &sent {
        let above = other.iter().rev().find(|(above, _)| is_below(path, above));
        if above.map_or(&usual, |(_, keeping)| keeping) != keeping {
            other.push((path, keeping));
        }
    }
    for (path, keeping) in other {
        let _ = writeln!(text, "\n[[replicas.datasets]]\ndataset = \"{path}\"\n{}", keeping.lines(true).join("\n"));
    }
    Ok(text)
}

/// How long something is kept.
#[derive(Clone, Debug, PartialEq)]
struct Keeping<'a> {
    windows: &'a [Tier],
    at_least: u32,
    adopt: &'a [Pattern],
    zone: String,
}

impl<'a> Keeping<'a> {
    fn of(entry: &'a Entry, destination: &'a Destination) -> Self {
        let rule = &entry.rule;
        let windows = if destination.windows.is_empty() { &rule.windows } else { &destination.windows };
        Self { windows, at_least: rule.at_least, adopt: &rule.adopt, zone: rule.zone.to_string() }
    }

    /// The keys that say so; a block below the root says all, since what it leaves out it has from what is above it.
    fn lines(&self, all: bool) -> Vec<String> {
        let tier = |tier: &Tier| {
            let age = tier.max_age.map(|age| format!("max-age = \"{age}\", ")).unwrap_or_default();
            format!("{{ {age}period = \"{}\" }}", tier.period)
        };
        let windows: Vec<String> = self.windows.iter().map(tier).collect();
        let adopt: Vec<String> =
            self.adopt.iter().map(|pattern| serde_json::json!(pattern.as_str()).to_string()).collect();
        let windows = format!("windows = [{}]", windows.join(", "));
        let at_least = (all || self.at_least > 0).then(|| format!("at-least = {}", self.at_least));
        let adopt = (all || !adopt.is_empty()).then(|| format!("adopt = [{}]", adopt.join(", ")));
        // Buckets are the source's days and weeks, wherever the replica is.
        let zone = format!("timezone = \"{}\"", self.zone);
        [Some(windows), at_least, adopt, Some(zone)].into_iter().flatten().collect()
    }
}

/// What most of them have.
fn usual<'a>(sent: &[(RelPath, Keeping<'a>)]) -> Keeping<'a> {
    let count = |this: &Keeping<'_>| sent.iter().filter(|(_, keeping)| keeping == this).count();
    // Of several that as many have, the first.
    let most = sent.iter().rev().max_by_key(|(_, keeping)| count(keeping));
    most.map_or_else(|| unreachable!("a place has at least one entry"), |(_, keeping)| keeping.clone())
}

fn is_below(path: &RelPath, above: &RelPath) -> bool {
    std::iter::successors(Some(path.clone()), RelPath::parent).any(|path| path == *above)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;
    use pretty_assertions::assert_eq;
    use zam_names::DatasetName;
    use zam_policy::{Zone, config};

    const CONFIG: &str = r#"
[default.managed-datasets]
snapshot-period = "10m"
timezone = "Europe/Vienna"
keep = { hourly = 48 }
destinations = [{ remote-host = "olympus", windows = [{ max-age = "6w", period = "1h" }, { period = "1mo" }] }]

[[managed-datasets]]
source = "tank/home"
recursive = true

[[managed-datasets]]
source = "tank/home/db"
at-least = 5
adopt = ["autosnap_*"]

[[managed-datasets]]
source = "tank/home/db/log"
at-least = 0
adopt = []

[[managed-datasets]]
source = "tank/vm"
destinations = [{ remote-host = "olympus" }, { pool = "usb", dataset = "zam" }]
"#;

    fn config(texts: &[&str]) -> Config {
        let texts: Vec<_> = texts.iter().zip(0..).map(|(text, n)| (format!("{n}.toml"), (*text).to_owned())).collect();
        config::load(&texts, &Zone::utc()).unwrap().0
    }

    fn there(client: &str, root: Option<&str>) -> There {
        There::said(client, root)
    }

    #[test]
    fn the_block_loads_and_keeps_what_the_source_wants_kept() {
        let source = config(&[CONFIG]);
        let place = Abroad::find(&source, Some("olympus")).unwrap();
        let text = block(&source, &place, &there("laptop", Some("nas/zam/laptop"))).unwrap();
        golden::compare(&text, "tests/golden/replica-config.toml");
        let replica = config(&[&text]);
        let rule = |path: &str| {
            let dataset: DatasetName = format!("nas/zam/laptop/{path}").parse().unwrap();
            replica.entry_for(&dataset, zam_names::Kind::Filesystem).entry().unwrap().rule.clone()
        };
        let wanted = |path: &str| {
            let covering = place.sent.iter().filter(|(entry, _)| entry.covers(&path.parse().unwrap()));
            let (entry, destination) = covering.max_by_key(|(entry, _)| entry.source.as_str().len()).unwrap();
            let windows = if destination.windows.is_empty() { &entry.rule.windows } else { &destination.windows };
            zam_policy::Rule { windows: windows.clone(), ..entry.rule.clone() }
        };
        for path in ["tank/home", "tank/home/ann", "tank/home/db", "tank/home/db/log", "tank/vm"] {
            assert_eq!(rule(path), wanted(path), "{path}");
        }
    }

    #[test]
    fn what_the_replica_must_know_besides_is_said() {
        let text = "prefix = \"snap\"\n[[managed-datasets]]\nsource = \"tank\"\ndestinations = [{ pool = \"usb\", dataset = \"zam\" }]";
        let source = config(&[text]);
        let place = Abroad::find(&source, None).unwrap();
        let text = block(&source, &place, &there("laptop", None)).unwrap();
        assert!(text.contains("prefix = \"snap\"") && text.contains("nothing of it would ever expire"), "{text}");
        assert!(
            text.contains("root = \"usb/zam\"") && text.starts_with("# For /etc/zam/zam.toml of this machine"),
            "{text}"
        );
    }
}
