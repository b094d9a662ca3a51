use super::*;
use crate::{
    forecast::{Remembered, forecast},
    golden,
};
use pretty_assertions::assert_eq;
use zam_names::{CreateTxg, Dataset, Guid, HOLD_TAG, Kind, Snapshot, UnixTime};
use zam_policy::{
    Span, Zone,
    assess::Assessment,
    config::{self, Config, Entry},
    notes::DatasetNotes,
    tags,
};

const MINUTE: i64 = 60;
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
/// In the middle of a day, of a week and of a month.
const NOW: UnixTime = UnixTime(1_784_117_100);

fn asked<T>(adopt: bool, then: impl FnOnce(&Asked<'_>) -> T) -> T {
    let pools = || Ok(vec!["nas".parse().unwrap(), "tank".parse().unwrap()]);
    then(&Asked { adopt, client: &|| Ok("here".to_owned()), pools: &pools })
}

fn file(name: &str) -> File {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import").join(name);
    File::new(name, std::fs::read_to_string(path).unwrap())
}

fn text(tool: Tool, files: &[File], adopt: bool) -> Result<String, Failure> {
    asked(adopt, |asked| Ok(tool.read(files, asked)?.text(tool, adopt)))
}

fn load(text: &str) -> Config {
    config::load(&[("zam.toml".to_owned(), text.to_owned())], &Zone::utc())
        .unwrap_or_else(|why| panic!("{why}\n{text}"))
        .0
}

fn imported(tool: Tool, written: &str) -> Config {
    load(&text(tool, &[File::new("f", written.to_owned())], false).unwrap())
}

fn entry<'a>(config: &'a Config, dataset: &str) -> Option<&'a Entry> {
    config.entry_for(&dataset.parse().unwrap(), Kind::Filesystem).entry()
}

/// A dataset whose snapshots came at these instants.
fn dataset(name: &str, dates: impl Iterator<Item = i64>) -> Dataset {
    let snapshot = |(nth, date): (u64, i64)| Snapshot {
        tag: tags::scheduled("zam", UnixTime(date)).unwrap(),
        guid: Guid(nth),
        createtxg: CreateTxg(nth),
        creation: UnixTime(date),
        holds: vec![HOLD_TAG.parse().unwrap()],
        clones: 0,
        deferred: false,
        used: None,
    };
    Dataset {
        name: name.parse().unwrap(),
        guid: Guid(99),
        kind: Kind::Filesystem,
        used: 0,
        used_by_snapshots: 0,
        snapshots_changed: None,
        snapshots: (1..).zip(dates).map(snapshot).collect(),
    }
}

/// The instants of the snapshots that an entry keeps at `NOW`, if it took them for so many days.
fn kept(entry: &Entry, days: i64) -> Vec<i64> {
    let period = entry.snapshot_period.unwrap();
    let first = period.bucket_start(NOW.plus(-days * DAY), entry.rule.zone.calendar());
    let dates = std::iter::successors(Some(first), |date| Some(period.next_bucket(*date, entry.rule.zone.calendar())));
    let dates = dates.take_while(|date| *date <= NOW).map(|date| date.0);
    let dataset = dataset(entry.source.as_str(), dates);
    let notes = DatasetNotes::default();
    let seen = Assessment::new(&dataset, entry, &notes, NOW);
    let kept = seen.verdicts.iter().filter(|verdict| !verdict.expired(NOW));
    kept.map(|verdict| verdict.date.0).collect()
}

/// Each of these stands in a piece of the calendar of which something is kept.
fn covers(kept: &[i64], theirs: &[i64], period: &str, what: &str) {
    let period: Span = period.parse().unwrap();
    let zone = Zone::utc();
    let piece = |date: &i64| period.bucket(UnixTime(*date), zone.calendar());
    let pieces: std::collections::BTreeSet<_> = kept.iter().map(piece).collect();
    for date in theirs {
        assert!(pieces.contains(&piece(date)), "{what}: nothing of the {period} around {date} ({} ago)", NOW.0 - date);
    }
    assert!(!theirs.is_empty(), "{what}: nothing to compare");
}

/// Looks ahead with the real planner over every entry of a config: it must be good for that, and each snapshot has one fate.
fn plan(config: &Config) {
    for entry in config.entries.iter().filter(|entry| entry.enabled) {
        let dataset = dataset(entry.source.as_str(), (0..60).map(|nth| NOW.0 - (60 - nth) * 11 * HOUR));
        let seen = forecast(&dataset, entry, &Remembered::default(), NOW, NOW.plus(DAY));
        let taken = seen.steps.iter().any(|step| step.what == crate::forecast::What::Take);
        assert_eq!(
            taken,
            entry.snapshot_period.is_some_and(|period| period.approximate_seconds() <= DAY),
            "{}",
            entry.source
        );
        let expires = seen.untouched < dataset.snapshots.len();
        let last = entry.rule.windows.last().map(|tier| tier.max_age);
        assert!(
            expires || last.is_none_or(|age| age.is_none_or(|age| age.approximate_seconds() > 20 * DAY)),
            "{}",
            entry.source
        );
    }
}

/// The sample becomes what the golden file says, which loads and plans; with `--adopt` the same, but that it adopts.
fn sample(tool: Tool, names: &[&str], golden: &str) -> Config {
    let files: Vec<File> = names.iter().map(|name| file(name)).collect();
    let written = text(tool, &files, false).unwrap();
    golden::compare(&written, &format!("tests/golden/{golden}"));
    let config = load(&written);
    plan(&config);
    assert!(config.entries.iter().all(|entry| entry.rule.adopt.is_empty()), "nothing is adopted unasked");
    let adopting = load(&text(tool, &files, true).unwrap());
    plan(&adopting);
    for entry in config.entries.iter().filter(|entry| entry.enabled) {
        let adopting = adopting.entry_for(&entry.source, Kind::Filesystem).entry().unwrap();
        assert_eq!(entry.rule.windows, adopting.rule.windows, "{}", entry.source);
        let idle = entry.snapshot_period.is_none() && entry.rule.windows.is_empty();
        assert!(idle || !adopting.rule.adopt.is_empty(), "{} adopts", entry.source);
    }
    config
}

fn refused(tool: Tool, written: &str, words: &str) {
    let why = text(tool, &[File::new("the file", written.to_owned())], false).unwrap_err();
    assert_eq!(why.kind, crate::failure::Kind::Usage, "{written}");
    assert!(why.message.contains(words), "{words:?} is not in {:?}", why.message);
}

/// What sanoid has at `NOW` of a kind, from its first run on: at the end of each piece, less what is older than so many pieces
/// and more than so many.
fn sanoid_has(count: i64, seconds: i64, last: i64, days: i64) -> Vec<i64> {
    let taken: Vec<i64> =
        (0..).map(|back| last - back * seconds).take_while(|date| *date > NOW.0 - days * DAY).collect();
    let stays = |(nth, date): &(i64, i64)| *date >= NOW.0 - count * seconds || *nth < count;
    (0..).zip(taken).filter(stays).map(|(_, date)| date).collect()
}

#[test]
fn sanoid_sample() {
    let config = sample(Tool::Sanoid, &["sanoid.conf"], "import-sanoid.toml");
    for (dataset, source) in [
        ("tank/people/ann/mail", Some("tank/people")),
        ("tank/people/scratch/x", None),
        ("tank/vm/web", Some("tank/vm")),
        ("tank/vm/build", Some("tank/vm/build")),
        ("tank/vm/build/x", Some("tank/vm")),
        ("tank/log/x", None),
        ("tank/db/x", Some("tank/db")),
        ("tank/elsewhere", None),
    ] {
        assert_eq!(entry(&config, dataset).map(|entry| entry.source.as_str()), source, "{dataset}");
    }
    // All of it is taken with the tree, whatever the child says.
    assert!(entry(&config, "tank/db/cache").unwrap().snapshot_period.is_some());
    assert!(entry(&config, "tank/archive").unwrap().rule.windows.is_empty());
}

#[test]
fn what_sanoid_keeps_zam_keeps_too() {
    let days = 800;
    for [frequently, hourly, daily, weekly, monthly] in [
        [0, 36, 30, 0, 3],
        [8, 48, 90, 0, 6],
        [4, 24, 1, 5, 12],
        [0, 0, 7, 52, 0],
        [0, 1, 0, 0, 0],
        [0, 0, 0, 0, 14],
        [0, 200, 3, 1, 1],
        [2, 0, 2, 9, 2],
    ] {
        let what = format!(
            "frequently = {frequently}\nhourly = {hourly}\ndaily = {daily}\nweekly = {weekly}\nmonthly = {monthly}\n"
        );
        let config = imported(Tool::Sanoid, &format!("[tank]\n{what}"));
        let kept = kept(&config.entries[0], days);
        let midnight = NOW.0 - NOW.0 % DAY;
        for (count, seconds, last, period) in [
            (frequently, 15 * MINUTE, NOW.0 - NOW.0 % (15 * MINUTE), "15m"),
            (hourly, HOUR, NOW.0 - NOW.0 % HOUR, "1h"),
            (daily, DAY, midnight - MINUTE, "1d"),
            // Monday at 23:30, seen from a Wednesday
            (weekly, 7 * DAY, midnight - DAY - 30 * MINUTE, "1w"),
        ] {
            if count > 0 {
                covers(&kept, &sanoid_has(count, seconds, last, days), period, &what);
            }
        }
        let first_of_month = |back: i64| {
            let now = jiff::Timestamp::from_second(NOW.0).unwrap().to_zoned(jiff::tz::TimeZone::UTC);
            let month = now.first_of_month().unwrap().start_of_day().unwrap();
            month.checked_sub(jiff::Span::new().months(back)).unwrap().timestamp().as_second()
        };
        let months: Vec<i64> = (0..24).map(first_of_month).filter(|date| *date >= NOW.0 - monthly * 31 * DAY).collect();
        if monthly > 0 {
            covers(&kept, &months, "1mo", &what);
        }
        let most = [frequently, hourly, daily, weekly, monthly].map(|count| count + 3).iter().sum::<i64>();
        assert!(i64::try_from(kept.len()).unwrap() <= most, "{what}: {} are kept", kept.len());
    }
}

#[test]
fn sanoid_sections_inherit_as_in_sanoid() {
    // What comes later and goes down writes over what came before; skipped children begin anew.
    let config = imported(
        Tool::Sanoid,
        "[tank/a]\nhourly = 5\n[tank]\nrecursive = yes\nhourly = 7\n[tank/b]\ndaily = 0\n[tank/c]\nskip_children = yes\n[tank/c/d]\ndaily = 2",
    );
    let tiers = |dataset: &str| {
        entry(&config, dataset).map(|entry| {
            entry.rule.windows.iter().map(|t| t.max_age.unwrap().to_string()).collect::<Vec<_>>().join(" ")
        })
    };
    assert_eq!(tiers("tank/a").unwrap(), "8h 91d 217d");
    assert_eq!(tiers("tank/b").unwrap(), "8h 217d");
    assert_eq!(tiers("tank/b/x").unwrap(), "8h 91d 217d");
    assert_eq!(tiers("tank/c/x"), None);
    assert_eq!(tiers("tank/c/d").unwrap(), "49h 73h 217d");
    let own = imported(Tool::Sanoid, "[name]\npath = tank/x\n[template_default]\nhourly = 2\nmonthly = 0\ndaily = 0");
    assert_eq!(own.entries[0].source.as_str(), "tank/x");
    assert_eq!(own.entries[0].rule.windows.len(), 1);
}

#[test]
fn what_sanoid_would_not_take_is_refused_with_its_line() {
    for (written, words) in [
        ("[tank]\nhuorly = 3\n", "the file:2: sanoid has no key \"huorly\""),
        ("[tank]\nhourly = many\n", "the file:2: hourly = \"many\" is not a number"),
        ("[tank]\n\nautosnap = perhaps\n", "the file:3: autosnap"),
        ("[tank\n", "the file:1"),
        ("hourly = 3\n", "the file:1: a key before the first"),
        ("[tank]\nhourly\n", "the file:2"),
        ("[tank]\nhourly = 1\nhourly = 2\n", "the file:3: hourly stands twice"),
        ("[/tank]\n", "the file:1: \"/tank\" is not a dataset"),
        ("[template_x]\nhourly = 1\n", "no section"),
        ("", "no section"),
    ] {
        refused(Tool::Sanoid, written, words);
    }
}

#[test]
fn zfs_auto_snapshot_sample() {
    let config =
        sample(Tool::ZfsAutoSnapshot, &["auto-snapshot.cron", "auto-snapshot.get"], "import-zfs-auto-snapshot.toml");
    let period = |dataset: &str| Some(entry(&config, dataset)?.snapshot_period?.to_string());
    for (dataset, taken) in [
        ("nas/x", None),
        ("tank", Some("15m")),
        ("tank/swap/x", None),
        ("tank/home/ann/mail", Some("1h")),
        ("tank/home/ann/work/x", Some("15m")),
        ("tank/db/x", Some("15m")),
    ] {
        assert_eq!(period(dataset).as_deref(), taken, "{dataset}");
    }
    // Without the properties all pools are in.
    let all = sample(Tool::ZfsAutoSnapshot, &["auto-snapshot.cron"], "import-zfs-auto-snapshot-all.toml");
    assert!(entry(&all, "nas/x").is_some() && entry(&all, "tank/swap").is_some());
}

#[test]
fn what_zfs_auto_snapshot_keeps_zam_keeps_too() {
    for counts in [[4, 24, 31, 8, 12], [96, 3, 2, 1, 1], [1, 100, 1, 1, 1]] {
        let labels = ["frequent", "hourly", "daily", "weekly", "monthly"].iter().zip(counts);
        let line = |(label, count): (&&str, i64)| format!("zfs-auto-snapshot -l {label} -k{count} tank\n");
        let what: String = labels.map(line).collect();
        let kept = kept(&imported(Tool::ZfsAutoSnapshot, &what).entries[0], 800);
        let midnight = NOW.0 - NOW.0 % DAY;
        for (count, seconds, last, period) in [
            (counts[0], 15 * MINUTE, NOW.0 - NOW.0 % (15 * MINUTE), "15m"),
            (counts[1], HOUR, NOW.0 - NOW.0 % HOUR + 17, "1h"),
            (counts[2], DAY, midnight + 6 * HOUR, "1d"),
            (counts[3], 7 * DAY, midnight - 3 * DAY + 6 * HOUR, "1w"),
        ] {
            let newest: Vec<i64> = (0..count).map(|back| last - back * seconds).collect();
            covers(&kept, &newest, period, &what);
        }
    }
}

#[test]
fn what_zfs_auto_snapshot_would_not_take_is_refused_with_its_line() {
    for (written, words) in [
        ("zfs-auto-snapshot --label=hourly --kep=3 //", "the file:1: zfs-auto-snapshot has no option --kep"),
        ("#\nzfs-auto-snapshot -l hourly -k many //", "the file:2: --keep = \"many\" is not a number"),
        ("zfs-auto-snapshot -l sometimes -k 3 //", "the file:1: how often"),
        ("zfs-auto-snapshot -l hourly -k", "the file:1: the option -k lacks its value"),
        ("zfs-auto-snapshot -l hourly -k 3", "the file:1: zfs-auto-snapshot is told no dataset"),
        ("zfs-auto-snapshot -l hourly --default-exclude //", "the file:1: --default-exclude"),
        ("0 0 * * mon root zfs-auto-snapshot --label=daily --keep=31 //", "the file:1: how often"),
        ("which zfs-auto-snapshot >/dev/null", "no line"),
    ] {
        refused(Tool::ZfsAutoSnapshot, written, words);
    }
    let marked = "zfs-auto-snapshot -l hourly -k 3 --default-exclude //\ntank\tcom.sun:auto-snapshot\t-\ntank/a\tcom.sun:auto-snapshot:hourly\ttrue\n";
    let config = imported(Tool::ZfsAutoSnapshot, marked);
    assert!(entry(&config, "tank/b").is_none() && entry(&config, "tank/a/b").is_some());
}

#[test]
fn znapzend_sample() {
    let config = sample(Tool::Znapzend, &["znapzend.export"], "import-znapzend.toml");
    let far = &config.entries.iter().find(|entry| entry.source.as_str() == "tank/home").unwrap().destinations[1];
    assert_eq!((far.host(), far.dataset.as_ref().map(|path| path.as_str())), (Some("vault"), Some("desk/home")));
    let listed = sample(Tool::Znapzend, &["znapzend.get"], "import-znapzend-get.toml");
    assert!(entry(&listed, "tank/home/ann").is_some() && entry(&listed, "tank/home/cache/x").is_none());
    assert!(entry(&listed, "tank/vm/x").is_none() && entry(&listed, "tank/old").is_none());
    // The copies stay where they are.
    let home = entry(&listed, "tank/home").unwrap();
    let path = home.destinations[0].relative(home, &"tank/home/ann".parse().unwrap()).unwrap();
    assert_eq!(path.below(&home.destinations[0].local_root().unwrap()).unwrap().as_str(), "usb/copies/home/ann");
}

/// znapzend's own rule: each plan's piece keeps its earliest, an age belongs to the first plan that reaches so far.
fn znapzend_has(plan: &[(i64, i64)], days: i64) -> Vec<i64> {
    let step = plan.iter().map(|(_, period)| *period).min().unwrap();
    let mut taken: Vec<i64> =
        (0..).map(|back| NOW.0 / step * step - back * step).take_while(|date| *date > NOW.0 - days * DAY).collect();
    taken.reverse();
    let mut slots = std::collections::BTreeSet::new();
    let fits = |date: &i64| {
        let (age, period) = plan.iter().find(|(age, _)| *age >= NOW.0 - date)?;
        Some((*age, date / period))
    };
    taken.retain(|date| fits(date).is_some_and(|slot| slots.insert(slot)));
    taken
}

#[test]
fn what_znapzend_keeps_zam_keeps_too() {
    let (month, year) = (30 * DAY, 365 * DAY + 6 * HOUR);
    for (text, plan) in [
        ("2d=>10min,1w=>1h,30d=>4h", vec![(2 * DAY, 10 * MINUTE), (7 * DAY, HOUR), (30 * DAY, 4 * HOUR)]),
        ("1d=>1h,1m=>1d,1year=>1month", vec![(DAY, HOUR), (month, DAY), (year, month)]),
    ] {
        let config = imported(Tool::Znapzend, &format!("src=tank\nsrc_plan={text}\n"));
        let kept = kept(&config.entries[0], 400);
        let theirs = znapzend_has(&plan, 400);
        let near = |date: &i64| {
            let age = NOW.0 - date;
            let period = plan.iter().find(|(reach, _)| *reach >= age).unwrap().1;
            kept.iter().any(|ours| (ours - date).abs() <= period)
        };
        assert!(theirs.iter().all(near), "{text}");
        assert!(
            kept.len() + 2 >= theirs.len() && kept.len() <= theirs.len() + 4,
            "{text}: {} for {}",
            kept.len(),
            theirs.len()
        );
    }
}

#[test]
fn what_znapzend_would_not_take_is_refused_with_its_line() {
    for (written, words) in [
        ("src=tank\nsrc_plan=1d->1h\n", "the file:2: src_plan"),
        ("src=tank\nsrc_plan=1d=>1fortnight\n", "the file:2: src_plan"),
        ("src=tank\nsrc_plan=1d=>1h\ndst_a=nas/x\n", "the file:1: there is no dst_a_plan"),
        ("src_plan=1d=>1h\n", "the file:1: this plan has no src"),
        ("src=tank/\nsrc_plan=1d=>1h\n", "\"tank/\" is not a dataset"),
        ("hello\n", "the file:1"),
        ("tank\torg.znapzend:enabled\ton\n", "no dataset"),
    ] {
        refused(Tool::Znapzend, written, words);
    }
}

#[test]
fn zrepl_samples() {
    let drive = sample(Tool::Zrepl, &["zrepl-drive.yml"], "import-zrepl-drive.toml");
    let taken = |dataset: &str| entry(&drive, dataset).and_then(|entry| entry.snapshot_period).is_some();
    assert!(taken("lap") && taken("lap/home/x") && taken("lap/vm/x") && !taken("lap/tmp/x") && !taken("lap/vm"));
    let home = entry(&drive, "lap/home").unwrap();
    let copy = &home.destinations[0];
    assert_eq!(
        (copy.local_root().unwrap().as_str(), copy.raw, copy.concurrency),
        ("drive/zrepl/notebook", Some(true), 4)
    );
    assert!(drive.replica_of("notebook", &"drive/zrepl/notebook".parse().unwrap()).is_some());

    let server = sample(Tool::Zrepl, &["zrepl-server.yml"], "import-zrepl-server.toml");
    let mail = entry(&server, "data/mail").unwrap();
    assert_eq!((mail.snapshot_period.unwrap().to_string().as_str(), mail.recursive), ("10m", false));
    assert_eq!(mail.destinations[0].bandwidth, Some(12_800 << 10));
    assert!(
        entry(&server, "root/etc").is_some()
            && entry(&server, "root/etc/x").is_none()
            && entry(&server, "data/scratch/x").is_none()
    );
    let shop = server.replica_of("shop", &"backup/zrepl/shop".parse().unwrap()).unwrap();
    assert!(shop.rule.windows.is_empty(), "nothing expires by rules that nobody knows");
    assert_eq!(server.replica_of("old.example", &"backup/fetched".parse().unwrap()).unwrap().rule.at_least, 100);
}

#[test]
fn what_a_grid_of_zrepl_keeps_zam_keeps_too() {
    for (grid, pieces) in [
        ("1x1h(keep=all) | 24x1h | 14x1d", vec![(1, HOUR, 4), (24, HOUR, 1), (14, DAY, 1)]),
        ("4x15m | 10x2h | 6x30d", vec![(4, 15 * MINUTE, 1), (10, 2 * HOUR, 1), (6, 30 * DAY, 1)]),
        ("1x1d(keep=24) | 8x7d(keep=2)", vec![(1, DAY, 24), (8, 7 * DAY, 2)]),
    ] {
        let job = format!(
            "jobs: [{{type: snap, name: a, filesystems: {{\"tank<\": true}}, snapshotting: {{type: periodic, prefix: z_, interval: 15m}}, \
             pruning: {{keep: [{{type: grid, grid: \"{grid}\", regex: \"^z_\"}}]}}}}]"
        );
        let config = imported(Tool::Zrepl, &job);
        let kept = kept(&config.entries[0], 400);
        let mut end = NOW.0;
        for (count, length, in_each) in pieces {
            for _ in 0..count {
                let here = kept.iter().filter(|date| (end - 2 * length..=end).contains(*date)).count();
                assert!(here >= in_each, "{grid}: {here} within {length} seconds twice before {}", NOW.0 - end);
                end -= length;
            }
            let all = kept.iter().filter(|date| (end..=end + count * length).contains(*date)).count();
            assert!(all + 1 >= usize::try_from(count).unwrap() * in_each, "{grid}: {all}");
        }
    }
}

#[test]
fn what_zrepl_would_not_take_is_refused_with_its_line() {
    let snap = |filesystems: &str, snapshotting: &str, rule: &str| {
        format!(
            "jobs:\n- type: snap\n  name: a\n  filesystems: {filesystems}\n  snapshotting: {snapshotting}\n  pruning:\n    keep:\n    - {rule}\n"
        )
    };
    let (all, period, last) =
        ("{\"tank<\": true}", "{type: periodic, prefix: z_, interval: 10m}", "{type: last_n, count: 3}");
    for (written, words) in [
        ("jobs: [\n", "the file:"),
        ("jobs: []\n", "no jobs"),
        ("", "no jobs"),
        ("jobs:\n- type: steal\n  name: a\n", "the file:2: \"steal\" is no job"),
        ("jobs:\n- name: a\n", "the file:2: there is no type"),
        ("jobs: {a: b}\n", "the file:1: a list is expected"),
        (&snap("{\"/tank<\": true}", period, last), "the file:4: \"/tank\" is not a dataset"),
        (&snap("{\"tank<\": 7}", period, last), "the file:4: \"7\" is neither"),
        (&snap(all, "{type: periodic, prefix: z_, interval: often}", last), "the file:5: \"often\""),
        (&snap(all, "{type: cron, prefix: z_, cron: \"@daily\"}", last), "the file:5: how often"),
        (&snap(all, period, "{type: grid, grid: 24, regex: z}"), "the file:8: \"24\" is not a grid"),
        (&snap(all, period, "{type: last_n, count: few}"), "the file:8: count"),
        (&snap(all, period, "{type: regex, regex: \"(\"}"), "the file:8: \"(\""),
        (&snap(all, period, "{type: magic}"), "the file:8: \"magic\""),
        (
            &format!(
                "a: &a [x]\nb: &b [{0}]\nc: &c [{1}]\nd: &d [{2}]\ne: [{3}]\n",
                ["*a"; 99].join(","),
                ["*b"; 99].join(","),
                ["*c"; 99].join(","),
                ["*d"; 99].join(",")
            ),
            "too much",
        ),
        (&"[".repeat(5000), "the file:1"),
    ] {
        refused(Tool::Zrepl, written, words);
    }
}

#[test]
fn comments_end_where_they_end() {
    let file = File::new("a\nhold = false", "[tank]\npre_snapshot_script = x\n".to_owned());
    let written = text(Tool::Sanoid, &[file], false).unwrap();
    assert!(written.lines().all(|line| !line.starts_with("hold")), "{written}");
}

#[test]
fn the_rules_of_zrepl_are_tried_on_the_names_that_it_gives() {
    let windows = |format: &str, regex: &str| {
        let job = format!(
            "jobs: [{{type: snap, name: a, filesystems: {{\"tank\": true}}, snapshotting: {{type: periodic, prefix: z_, interval: 15m, \
             timestamp_format: '{format}'}}, pruning: {{keep: [{{type: grid, grid: 24x1h, regex: '{regex}'}}]}}}}]"
        );
        imported(Tool::Zrepl, &job).entries[0].rule.windows.len()
    };
    assert_eq!(windows("dense", "^z_[0-9]{8}_"), 1);
    assert_eq!(windows("human", "^z_[0-9]{4}-[0-9]{2}-"), 1);
    assert_eq!(windows("iso-8601", "T[0-9:.]+Z$"), 1);
    assert_eq!(windows("2006-01-02 15h04", "^z_[0-9]{4}-.*h[0-9]{2}$"), 1);
    // Where no rule is for them, or seems to be, nothing expires.
    assert_eq!(windows("dense", "^y_"), 0);
}
