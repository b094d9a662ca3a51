//! A config written out in full.

use super::{
    ClockTrust, Compress, Config, Destination, Entry, Hook, MailBy, OnFailure, Watch,
    decode::NEVER,
    destination::{DEFAULT_CONCURRENCY, DEFAULT_USER, default_give_up},
};
use crate::{Pattern, Span, Tier, Zone, when::When};
use jiff::{Timestamp, civil};
use std::fmt::Write as _;
use zam_names::{Kind, UnixTime};

impl Config {
    /// The config with nothing left to inherit, to default or to expand, as TOML that loads to the same again.
    #[must_use]
    pub fn effective_toml(&self) -> String {
        let mut out = format!("prefix = {}\ntimezone = {}\n", quoted(&self.prefix), quoted(&self.timezone.to_string()));
        if self.clock == ClockTrust::Always {
            out.push_str("clock = \"trust\"\n");
        }
        out += &watch(&self.watch);
        for entry in &self.entries {
            // Writing into a String does not fail.
            let _ = match self.root_above(&entry.source).filter(|_| entry.is_replica()) {
                None => write_entry(&mut out, entry),
                Some(root) if root.source == entry.source => self.write_replica(&mut out, entry),
                // Written with its root.
                Some(_) => Ok(()),
            };
        }
        out
    }

    fn write_replica(&self, out: &mut String, root: &Entry) -> std::fmt::Result {
        writeln!(out, "\n[[replicas]]")?;
        writeln!(out, "client = {}", quoted(root.client.as_deref().unwrap_or_default()))?;
        writeln!(out, "root = {}", quoted(root.source.as_str()))?;
        if let Some(day) = root.retired.and_then(|from| day(from, &root.rule.zone)) {
            writeln!(out, "retired = \"{day}\"")?;
        }
        writeln!(out, "absent = {}", quoted(absent(root.absent_expected)))?;
        write_keeping(out, root)?;
        for entry in self.entries.iter().filter(|entry| entry.is_replica()) {
            let Some(path) = entry.source.below(&root.source).filter(|path| !path.is_empty()) else { continue };
            writeln!(out, "\n[[replicas.datasets]]\ndataset = {}", quoted(path))?;
            write_keeping(out, entry)?;
        }
        Ok(())
    }
}

fn watch(watch: &Watch) -> String {
    let said = |key: &str, text: Option<String>| text.map(|text| format!("{key} = {}", quoted(&text)));
    let texts = |texts: &[String]| texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", ");
    let mail = watch.mail.iter().map(|mail| {
        let (smtp, sendmail) = match &mail.by {
            MailBy::Smtp(url) => (Some(url.written()), None),
            MailBy::Sendmail(program) => (None, Some(program.clone())),
        };
        let to = Some(format!("to = [{}]", texts(&mail.to)));
        let keys = [to, said("from", mail.from.clone()), said("smtp", smtp), said("sendmail", sendmail)];
        format!("mail = {{ {} }}\n", keys.into_iter().flatten().collect::<Vec<_>>().join(", "))
    });
    let webhook = watch.webhook.iter().map(|url| format!("webhook = {}\n", quoted(&url.written())));
    let program = Some(&watch.program).filter(|program| !program.is_empty());
    let program = program.map(|words| format!("program = [{}]\n", texts(words)));
    let ping = watch.ping.iter();
    let ping =
        ping.map(|ping| format!("ping = {{ url = {}, period = \"{}\" }}\n", quoted(&ping.url.written()), ping.period));
    let metrics = watch.metrics.iter().map(|at| format!("metrics = \"{at}\"\n"));
    let ways: String = mail.chain(webhook).chain(program).chain(ping).chain(metrics).collect();
    format!("\n[watch]\nrepeat = {}\n{ways}", period(watch.repeat))
}

/// How long things are kept, in the keys that replicas and their datasets share.
fn write_keeping(out: &mut String, entry: &Entry) -> std::fmt::Result {
    writeln!(out, "enabled = {}", entry.enabled)?;
    writeln!(out, "windows = {}", windows(&entry.rule.windows))?;
    writeln!(out, "at-least = {}", entry.rule.at_least)?;
    writeln!(out, "adopt = {}", patterns(&entry.rule.adopt))?;
    writeln!(out, "timezone = {}", quoted(&entry.rule.zone.to_string()))?;
    writeln!(out, "prune-period = {}", period(entry.prune_period))?;
    writeln!(out, "grace = \"{}\"", entry.grace)?;
    writeln!(out, "brake = {}", entry.brake)?;
    writeln!(out, "silence = {}", entry.silence)?;
    writeln!(out, "stale-after = {}", period(entry.stale_after))
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
    writeln!(out, "stale-after = {}", period(entry.stale_after))?;
    writeln!(out, "absent = {}", quoted(absent(entry.absent_expected)))?;
    let waits = [("snapshots", &entry.run_when.snapshots), ("replication", &entry.run_when.replication)];
    for (task, when) in waits.into_iter().filter_map(|(task, when)| Some((task, when.as_ref()?))) {
        writeln!(out, "run-when.{task} = {{ {} }}", conditions(when))?;
    }
    if let Some(Hook { name, timeout, on_failure }) = &entry.hook {
        let then = if *on_failure == OnFailure::Skip { "skip" } else { "take" };
        writeln!(out, "hook = {{ name = {}, timeout = \"{timeout}\", on-failure = \"{then}\" }}", quoted(name))?;
    }
    writeln!(out, "destinations = {}", rows(entry.destinations.iter().map(destination)))
}

fn conditions(when: &When) -> String {
    let keys = [
        when.idle.map(|idle| format!("idle = \"{idle}\"")),
        when.ac_power.then(|| "ac-power = true".to_owned()),
        when.between.map(|hours| format!("between = \"{hours}\"")),
        when.reachable.then(|| "reachable = true".to_owned()),
        Some(format!("at-latest = \"{}\"", when.at_latest)),
    ];
    keys.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Where it is, and what it says other than the defaults.
fn destination(to: &Destination) -> String {
    let said = |key: &str, text: Option<&str>| text.map(|text| format!("{key} = {}", quoted(text)));
    let tiers: Vec<String> = to.windows.iter().map(tier).collect();
    let keys = [
        said("remote-host", to.remote_host.as_deref()),
        said("user", Some(to.user.as_str()).filter(|user| *user != DEFAULT_USER)),
        said("pool", to.pool.as_ref().map(|pool| pool.as_str())),
        said("dataset", to.dataset.as_ref().map(|path| path.as_str())),
        said("root", to.root.as_ref().map(|root| root.as_str())),
        (!tiers.is_empty()).then(|| format!("windows = [{}]", tiers.join(", "))),
        to.bandwidth.map(|bytes| format!("bandwidth = {bytes}")),
        (to.concurrency != DEFAULT_CONCURRENCY).then(|| format!("concurrency = {}", to.concurrency)),
        said("compress", (to.compress == Compress::Zstd).then_some("zstd")),
        to.raw.map(|raw| format!("raw = {raw}")),
        said("absent", to.absent_expected.then_some("expected")),
        Some(format!("stale-after = {}", period(to.stale_after))),
        (Some(to.give_up) != default_give_up()).then(|| format!("give-up = \"{}\"", to.give_up)),
    ];
    format!("{{ {} }}", keys.into_iter().flatten().collect::<Vec<_>>().join(", "))
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

fn absent(expected: bool) -> &'static str {
    if expected { "expected" } else { "unexpected" }
}

/// The day that begins at this instant.
fn day(begin: UnixTime, zone: &Zone) -> Option<civil::Date> {
    Some(Timestamp::from_second(begin.0).ok()?.to_zoned(zone.calendar().clone()).date())
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
