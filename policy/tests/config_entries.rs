//! What entries hand down, what defaults and defines do, and which entry speaks for a dataset.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use pretty_assertions::assert_eq;
use zam_names::Kind;
use zam_policy::{
    Zone,
    config::{Config, Entry, Match, load},
};

fn files(files: &[(&str, &str)]) -> Result<Config, String> {
    let files: Vec<_> = files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    load(&files, &Zone::named("Europe/Vienna").unwrap()).map(|(config, _)| config).map_err(|errors| errors.to_string())
}

fn toml(text: &str) -> Config {
    files(&[("zam.toml", text)]).unwrap()
}

fn entry<'a>(config: &'a Config, source: &str) -> &'a Entry {
    config.entries.iter().find(|entry| entry.source.as_str() == source).unwrap()
}

fn windows(entry: &Entry) -> String {
    let tier = |tier: &zam_policy::Tier| match tier.max_age {
        Some(age) => format!("{age}/{}", tier.period),
        None => format!("∞/{}", tier.period),
    };
    entry.rule.windows.iter().map(tier).collect::<Vec<_>>().join(" ")
}

/// The source of the entry in charge, or why there is none.
fn who(config: &Config, dataset: &str) -> String {
    match config.entry_for(&dataset.parse().unwrap(), Kind::Filesystem) {
        Match::Entry(entry) => entry.source.to_string(),
        Match::Excluded { entry, pattern } => format!("{} excludes {pattern}", entry.source),
        Match::Disabled(entry) => format!("{} is off", entry.source),
        Match::WrongKind(entry) => format!("{} is for the other kind", entry.source),
        Match::Uncovered => "nobody".to_owned(),
    }
}

#[test]
fn what_is_not_said_is_the_default() {
    let config = toml("[[managed-datasets]]\nsource = 'tank/home'");
    assert_eq!((config.prefix.as_str(), config.timezone.to_string().as_str()), ("zam", "Europe/Vienna"));
    let entry = entry(&config, "tank/home");
    assert!(!entry.recursive && entry.enabled && entry.hold && !entry.absent_expected);
    assert!(entry.exclude.is_empty() && entry.destinations.is_empty() && entry.rule.windows.is_empty());
    assert_eq!((entry.kind, entry.snapshot_period, entry.replication_period, entry.splay), (None, None, None, None));
    assert_eq!((entry.prune_period.unwrap().to_string(), entry.grace.to_string()), ("1h".to_owned(), "24h".to_owned()));
    assert_eq!((entry.brake, entry.silence, entry.rule.at_least), (20, 3, 0));
    assert_eq!((&entry.rule.prefix, &entry.rule.zone), (&config.prefix, &config.timezone));
    assert_eq!(entry.place.to_string(), "zam.toml:1");
}

#[test]
fn the_longest_entry_that_covers_decides() {
    let config = toml(
        r#"
        managed-datasets = [
            { source = "foo", recursive = true, exclude = ["cache", "re:tmp[0-9]+"] },
            { source = "foo/bar" },
            { source = "foo/alone", recursive = false },
            { source = "foo/cache/kept" },
            { source = "foo/off", enabled = false },
            { source = "foo/off/on" },
            { source = "foo/vol", type = "volume" },
        ]"#,
    );
    for (dataset, expected) in [
        ("foo", "foo"),
        ("foo/a/b", "foo"),
        ("foo/bar", "foo/bar"),
        ("foo/bar/baz", "foo/bar"),
        ("foo/barn", "foo"),
        ("foo/alone", "foo/alone"),
        ("foo/alone/child", "foo"),
        ("foo/cache", "foo excludes cache"),
        ("foo/a/cache/b", "foo excludes cache"),
        ("foo/caches", "foo"),
        ("foo/tmp1/b", "foo excludes re:tmp[0-9]+"),
        ("foo/bar/tmp1", "foo/bar excludes re:tmp[0-9]+"),
        ("foo/cache/kept", "foo/cache/kept"),
        ("foo/cache/kept/below", "foo/cache/kept"),
        ("foo/off", "foo/off is off"),
        ("foo/off/x", "foo/off is off"),
        ("foo/off/on", "foo/off/on"),
        ("foo/vol", "foo/vol is for the other kind"),
        ("food", "nobody"),
    ] {
        assert_eq!(who(&config, dataset), expected, "{dataset}");
    }
}

#[test]
fn an_entry_inherits_from_the_one_it_displaces_and_then_takes_the_defaults() {
    let config = toml(
        r#"
        [default.managed-datasets]
        snapshot-period = "1d"
        grace = "1h"
        hold = false

        [[managed-datasets]]
        source = "foo"
        recursive = true
        snapshot-period = "10m"
        keep = { hourly = 48 }
        destinations = [{ remote-host = "olympus" }, { remote-host = "athos", dataset = "copies/foo" }, { pool = "usb", dataset = "copies" }]

        [[managed-datasets]]
        source = "foo/bar"
        windows = [{ period = "1w" }]
        hold = true

        [[managed-datasets]]
        source = "foo/bar/baz"
        snapshot-period = "never"
        recursive = false

        [[managed-datasets]]
        source = "foo/bar/baz/leaf"
        "#,
    );
    let [bar, baz, leaf] = ["foo/bar", "foo/bar/baz", "foo/bar/baz/leaf"].map(|source| entry(&config, source));
    assert_eq!(windows(entry(&config, "foo")), "48h/1h");
    assert_eq!([bar, baz, leaf].map(windows), ["∞/1w", "∞/1w", "∞/1w"]);
    // baz is not recursive, so leaf displaces bar.
    assert_eq!([bar, baz, leaf].map(|entry| entry.recursive), [true, false, true]);
    assert_eq!([bar, baz, leaf].map(|entry| entry.hold), [true, true, true]);
    let taken = |entry: &Entry| entry.snapshot_period.map(|period| period.to_string());
    assert_eq!([bar, baz, leaf].map(taken), [Some("10m".to_owned()), None, Some("10m".to_owned())]);
    assert_eq!(leaf.grace.to_string(), "1h");
    // The copies of what is deeper lie as much deeper.
    let there = |entry: &Entry| entry.destinations[1].dataset.as_ref().unwrap().to_string();
    assert_eq!([bar, leaf].map(there), ["copies/foo/bar", "copies/foo/bar/baz/leaf"]);
    assert_eq!(leaf.destinations[0].dataset, None);
    // On this host they share a root, below which each has its full name.
    let usb = |entry: &Entry| entry.destinations[2].relative(entry, &entry.source).unwrap().to_string();
    assert_eq!(usb(leaf), "foo/bar/baz/leaf");
    assert_eq!(leaf.destinations[2].local_root().unwrap().as_str(), "usb/copies");
}

#[test]
fn enabled_is_not_inherited() {
    let config = toml(
        "managed-datasets = [{ source = 'foo', recursive = true, enabled = false, grace = '2h' }, { source = 'foo/bar' }]",
    );
    assert!(entry(&config, "foo/bar").enabled);
    assert_eq!(entry(&config, "foo/bar").grace.to_string(), "2h");
}

#[test]
fn defaults_reach_into_blocks_and_lists() {
    let config = toml(
        r#"
        "DEFAULT#managed-datasets[*].destinations[*].windows" = [{ period = "1w" }]
        "DEFAULT#managed-datasets[*].source.pool" = "tank"

        [default.managed-datasets]
        keep = { daily = 7 }
        destinations = { remote-host = "olympus" }

        [[managed-datasets]]
        source = { dataset = "a" }
        destinations = [{}, { remote-host = "athos", keep = { hourly = 1 } }]

        [[managed-datasets]]
        source = { dataset = "b", windows = [] }
        "#,
    );
    let [a, b] = ["tank/a", "tank/b"].map(|source| entry(&config, source));
    assert_eq!((windows(a).as_str(), windows(b).as_str()), ("7d/1d", ""));
    let hosts: Vec<_> = a.destinations.iter().map(|to| to.remote_host.as_deref().unwrap()).collect();
    assert_eq!(hosts, ["olympus", "athos"]);
    let periods: Vec<_> = a.destinations.iter().map(|to| to.windows[0].period.to_string()).collect();
    assert_eq!(periods, ["1w", "1h"]);
    // A block for every element makes none where there is no list.
    assert!(b.destinations.is_empty());
}

#[test]
fn defines_stand_for_blocks_lists_and_values() {
    let config = toml(
        r#"
        "DEFINE#pool" = "tank"
        [define]
        keeps = 3
        long = [{ max-age = "1w", period = "1h" }, { period = "${often}" }]
        often = "1d"
        base = { at-least = "${keeps}", ref = "basis" }
        basis = { windows = { ref = "long" }, hold = false, at-least = 1 }

        [[managed-datasets]]
        ref = "base"
        source = "${pool}/a"
        hold = true

        [[managed-datasets]]
        REF = "base"
        source = "tank/b"
        keep = { hourly = 2 }
        recursive = true
        exclude = ["re:a$${2}"]
        "#,
    );
    let [a, b] = ["tank/a", "tank/b"].map(|source| entry(&config, source));
    assert_eq!((windows(a).as_str(), a.rule.at_least, a.hold), ("1w/1h ∞/1d", 3, true));
    assert_eq!((windows(b).as_str(), b.rule.at_least, b.hold), ("2h/1h", 3, false));
    assert_eq!(b.exclude[0].as_str(), "re:a${2}");
    assert!(config.effective_toml().contains("re:a$${2}"));
}

#[test]
fn counts_mean_tiers() {
    let config = toml(
        "[[managed-datasets]]\nsource = 'a'\nkeep = { secondly = 60, minutely = 60, hourly = 48, daily = '30', weekly = 0, monthly = 12, yearly = 5 }",
    );
    assert_eq!(windows(entry(&config, "a")), "60s/1s 60m/1m 48h/1h 30d/1d 12mo/1mo 5y/1y");
}

#[test]
fn drop_ins_add_entries_and_defines() {
    let main = (
        "zam.toml",
        "[define]\nh = { keep = { hourly = 2 } }\n[[managed-datasets]]\nsource = 'b'\nref = 'h'\nrecursive = true",
    );
    let more = (
        "zam.d/10-more.json",
        "{'managed-datasets': [{source: 'a', ref: 'h'}, {source: 'b/c', hold: false}], prefix: 'x'}",
    );
    let config = files(&[main, more]).unwrap();
    let sources: Vec<_> = config.entries.iter().map(|entry| entry.source.as_str()).collect();
    assert_eq!(sources, ["a", "b", "b/c"]);
    assert_eq!(entry(&config, "b/c").rule.prefix, "x");
    assert_eq!(windows(entry(&config, "b/c")), "2h/1h");
    assert_eq!(entry(&config, "a").place.to_string(), "zam.d/10-more.json:1");
    // The order of the files does not decide.
    assert_eq!(files(&[more, main]).unwrap(), config);
}

#[test]
fn what_two_files_both_say_is_refused() {
    let main = ("zam.toml", "prefix = 'a'\n[define]\nx = 1\n[[managed-datasets]]\nsource = 'b'");
    let more = ("more.toml", "prefix = 'b'\n[define]\nx = 2\n[[managed-datasets]]\nsource = 'b'");
    let said = files(&[main, more]).unwrap_err();
    for line in ["more.toml:1:1: error: `prefix`", "more.toml:3:1: error: `x`", "more.toml:5:10: error: `b`"] {
        assert!(said.contains(&format!("{line} stands here a second time")), "{said}");
    }
    assert!(said.contains("the first is at zam.toml:5"), "{said}");
}
