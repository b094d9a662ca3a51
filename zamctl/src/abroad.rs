//! The other machine of a destination, as far as the config here tells: what it calls this one, and where the copies lie.

use crate::failure::{Failure, Kind};
use std::fs;
use zam_names::{DatasetName, RelPath};
use zam_policy::config::{Config, Destination, Entry};

/// What only the replica's own config says, for the commands that print something about it.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct There {
    /// What the replica calls this machine (`client` in its `[[replicas]]`); this machine's name if not said
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    /// Below which dataset of the replica the copies lie (`root` in its `[[replicas]]`)
    #[arg(long, value_name = "DATASET")]
    root: Option<DatasetName>,
}

/// All that goes to one place: the entries, each with what it says of the place.
pub struct Abroad<'a> {
    /// What the user calls it: the host, or for one of this machine the root.
    pub name: String,
    /// The entries; at least one.
    pub sent: Vec<(&'a Entry, &'a Destination)>,
}

impl<'a> Abroad<'a> {
    /// The place that is meant: a host, or for a place of this machine its pool or root; or a destination's id.
    ///
    /// # Errors
    /// If there is none such, or, where nothing is named, more than one.
    pub fn find(config: &'a Config, named: Option<&str>) -> Result<Self, Failure> {
        let mut places: Vec<Self> = Vec::new();
        for entry in config.entries.iter().filter(|entry| entry.enabled) {
            for destination in &entry.destinations {
                let Some(name) = name(destination) else { continue };
                if named.is_some_and(|named| !destination.is_called(named)) {
                    continue;
                }
                match places.iter_mut().find(|place| place.name == name) {
                    Some(place) => place.sent.push((entry, destination)),
                    None => places.push(Self { name, sent: vec![(entry, destination)] }),
                }
            }
        }
        let known = || places.iter().map(|place| place.name.as_str()).collect::<Vec<_>>().join(", ");
        match (places.len(), named) {
            (1, _) => Ok(places.remove(0)),
            (0, None) => Err(Failure::usage("no entry of the config has `destinations`")
                .hint("docs/config.md shows one: destinations = [{ remote-host = \"olympus\" }]")),
            (0, Some(named)) => Err(Failure::usage(format!("no destination of the config is called {named:?}"))),
            (_, _) => Err(Failure::usage(format!("there is more than one destination: {}", known()))
                .hint("name the one that is meant")),
        }
    }

    /// Whether some destination is called so.
    #[must_use]
    pub fn is_known(config: &Config, named: &str) -> bool {
        let mut destinations = config.entries.iter().flat_map(|entry| &entry.destinations);
        destinations.any(|destination| destination.is_called(named))
    }

    /// As ssh knows the host; none: it is this one.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.destination().host()
    }

    /// As whom ssh logs in there.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.destination().user
    }

    fn destination(&self) -> &'a Destination {
        self.sent[0].1
    }

    /// What is known of the other side, with what the user says of it.
    ///
    /// # Errors
    /// If the root there is not known, or something that goes there would not lie below it.
    pub fn root(&self, there: &There) -> Result<DatasetName, Failure> {
        let root = there.root.clone().or_else(|| self.destination().local_root()).or_else(|| self.common());
        let Some(root) = root else {
            return Err(Failure::usage(format!(
                "the config does not say below which dataset of {} the copies lie",
                self.name
            ))
            .hint("say it with `--root`, such as: --root nas/zam/laptop"));
        };
        for (entry, destination) in &self.sent {
            destination
                .relative_to(entry, &entry.source, &root)
                .map_err(|why| Failure::usage(format!("{}: {} cannot go there: {why}", entry.place, entry.source)))?;
        }
        Ok(root)
    }

    /// Where the config names paths with their pool: what is above all of them, if that is not the whole pool.
    fn common(&self) -> Option<DatasetName> {
        let full = |(_, destination): &(&Entry, &Destination)| {
            destination.dataset.as_ref()?.below(&DatasetName::from(destination.pool.clone()?)).ok()
        };
        let mut paths = self.sent.iter().map(full);
        let first = paths.next()??;
        let mut common = first.parent()?;
        for path in paths {
            let path = path?;
            while path.below(&common).is_none() {
                common = common.parent()?;
            }
        }
        common.parent().is_some().then_some(common)
    }

    /// Where a dataset lies there, below the root.
    ///
    /// # Errors
    /// If nothing sends it there.
    pub fn path(&self, dataset: &DatasetName, root: &DatasetName) -> Result<RelPath, Failure> {
        let covering = self.sent.iter().filter(|(entry, _)| entry.covers(dataset));
        let Some((entry, destination)) = covering.max_by_key(|(entry, _)| entry.source.as_str().len()) else {
            return Err(Failure::usage(format!("no entry of the config sends {dataset} to {}", self.name)));
        };
        destination.relative_to(entry, dataset, root).map_err(|why| Failure::of(Kind::Usage, &why))
    }
}

impl There {
    /// What the user said it calls this machine.
    #[must_use]
    pub fn named(&self) -> Option<&str> {
        self.client.as_deref()
    }

    /// What somebody says elsewhere than in options.
    #[must_use]
    pub fn new(client: Option<String>, root: Option<DatasetName>) -> Self {
        Self { client, root }
    }

    /// As if a user had said this.
    #[cfg(test)]
    pub fn said(client: &str, root: Option<&str>) -> Self {
        Self { client: Some(client.to_owned()), root: root.map(|root| root.parse().unwrap()) }
    }

    /// What the user said of the root.
    #[must_use]
    pub fn root(&self) -> Option<&DatasetName> {
        self.root.as_ref()
    }

    /// What the replica calls this machine.
    ///
    /// # Errors
    /// If it is not said, and this machine has no name.
    pub fn client(&self) -> Result<String, Failure> {
        let named = self.client.clone().unwrap_or_else(here);
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if named.is_empty() || named.len() > 64 || named.starts_with('-') || !named.chars().all(plain) {
            return Err(Failure::usage(format!("{named:?} cannot name a client"))
                .hint("say another with `--client`: at most 64 letters, digits and -_."));
        }
        Ok(named)
    }
}

/// This machine's name.
#[must_use]
pub fn here() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().split('.').next().unwrap_or_default().to_owned()
}

fn name(destination: &Destination) -> Option<String> {
    destination.host().map(str::to_owned).or_else(|| destination.local_root().map(|root| root.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;
    use zam_policy::{Zone, config};

    fn config(text: &str) -> Config {
        config::load(&[("zam.toml".to_owned(), text.to_owned())], &Zone::utc()).unwrap().0
    }

    const CONFIG: &str = r#"
        [[managed-datasets]]
        source = "tank/home"
        recursive = true
        destinations = [{ remote-host = "olympus", pool = "nas", dataset = "zam/me/home" }, { pool = "usb", dataset = "zam" }]
        [[managed-datasets]]
        source = "tank/vm"
        destinations = [{ remote-host = "olympus", pool = "nas", dataset = "zam/me/vm" }]
        [[managed-datasets]]
        source = "tank/srv"
        destinations = [{ remote-host = "delphi" }]
    "#;

    #[test]
    fn a_place_is_found_by_what_people_call_it() {
        let config = config(CONFIG);
        let find = |named| Abroad::find(&config, Some(named)).map(|place| (place.name.clone(), place.sent.len()));
        assert_eq!(find("olympus").unwrap(), ("olympus".to_owned(), 2));
        assert_eq!(find("usb").unwrap(), ("usb/zam".to_owned(), 1));
        assert_eq!(find("usb/zam").unwrap(), ("usb/zam".to_owned(), 1));
        let id = config.entries[0].destinations[0].id().to_string();
        assert_eq!(find(&id).unwrap(), ("olympus".to_owned(), 1));
        assert!(find("nowhere").unwrap_err().message.contains("nowhere"));
        let many = Abroad::find(&config, None).map(|_| ()).unwrap_err();
        assert!(many.message.ends_with(": olympus, usb/zam, delphi"), "{}", many.message);
    }

    #[test]
    fn the_root_is_what_the_config_tells_or_the_user() {
        let config = config(CONFIG);
        let root = |named, there: &There| Abroad::find(&config, Some(named)).unwrap().root(there);
        let said = |root: &str| There { root: Some(root.parse().unwrap()), ..There::default() };
        assert_eq!(root("olympus", &There::default()).unwrap().as_str(), "nas/zam/me");
        assert_eq!(root("usb", &There::default()).unwrap().as_str(), "usb/zam");
        assert_eq!(root("delphi", &said("o/zam/me")).unwrap().as_str(), "o/zam/me");
        assert!(root("delphi", &There::default()).unwrap_err().hints[0].contains("--root"));
        assert!(root("olympus", &said("nas/other")).unwrap_err().message.contains("cannot go there"));
    }

    #[test]
    fn a_client_has_a_name_that_a_command_line_takes() {
        let client = |name: &str| There { client: Some(name.to_owned()), root: None }.client();
        assert_eq!(client("lap-top.1").unwrap(), "lap-top.1");
        for bad in ["", "-x", "a b", "a\"", "ä"] {
            assert!(client(bad).is_err(), "{bad}");
        }
    }
}
