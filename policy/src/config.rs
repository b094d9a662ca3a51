//! The config: texts in, a checked [`Config`] or every fault in them out. Reading the files is the caller's.
//!
//! A text becomes a tree that knows its places (`toml_text`, `json_text`), the trees of all files become one (`merge`),
//! `ref` and `${}` go (`expand`), entries inherit and take defaults (`inherit`, `presets`), and what is left is decoded
//! (`entry`, `tiers`). Each step gathers its faults in `findings`.

mod decode;
mod destination;
mod effective;
mod entry;
mod expand;
mod findings;
mod hook;
mod inherit;
mod json_text;
mod matching;
mod merge;
mod model;
mod node;
mod odd;
mod presets;
mod replicas;
mod run_when;
mod schema;
mod tiers;
mod toml_text;
mod watch;

pub use destination::{Compress, Destination, DestinationId, DestinationIdError, Misplaced};
pub use findings::{Errors, Finding, Place, Warning};
pub use hook::{Hook, OnFailure};
pub use matching::Match;
pub use model::{ClockTrust, Config, Entry};
pub use run_when::RunWhen;
pub use watch::{Mail, MailBy, Ping, Url, Watch};

use crate::Zone;
use entry::Globals;
use expand::Expander;
use findings::Findings;
use inherit::{Draft, drafts};
use merge::Document;
use node::{At, Item, Node, Table};
use presets::Presets;
use zam_names::SnapTag;

/// Reads the main file and then the drop-ins, each as its name and its text; the name's ending (`.toml`, `.json`) says how.
/// `local_zone` is the zone of the machine, for a config that names none.
///
/// # Errors
/// Every fault that was found, with its place; then nothing of it holds.
pub fn load(files: &[(String, String)], local_zone: &Zone) -> Result<(Config, Vec<Warning>), Errors> {
    let mut out = Findings::new(files);
    let entries = match read(files, &mut out) {
        Some(document) => decoded(&document, local_zone, &mut out),
        None => None,
    };
    let warnings = out.finish()?;
    // Without errors there is a config.
    let config = entries.unwrap_or_else(|| Config {
        prefix: DEFAULT_PREFIX.to_owned(),
        timezone: local_zone.clone(),
        clock: ClockTrust::default(),
        watch: watch::default(),
        entries: Vec::new(),
    });
    Ok((config, warnings))
}

/// All files in one document; none if one of them cannot be read at all.
fn read(files: &[(String, String)], out: &mut Findings<'_>) -> Option<Document> {
    let mut document = Document::default();
    let mut readable = true;
    for (nth, (name, text)) in files.iter().enumerate() {
        let table = if name.ends_with(".toml") {
            toml_text::parse(nth, text, out)
        } else if name.ends_with(".json") {
            json_text::parse(nth, text, out)
        } else {
            out.error(At { file: nth, start: 0, end: 0 }, "this file's name ends neither in .toml nor in .json");
            None
        };
        match table {
            Some(table) => document.add(table, out),
            None => readable = false,
        }
    }
    readable.then_some(document)
}

fn decoded(document: &Document, local_zone: &Zone, out: &mut Findings<'_>) -> Option<Config> {
    let mut expander = Expander::new(&document.defines);
    let globals = expand_items(&mut expander, &document.globals.0, out);
    let defaults = expand_items(&mut expander, &document.defaults, out);
    let mut all = |nodes: &[Node], out: &mut Findings<'_>| -> Vec<Node> {
        nodes.iter().map(|node| expander.node(node, out)).collect()
    };
    let (managed, replicas) = (all(&document.managed, out), all(&document.replicas, out));
    expander.finish(out);

    let globals_table = Table(globals);
    let globals = globals_of(&globals_table, local_zone, out);
    let presets = Presets::read(defaults, out);
    let mut drafts = drafts(&managed, &presets, out);
    drafts.extend(replicas::drafts(&replicas, out));
    drafts.sort_by(|a, b| a.source.cmp(&b.source));
    let entries: Vec<(&Draft, Entry)> =
        drafts.iter().filter_map(|draft| Some((draft, entry::entry(draft, &globals, out)?))).collect();
    let placed: Vec<(&Draft, &Entry)> = entries.iter().map(|(draft, entry)| (*draft, entry)).collect();
    replicas::check(&placed, out);
    hook::check(&placed, out);
    odd::warn(&placed, out);
    if drafts.is_empty() {
        out.warning(
            At { file: 0, start: 0, end: 0 },
            "there is nothing to do: no entry in `managed-datasets`, none in `replicas`",
        );
    }
    let entries = entries.into_iter().map(|(_, entry)| entry).collect();
    let watch = decode::read(&globals_table, "watch", out, watch::watch).unwrap_or_else(watch::default);
    let clock = clock_of(&globals_table, out);
    Some(Config { prefix: globals.prefix, timezone: globals.timezone, clock, watch, entries })
}

fn expand_items(expander: &mut Expander<'_>, items: &[Item], out: &mut Findings<'_>) -> Vec<Item> {
    items.iter().map(|item| Item { node: expander.node(&item.node, out), ..item.clone() }).collect()
}

fn globals_of(table: &Table, local_zone: &Zone, out: &mut Findings<'_>) -> Globals {
    Globals {
        prefix: decode::read(table, "prefix", out, prefix).unwrap_or_else(|| DEFAULT_PREFIX.to_owned()),
        timezone: decode::read(table, "timezone", out, entry::zone).unwrap_or_else(|| local_zone.clone()),
    }
}

fn clock_of(table: &Table, out: &mut Findings<'_>) -> ClockTrust {
    let read = |node: &Node, out: &mut Findings<'_>| {
        decode::word(node, &["synchronised", "trust"], out).map(|word| word == "trust")
    };
    match decode::read(table, "clock", out, read) {
        Some(true) => ClockTrust::Always,
        _ => ClockTrust::WhenSynchronised,
    }
}

/// What snapshot names begin with. A date and a dash will follow, and that must stay the only way to read them.
fn prefix(node: &Node, out: &mut Findings<'_>) -> Option<String> {
    let written = decode::text(node, "what snapshot names begin with, such as \"zam\"", out)?;
    let why = match written.parse::<SnapTag>() {
        Err(why) => why.to_string(),
        Ok(_) if written.len() > LONGEST_PREFIX => format!("it is longer than {LONGEST_PREFIX} bytes"),
        Ok(_) if written.contains(' ') => "it has a blank".to_owned(),
        Ok(_) if written.starts_with('-') || written.ends_with('-') => "it begins or ends with a dash".to_owned(),
        Ok(_) if written.ends_with("-manual") || written == "manual" => {
            "`manual` is for snapshots that people ask for".to_owned()
        }
        Ok(_) if ends_with_date(written) => "it ends with a date, which zam adds itself".to_owned(),
        Ok(_) => return Some(written.to_owned()),
    };
    out.error_with(node.at, format!("{written:?} cannot begin snapshot names: {why}"), "write a word such as \"zam\"");
    None
}

fn ends_with_date(text: &str) -> bool {
    let last = text.rsplit('-').next().unwrap_or_default();
    last.len() >= 8 && last.bytes().all(|byte| byte.is_ascii_digit() || byte == b'T' || byte == b'Z')
}

const DEFAULT_PREFIX: &str = "zam";
const LONGEST_PREFIX: usize = 64;
