//! A config written out in full.

use super::{ClockTrust, Config, Destination, Entry, decode::NEVER};
use crate::{Pattern, Span, Tier};
use std::fmt::Write as _;
use zam_names::Kind;

impl Config {
    /// The config with nothing left to inherit, to default or to expand, as TOML that loads to the same again.
    #[must_use]
    pub fn effective_toml(&self) -> String {
        let mut out = format!("prefix = {}\ntimezone = {}\n", quoted(&self.prefix), quoted(&self.timezone.to_string()));
        if self.clock == ClockTrust::Always {
            out.push_str("clock = \"trust\"\n");
        }
        for entry in &self.entries {
            // Writing into a String does not fail.
            let _ = write_entry(&mut out, entry);
        }
        out
    }
}

fn write_entry(out: &mut String, entry: &Entry) -> std::fmt::Result {
    writeln!(out, "\n[[managed-datasets]]")?;
    writeln!(out, "source = {}", quoted(entry.source.as_str()))?;
    writeln!(out, "recursive = {}", entry.recursive)?;
    writeln!(out, "exclude = {}", patterns(&entry.exclude))?;
    writeln!(out, "type = {}", quoted(kind(entry.kind)))?;
    writeln!(out, "enabled = {}", entry.enabled)?;
    writeln!(out, "windows = {}", windows(&entry.rule.windows))?;
    writeln!(out, "at-least = {}", entry.rule.at_least)?;
    writeln!(out, "adopt = {}", patterns(&entry.rule.adopt))?;
    writeln!(out, "timezone = {}", quoted(&entry.rule.zone.to_string()))?;
    writeln!(out, "snapshot-period = {}", period(entry.snapshot_period))?;
    writeln!(out, "prune-period = {}", period(entry.prune_period))?;
    writeln!(out, "replication-period = {}", period(entry.replication_period))?;
    if let Some(splay) = entry.splay {
        writeln!(out, "splay = \"{splay}\"")?;
    }
    writeln!(out, "hold = {}", entry.hold)?;
    writeln!(out, "grace = \"{}\"", entry.grace)?;
    writeln!(out, "brake = {}", entry.brake)?;
    writeln!(out, "silence = {}", entry.silence)?;
    writeln!(out, "absent = {}", quoted(if entry.absent_expected { "expected" } else { "unexpected" }))?;
    writeln!(out, "destinations = {}", rows(entry.destinations.iter().map(destination)))
}

fn destination(destination: &Destination) -> String {
    let host = destination.remote_host.as_ref().map(|host| format!("remote-host = {}", quoted(host)));
    let pool = destination.pool.as_ref().map(|pool| format!("pool = {}", quoted(pool.as_str())));
    let dataset = destination.dataset.as_ref().map(|dataset| format!("dataset = {}", quoted(dataset.as_str())));
    let tiers: Vec<String> = destination.windows.iter().map(tier).collect();
    let windows = (!tiers.is_empty()).then(|| format!("windows = [{}]", tiers.join(", ")));
    format!("{{ {} }}", [host, pool, dataset, windows].into_iter().flatten().collect::<Vec<_>>().join(", "))
}

fn windows(tiers: &[Tier]) -> String {
    rows(tiers.iter().map(tier))
}

fn tier(tier: &Tier) -> String {
    match tier.max_age {
        Some(age) => format!("{{ max-age = \"{age}\", period = \"{}\" }}", tier.period),
        None => format!("{{ period = \"{}\" }}", tier.period),
    }
}

fn rows(rows: impl Iterator<Item = String>) -> String {
    let rows: String = rows.map(|row| format!("    {row},\n")).collect();
    if rows.is_empty() { "[]".to_owned() } else { format!("[\n{rows}]") }
}

fn patterns(patterns: &[Pattern]) -> String {
    format!("[{}]", patterns.iter().map(|pattern| quoted(pattern.as_str())).collect::<Vec<_>>().join(", "))
}

fn period(period: Option<Span>) -> String {
    period.map_or_else(|| quoted(NEVER), |span| format!("\"{span}\""))
}

fn kind(kind: Option<Kind>) -> &'static str {
    match kind {
        Some(Kind::Filesystem) => "filesystem",
        Some(Kind::Volume) => "volume",
        None => "any",
    }
}

/// As a TOML text in which nothing is a `${name}`.
fn quoted(text: &str) -> String {
    toml::Value::from(text.replace("${", "$${")).to_string()
}
