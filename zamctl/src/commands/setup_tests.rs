use super::{ask::Person, *};
use pretty_assertions::assert_eq;
use zam_zfs::{Open, sim::Admin};

fn args() -> Args {
    let (dataset, to, there) = (vec![], vec![], There::new(Some("me".into()), None));
    Args { dataset, every: None, keep: None, to, there, replica: false, key: None, write: false }
}

fn land() -> Land {
    let folder = tempfile::tempdir().unwrap();
    let script = "pool tank\n create tank/home/ann tank/srv\n pool usb\n pool nas";
    Admin::open(folder.path()).unwrap().script(script).unwrap();
    Land::survey(&*Open::Sim { folder: folder.path().to_owned(), user: "nobody".into() }.lister()).unwrap()
}

/// What comes of these answers, and what was shown.
fn asked(args: &Args, answers: &str) -> (Result<Source, Failure>, String) {
    let mut person = Person { input: answers.as_bytes(), output: Vec::new() };
    let source = person.source(args, Some(&land()));
    (source, String::from_utf8(person.output).unwrap())
}

#[test]
fn numbers_names_and_defaults_are_answers() {
    // nas, tank, tank/home, tank/srv, usb; nowhere, nas, usb
    let (source, shown) = asked(&args(), "3 tank/srv\n1h\n1\n3\n");
    let source = source.unwrap();
    assert_eq!(source.datasets, ["tank/home", "tank/srv"].map(|name| name.parse().unwrap()));
    assert_eq!((source.every.to_string(), source.keep), ("1h".to_owned(), Preset::Days));
    assert_eq!(source.to, ["usb".parse().unwrap()]);
    assert!(shown.contains("   3  tank/home ") && shown.contains("   3  usb, a pool of this machine, "), "{shown}");
    assert!(!shown.contains("tank/home/ann"), "{shown}");
    let (source, _) = asked(&args(), "2\n\n\n\n");
    let source = source.unwrap();
    assert_eq!((source.every, source.keep, source.to), (make::USUAL, Preset::Months, vec![]));
    let (source, shown) = asked(&args(), "2\n\n\nhost:olympus\nnas/zam/me\n");
    assert_eq!(source.unwrap().there.root().unwrap().as_str(), "nas/zam/me");
    assert!(shown.contains("Below which dataset of olympus"), "{shown}");
}

#[test]
fn a_wrong_answer_is_asked_for_again_and_none_writes_nothing() {
    let (source, shown) = asked(&args(), "9\n\ntank/x\n2\noften\n10m\n7\nyears\n9\na b\n1\n");
    assert_eq!(source.unwrap().keep, Preset::Years);
    assert_eq!(shown.matches("Once more: ").count(), 7, "{shown}");
    let (source, _) = asked(&args(), "2\n");
    assert!(source.map(drop).unwrap_err().message.contains("nobody answers"));
}

#[test]
fn what_an_option_says_is_not_asked() {
    let said = Args {
        every: Some("1d".parse().unwrap()),
        keep: Some(Preset::Days),
        to: vec!["usb/x".parse().unwrap()],
        ..args()
    };
    let (source, shown) = asked(&said, "2\n");
    assert_eq!(source.unwrap().every.to_string(), "1d");
    assert!(!shown.contains("How often") && !shown.contains("How long") && !shown.contains("Where"), "{shown}");
}

#[test]
fn no_tier_is_finer_than_the_snapshots() {
    let tiers = |preset: Preset, every: &str| {
        let tiers = preset.tiers(every.parse().unwrap());
        crate::import::windows(&tiers)
    };
    assert_eq!(
        tiers(Preset::Years, "10m"),
        "[{ max-age = \"2d\", period = \"10m\" }, { max-age = \"2w\", period = \"1h\" }, { max-age = \"1y\", period = \"1d\" }, \
         { period = \"1mo\" }]"
    );
    assert_eq!(tiers(Preset::Days, "6h"), "[{ max-age = \"2w\", period = \"6h\" }]");
    assert_eq!(tiers(Preset::Months, "1w"), "[{ max-age = \"6mo\", period = \"1w\" }]");
    assert_eq!(tiers(Preset::Days, "1mo"), "[{ period = \"1mo\" }]");
}
