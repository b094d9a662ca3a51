//! What entries hand down, what defaults and defines do, and which entry speaks for a dataset.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use pretty_assertions::assert_eq;
use zam_names::{DatasetName, Kind};
use zam_policy::{
    Zone,
    config::{Compress, Config, Entry, Match, load},
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

const ROOTS: &str = r#"
    [define.long]
    windows = [{ max-age = "6w", period = "1h" }, { period = "1mo" }]

    [default.managed-datasets]
    snapshot-period = "10m"
    hold = false

    [[replicas]]
    client = "laptop"
    root = "nas/zam/laptop"
    ref = "long"
    grace = "2d"
    retired = "2026-05-01"
    timezone = "Europe/Vienna"
    datasets = [
        { dataset = "tank/var/mail", ref = "long" },
        { dataset = "tank/var", keep = { daily = 14 }, grace = "1h" },
    ]

    [[replicas]]
    client = "desk"
    root = "nas/zam/desk"

    [[managed-datasets]]
    source = "nas"
    recursive = true
    destinations = [{ remote-host = "cloud" }]

    [[managed-datasets]]
    source = "nas/zam/laptop/tank"
    recursive = true
    snapshot-period = "never"
    destinations = [{ remote-host = "vault" }]
"#;

#[test]
fn replicas_are_entries_of_their_own() {
    let config = toml(ROOTS);
    let all: Vec<_> =
        config.entries.iter().map(|entry| (entry.source.as_str(), entry.client.as_deref().unwrap_or("-"))).collect();
    assert_eq!(
        all,
        [
            ("nas", "-"),
            ("nas/zam/desk", "desk"),
            ("nas/zam/laptop", "laptop"),
            ("nas/zam/laptop/tank", "-"),
            ("nas/zam/laptop/tank/var", "laptop"),
            ("nas/zam/laptop/tank/var/mail", "laptop"),
        ]
    );
    let [root, var, mail] =
        ["", "/tank/var", "/tank/var/mail"].map(|path| entry(&config, &format!("nas/zam/laptop{path}")));
    assert!(root.recursive && root.hold && root.snapshot_period.is_none() && root.destinations.is_empty());
    assert_eq!([root, var, mail].map(windows), ["6w/1h ∞/1mo", "14d/1d", "6w/1h ∞/1mo"]);
    assert_eq!([root, var, mail].map(|entry| entry.grace.to_string()), ["2d", "1h", "1h"]);
    // Midnight in Vienna, in summer.
    let retired = zam_names::UnixTime(1_777_586_400);
    assert_eq!([root, var, mail].map(|entry| entry.retired), [Some(retired); 3]);
    assert!(root.is_retired(retired) && !root.is_retired(retired.plus(-1)));
    let of =
        |client, root: &str| config.replica_of(client, &root.parse().unwrap()).map(|entry| entry.source.to_string());
    assert_eq!(of("laptop", "nas/zam/laptop").unwrap(), "nas/zam/laptop");
    for (client, root) in [("desk", "nas/zam/laptop"), ("laptop", "nas/zam/laptop/tank/var"), ("laptop", "nas/zam")] {
        assert_eq!(of(client, root), None);
    }
}

#[test]
fn within_a_root_replicas_say_what_stays_and_others_only_what_goes_on() {
    let config = toml(ROOTS);
    let sender = |dataset: &str| match config.sender_for(&dataset.parse().unwrap(), Kind::Filesystem) {
        Match::Entry(entry) => entry.destinations[0].remote_host.clone().unwrap(),
        _ => "nobody".to_owned(),
    };
    for (dataset, keeper, goes) in [
        ("nas/own", "nas", "cloud"),
        ("nas/zam", "nas", "cloud"),
        ("nas/zam/desk/tank", "nas/zam/desk", "nobody"),
        ("nas/zam/laptop", "nas/zam/laptop", "nobody"),
        ("nas/zam/laptop/tank/home", "nas/zam/laptop", "vault"),
        ("nas/zam/laptop/tank/var", "nas/zam/laptop/tank/var", "vault"),
        ("nas/zam/laptop/tank/var/mail/x", "nas/zam/laptop/tank/var/mail", "vault"),
        ("elsewhere", "nobody", "nobody"),
    ] {
        assert_eq!((who(&config, dataset), sender(dataset)), (keeper.to_owned(), goes.to_owned()), "{dataset}");
    }
}

#[test]
fn a_destination_says_where_each_dataset_lies() {
    let config = toml(
        r#"
        [[managed-datasets]]
        source = "tank/home"
        recursive = true
        destinations = [
            { remote-host = "a" },
            { remote-host = "b", dataset = "homes" },
            { remote-host = "c", pool = "nas", dataset = "zam/me/homes" },
            { pool = "usb" },
            { pool = "usb", dataset = "zam/me" },
            { root = "usb/zam/me", dataset = "homes" },
            { pool = "usb", root = "usb/zam/you", dataset = "zam/you/homes" },
        ]
        "#,
    );
    let entry = entry(&config, "tank/home");
    let [root, ann]: [DatasetName; 2] = ["nas/zam/me", "tank/home/ann"].map(|name| name.parse().unwrap());
    let path = |nth: usize, dataset: &DatasetName| {
        let found = entry.destinations[nth].relative(entry, dataset);
        found.map_or_else(|| "?".to_owned(), |path| path.to_string())
    };
    let paths = |dataset: &DatasetName| (0..7).map(|nth| path(nth, dataset)).collect::<Vec<_>>();
    assert_eq!(paths(&entry.source), ["tank/home", "homes", "?", "tank/home", "tank/home", "homes", "homes"]);
    assert_eq!(
        paths(&ann),
        ["tank/home/ann", "homes/ann", "?", "tank/home/ann", "tank/home/ann", "homes/ann", "homes/ann"]
    );
    let roots: Vec<_> =
        entry.destinations.iter().map(|to| to.local_root().map_or_else(String::new, |root| root.to_string())).collect();
    assert_eq!(roots, ["", "", "", "usb", "usb/zam/me", "usb/zam/me", "usb/zam/you"]);
    // With the root that the replica says, the prefix goes; another pool is refused.
    let named = &entry.destinations[2];
    assert_eq!(named.relative_to(entry, &ann, &root).unwrap().as_str(), "homes/ann");
    for other in ["nas/zam/you", "nas/zam/me/homes", "nas2/zam/me"] {
        let said = named.relative_to(entry, &entry.source, &other.parse().unwrap()).unwrap_err().to_string();
        assert_eq!(said, format!("nas/zam/me/homes is not below {other}, which is this client's root there"));
    }
    assert!(named.relative_to(entry, &"tank/var".parse().unwrap(), &root).is_err());
}

#[test]
fn what_a_destination_does_not_say() {
    let config = toml(
        r#"
        managed-datasets = [
            { source = "a", destinations = [
                { remote-host = "h" },
                { remote-host = "g", user = "zed", bandwidth = "10M", concurrency = 4, compress = "zstd", raw = true,
                  absent = "expected", give-up = "1y", keep = { daily = 3 } },
            ] },
            { source = "b", snapshot-period = "10m", destinations = [{ remote-host = "h", bandwidth = 4096 }] },
            { source = "c", snapshot-period = "10m", replication-period = "never", destinations = [{ remote-host = "h" }] },
            { source = "d", snapshot-period = "10m" },
        ]"#,
    );
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|source| entry(&config, source));
    let sent = |entry: &Entry| entry.replication_period.map_or_else(|| "never".to_owned(), |period| period.to_string());
    assert_eq!([a, b, c, d].map(sent), ["1h", "10m", "never", "never"]);
    let [plain, full] = [&a.destinations[0], &a.destinations[1]];
    assert_eq!((plain.user.as_str(), plain.bandwidth, plain.concurrency, plain.raw), ("zam-ssh", None, 2, None));
    assert_eq!(
        (plain.compress, plain.absent_expected, plain.give_up.to_string()),
        (Compress::None, false, "90d".to_owned())
    );
    assert_eq!(
        (full.user.as_str(), full.bandwidth, full.concurrency, full.raw),
        ("zed", Some(10 << 20), 4, Some(true))
    );
    assert_eq!(
        (full.compress, full.absent_expected, full.give_up.to_string()),
        (Compress::Zstd, true, "1y".to_owned())
    );
    assert_eq!(b.destinations[0].bandwidth, Some(4096));
    assert_eq!(full.narrowing(a).windows.len(), 1);
    // The effective form says all of it again.
    assert_eq!(toml(&config.effective_toml()).entries[0].destinations, a.destinations);
}

#[test]
fn a_hook_is_handed_down_and_taken_back() {
    let config = toml(
        r#"
        [[managed-datasets]]
        source = "a"
        recursive = true
        hook = { name = "postgres", on-failure = "skip" }
        [[managed-datasets]]
        source = "a/b"
        hook = {}
        [[managed-datasets]]
        source = "a/c"
        hook = { name = "maria-db", timeout = "1m" }
        "#,
    );
    let hook = |source: &str| {
        let hook = entry(&config, source).hook.as_ref()?;
        Some(format!("{} {} {:?}", hook.name, hook.timeout, hook.on_failure))
    };
    assert_eq!(hook("a").as_deref(), Some("postgres 30s Skip"));
    assert_eq!((hook("a/b"), hook("a/c").as_deref()), (None, Some("maria-db 1m Take")));
}

#[test]
fn what_tasks_wait_for_is_handed_down_as_one_and_nobody_is_alarmed_by_it() {
    let config = toml(
        r#"
        [default.managed-datasets]
        snapshot-period = "10m"
        run-when.snapshots = { ac-power = true }
        [[managed-datasets]]
        source = "a"
        recursive = true
        run-when = { snapshots = { idle = "5m", at-latest = "8h" }, replication = { between = "22:00-06:00" } }
        destinations = [{ remote-host = "olympus" }]
        [[managed-datasets]]
        source = "a/b"
        run-when = {}
        [[managed-datasets]]
        source = "a/c"
        snapshot-period = "2w"
        [[managed-datasets]]
        source = "b"
        "#,
    );
    let waits = |source: &str| {
        let entry = entry(&config, source);
        let (snapshots, replication) = (&entry.run_when.snapshots, &entry.run_when.replication);
        [snapshots, replication].map(|when| when.as_ref().map_or_else(String::new, ToString::to_string))
    };
    let late = |source: &str| {
        let entry = entry(&config, source);
        [entry.stale_after, entry.destinations.first().and_then(|to| to.stale_after)]
            .map(|span| span.map_or_else(String::new, |span| span.to_string()))
    };
    let rest = "idle for 5m; at the latest 8h after the last";
    assert_eq!(waits("a"), [rest, "between 22:00-06:00; at the latest 1d after the last"]);
    assert_eq!(late("a"), ["16h", "2d"]);
    assert_eq!((waits("a/b"), late("a/b")), (["", ""].map(str::to_owned), ["30m", "1d"].map(str::to_owned)));
    assert_eq!(waits("a/c"), [rest, "between 22:00-06:00; at the latest 4w after the last"]);
    assert_eq!(late("a/c"), ["6w", "8w"]);
    assert_eq!(waits("b"), ["not on battery; at the latest 1d after the last", ""]);
}
