//! No text makes the config panic, run out of stack, or grow without end; what loads comes back from its effective form.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use proptest::{prelude::*, sample::select};
use std::fmt::Write as _;
use zam_policy::{
    Zone,
    config::{Config, Errors, Place, load},
};

fn read(name: &str, text: &str) -> Result<Config, Errors> {
    let loaded = load(&[(name.to_owned(), text.to_owned())], &Zone::utc());
    // Showing what is wrong is part of it.
    match loaded {
        Ok((config, warnings)) => {
            assert!(warnings.iter().all(|warning| !warning.to_string().is_empty()));
            Ok(config)
        }
        Err(errors) => {
            assert!(!errors.to_string().is_empty());
            Err(errors)
        }
    }
}

fn comes_back(text: &str) {
    for name in ["a.toml", "a.json"] {
        let Ok(mut config) = read(name, text) else { continue };
        let mut again = read("effective.toml", &config.effective_toml()).unwrap_or_else(|errors| panic!("{errors}"));
        for entry in config.entries.iter_mut().chain(&mut again.entries) {
            entry.place = Place::default();
        }
        assert_eq!(again, config);
    }
}

/// Pieces of which configs are made, and pieces that do not belong.
const PIECES: &[&str] = &[
    "managed-datasets",
    "replicas",
    "client",
    "root",
    "datasets",
    "source",
    "windows",
    "keep",
    "destinations",
    "define",
    "default",
    "ref",
    "REF",
    "DEFAULT#",
    "DEFINE#",
    "[[",
    "]]",
    "[",
    "]",
    "{",
    "}",
    "=",
    ":",
    ",",
    ".",
    "\n",
    " ",
    "\"",
    "'",
    "[*]",
    "${",
    "$${",
    "}",
    "x",
    "tank/a",
    "1h",
    "10",
    "-1",
    "max-age",
    "period",
    "exclude",
    "re:(",
    "*",
    "true",
    "null",
    "é",
    "\u{feff}",
    "\t",
    "#",
    "/*",
    "//",
    "\0",
    "\r\n",
    "dataset",
    "pool",
    "run-when",
    "snapshots",
    "between",
];

const SAMPLES: &[&str] = &[
    include_str!("fixtures/good/seed-default.json"),
    include_str!("fixtures/good/seed-define.json"),
    include_str!("fixtures/good/design.toml"),
    include_str!("fixtures/odd/odd.toml"),
    include_str!("fixtures/odd/replicas.toml"),
    include_str!("fixtures/odd/run-when.toml"),
    include_str!("fixtures/bad/replicas.toml"),
    include_str!("fixtures/bad/destinations.toml"),
    include_str!("fixtures/bad/refs.toml"),
    include_str!("fixtures/bad/defaults.toml"),
];

proptest! {
    // 512, or twice what PROPTEST_CASES says.
    #![proptest_config(ProptestConfig {
        cases: 2 * ProptestConfig::default().cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_text(text in ".*") {
        comes_back(&text);
    }

    #[test]
    fn any_pieces(pieces in prop::collection::vec(select(PIECES), 0..60)) {
        comes_back(&pieces.concat());
    }

    #[test]
    fn any_damage(sample in select(SAMPLES), cut in any::<prop::sample::Index>(), length in 0_usize..40, piece in select(PIECES)) {
        let chars: Vec<char> = sample.chars().collect();
        let from = cut.index(chars.len());
        let (head, tail) = (&chars[..from], &chars[(from + length).min(chars.len())..]);
        comes_back(&format!("{}{piece}{}", head.iter().collect::<String>(), tail.iter().collect::<String>()));
    }

    #[test]
    fn any_values(source in "[a-c]{1,2}(/[a-c]{1,2}){0,2}", base in "[a-c]", host in "[a-z@.]{1,6}", pattern in "[ -~]{1,8}",
                  keep in 0_u32..100, recursive: bool, never: bool) {
        let pattern = toml::Value::from(pattern.replace("${", "$${")).to_string();
        let period = if never { "never" } else { "10m" };
        comes_back(&format!(
            "[[managed-datasets]]\nsource = '{base}'\nrecursive = {recursive}\nexclude = [{pattern}]\nkeep = {{ daily = {keep} }}\n\
             destinations = [{{ remote-host = '{host}', dataset = 'there' }}]\n[[managed-datasets]]\nsource = '{source}'\n\
             snapshot-period = '{period}'\n"
        ));
    }
}

#[test]
fn what_is_nested_too_deep_is_refused() {
    let deep = 100_000;
    for text in ["[".repeat(deep), "{a:".repeat(deep), format!("[{}]", "[],".repeat(deep))] {
        assert!(read("deep.json", &text).is_err());
    }
    let dots = "a.".repeat(deep);
    for text in [
        format!("{dots}a = 1"),
        format!("[{dots}a]"),
        format!("a = {}", "[".repeat(deep)),
        format!("a = {}", "{a=".repeat(deep)),
    ] {
        assert!(read("deep.toml", &text).is_err());
    }
}

#[test]
fn defines_that_double_are_refused() {
    let (mut texts, mut blocks) = ("[define]\nt0 = \"ha\"\n".to_owned(), "[define]\nb0 = [1]\n".to_owned());
    for nth in 1..40 {
        let last = nth - 1;
        writeln!(texts, "t{nth} = \"${{t{last}}}${{t{last}}}\"").unwrap();
        writeln!(blocks, "b{nth} = [{{ ref = \"b{last}\" }}, {{ ref = \"b{last}\" }}]").unwrap();
    }
    assert!(read("texts.toml", &texts).unwrap_err().to_string().contains("longer than"));
    assert!(read("blocks.toml", &blocks).unwrap_err().to_string().contains("grow into more than"));
}

#[test]
fn defines_in_defines_have_an_end() {
    let (open, close) = ("{ a = ".repeat(70), " }".repeat(70));
    for depth in [1, 20, 70] {
        let (open, close) = (&open[..depth * 6], &close[..depth * 2]);
        // From the first to the last, and from the last to the first: what is expanded already has its depth too.
        for backwards in [false, true] {
            let mut text = "[define]\n".to_owned();
            for nth in 100..900 {
                let next = if backwards { nth - 1 } else { nth + 1 };
                writeln!(text, "d{nth} = {open}{{ ref = \"d{next}\" }}{close}").unwrap();
            }
            writeln!(text, "d99 = 1\nd900 = \"x\"").unwrap();
            assert!(read("deep.toml", &text).unwrap_err().to_string().contains("nested deeper"));
        }
    }
}
