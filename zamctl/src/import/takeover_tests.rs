use super::super::{Asked, Tool};
use super::*;
use crate::golden;
use pretty_assertions::assert_eq;
use zam_policy::{Zone, config};

type Row<'a> = (&'a str, &'a str, &'a [(&'a str, u64)]);

/// A row for each dataset: its name, what is special, its snapshots with their GUIDs. As a listing says it.
fn listing(rows: &[Row<'_>]) -> String {
    let mut text = String::new();
    let mut add = |name: &str, pairs: &[(&str, String)]| {
        for (property, value) in pairs {
            text += &format!("{name}\t{property}\t{value}\n");
        }
    };
    for (nth, (name, special, snapshots)) in rows.iter().enumerate() {
        let is = |word: &str, yes: &str, no: &str| if special.contains(word) { yes } else { no }.to_owned();
        add(
            name,
            &[
                ("type", is("volume", "volume", "filesystem")),
                ("guid", (7000 + nth).to_string()),
                ("encryption", is("encrypted", "aes-256-gcm", "off")),
                ("readonly", is("read-only", "on", "off")),
                ("written", is("written", "8192", "0")),
                ("receive_resume_token", is("cut", "1-abc", "-")),
            ],
        );
        for (nth, (tag, guid)) in snapshots.iter().enumerate() {
            let number = |number: usize| number.to_string();
            let creation = number(1_782_864_000 + 3600 * nth);
            add(
                &format!("{name}@{tag}"),
                &[("guid", guid.to_string()), ("createtxg", number(nth + 10)), ("creation", creation)],
            );
        }
    }
    text
}

fn sides(taken: &Taken, sources: &str, copies: &str) -> Sides {
    let side = |text: &str, top| listed(&[File::new("listing", text.to_owned())], top).unwrap();
    Sides { sources: side(sources, &taken.source), copies: side(copies, &taken.copy), bookmarks: Vec::new() }
}

/// What an import with this replica prints, and the config of it.
fn import(tool: Tool, written: &str, taken: &str, sources: &str, copies: &str) -> (String, Config) {
    let taken: Taken = taken.parse().unwrap();
    let sides = sides(&taken, sources, copies);
    let client = || Ok("here".to_owned());
    let asked = Asked { adopt: false, client: &client, pools: &|| Ok(Vec::new()) };
    let mut land = tool.read(&[File::new("f", written.to_owned())], &asked).unwrap();
    aim(&mut land, &taken, &sides, "here").unwrap();
    let text = land.text(tool, false);
    let config = config::load(&[("zam.toml".to_owned(), text.clone())], &Zone::utc())
        .unwrap_or_else(|why| panic!("{why}\n{text}"))
        .0;
    (report(&config, &taken, &sides, UnixTime(1_782_900_000)) + &text, config)
}

const SANOID: &str = "[tank/home]\nrecursive = yes\n[tank/home/db]\nhourly = 4\n[nas/copies]\nautosnap = no\nrecursive = yes\ndaily = 300\n";

const SOURCES: &[Row<'_>] = &[
    ("tank/home", "", &[("autosnap_1", 1), ("autosnap_2", 2), ("autosnap_3", 3)]),
    ("tank/home/db", "", &[("autosnap_2", 12), ("autosnap_3", 13)]),
    ("tank/home/new", "", &[("autosnap_3", 23)]),
    ("tank/home/old", "", &[("autosnap_3", 33)]),
    ("tank/home/pat smith", "", &[("autosnap_1", 41), ("autosnap_2", 42)]),
];

const COPIES: &[Row<'_>] = &[
    ("nas/copies/home", "", &[("autosnap_0", 100), ("autosnap_1", 1), ("autosnap_2", 2)]),
    ("nas/copies/home/db", "read-only written cut", &[("autosnap_2", 12)]),
    ("nas/copies/home/old", "read-only", &[("autosnap_0", 130)]),
    ("nas/copies/home/pat smith", "read-only", &[("autosnap_1", 41), ("taken there", 99), ("too", 98)]),
];

#[test]
fn a_replica_goes_on_from_the_newest_that_both_sides_have() {
    let (text, config) = import(Tool::Sanoid, SANOID, "tank/home=nas/copies/home", &listing(SOURCES), &listing(COPIES));
    golden::compare(&text, "tests/golden/import-replica.toml");
    let commands: String =
        text.lines().filter_map(|line| line.strip_prefix("#    zfs")).map(|line| format!("zfs{line}\n")).collect();
    golden::is_shell(&commands);
    assert_eq!(commands.matches("zfs rollback").count(), 2);
    // The copies stay where they are, the rule that thinned them is the replica's.
    for (source, copy) in [("tank/home/ann", "nas/copies/home/ann"), ("tank/home/db", "nas/copies/home/db")] {
        let source: DatasetName = source.parse().unwrap();
        let entry = config.sender_for(&source, Kind::Filesystem).entry().unwrap();
        let destination = &entry.destinations[0];
        let path = destination.relative(entry, &source).unwrap();
        assert_eq!(path.below(&destination.local_root().unwrap()).unwrap().as_str(), copy);
        let kept = config.entry_for(&copy.parse().unwrap(), Kind::Filesystem).entry().unwrap();
        assert_eq!(
            (kept.client.as_deref(), kept.rule.windows[1].max_age.unwrap().to_string().as_str()),
            (Some("here"), "301d")
        );
    }
}

#[test]
fn rawness_stays_as_it_is() {
    let of = |source: &str, copy: &str| {
        let sources = listing(&[("tank/home", source, &[("a", 1)]), ("tank/home/x", source, &[("a", 2)])]);
        let copies = listing(&[("nas/home", copy, &[("a", 1)]), ("nas/home/x", "encrypted", &[("a", 2)])]);
        let (text, config) =
            import(Tool::Sanoid, "[tank/home]\nrecursive = yes\n", "tank/home=olympus:nas/home", &sources, &copies);
        (config.entries[0].destinations[0].raw, text)
    };
    assert_eq!(of("encrypted", "encrypted").0, None, "raw is what zam does with what is encrypted");
    let (raw, text) = of("encrypted", "");
    assert_eq!(raw, Some(false));
    assert!(text.contains("tank/home/x: it is encrypted there, unlike the others"), "{text}");
    assert_eq!(of("", "").0, None);
}

#[test]
fn a_destination_that_the_tool_had_is_not_said_twice() {
    let zrepl = "jobs: [{type: sink, name: s, root_fs: nas/z, serve: {type: local, listener_name: l}}, {type: push, name: p, \
        filesystems: {\"tank<\": true}, snapshotting: {type: periodic, interval: 1h, prefix: z_}, connect: {type: local, listener_name: l, \
        client_identity: me}, pruning: {keep_sender: [], keep_receiver: []}}]";
    let sources = listing(&[("tank/home", "", &[("z_1", 1)]), ("tank/home/x", "", &[("z_1", 2)])]);
    let copies = listing(&[
        ("nas/z/me/tank/home", "read-only", &[("z_1", 1)]),
        ("nas/z/me/tank/home/x", "read-only", &[("z_1", 2)]),
    ]);
    let (text, config) = import(Tool::Zrepl, zrepl, "tank/home=nas/z/me/tank/home", &sources, &copies);
    assert!(
        config.entries.iter().all(|entry| entry.destinations.len() <= 1)
            && config.entries.iter().filter(|e| e.is_replica()).count() == 1,
        "{text}"
    );
    assert!(text.contains("#    tank/home/x@z_1 (GUID 2)") && !text.contains("sent again"), "{text}");
    // As znapzend names it, by a path of its own.
    let znapzend = "src=tank/home\nrecursive=on\nsrc_plan=1d=>1h\ndst_a=vault:deep/home\ndst_a_plan=1d=>1h\n";
    let copies = listing(&[("deep/home", "", &[("z_1", 1)]), ("deep/home/x", "", &[("z_1", 2)])]);
    let (text, config) = import(Tool::Znapzend, znapzend, "tank/home/x=vault:deep/home/x", &sources, &copies);
    assert!(config.entries.iter().all(|entry| entry.destinations.len() == 1), "{text}");
    assert!(text.contains("#    tank/home/x@z_1 (GUID 2)"), "{text}");
}

#[test]
fn what_cannot_be_taken_over_is_refused() {
    for bad in ["tank", "=nas", "tank=", "tank=nas//x", "tank=h:"] {
        assert!(bad.parse::<Taken>().is_err(), "{bad}");
    }
    let taken = |text: &str| text.parse::<Taken>().unwrap();
    let file = |text: &str| vec![File::new("listing", text.to_owned())];
    let why = |text: &str| listed(&file(text), &taken("tank=h:nas/x").copy).map(|_| ()).unwrap_err().message;
    assert!(why("nas/x type filesystem\n").starts_with("listing:1: "));
    assert!(why("nas/x\ttype\tfilesystem\n").contains("listing:1: no encryption of nas/x"));
    assert!(why("nas/y\ttype\tfilesystem\n").contains("no dataset nas/x"));
    let pool = taken("tank/home=nas");
    let listed = sides(&pool, &listing(&SOURCES[..1]), &listing(&[("nas", "", &[])]));
    let client = || Ok("here".to_owned());
    let asked = Asked { adopt: false, client: &client, pools: &|| Ok(Vec::new()) };
    let land = Tool::Sanoid.read(&file("[tank/home]\n"), &asked).unwrap();
    assert!(aim(&mut land.clone(), &pool, &listed, "here").unwrap_err().message.contains("is a pool"));
    let other = taken("tank/home=nas/x");
    let land = Tool::Sanoid.read(&file("[tank/srv]\n"), &asked).unwrap();
    assert!(aim(&mut land.clone(), &other, &listed, "here").unwrap_err().message.contains("nothing about tank/home"));
}
