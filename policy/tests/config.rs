//! Every config in the repository: the seed's samples, the design's, the documentation's, and wrong ones with what is said.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use pretty_assertions::assert_eq;
use std::{
    fs,
    path::{Path, PathBuf},
};
use zam_policy::{
    Zone,
    config::{Config, Place, Warning, load},
};

fn fixtures(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(folder)
}

fn read(path: &Path) -> (String, String) {
    (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap())
}

fn loaded(name: &str, text: &str) -> (Config, Vec<Warning>) {
    match load(&[(name.to_owned(), text.to_owned())], &Zone::utc()) {
        Ok(loaded) => loaded,
        Err(errors) => panic!("{name} does not load:\n{errors}\n\n{text}"),
    }
}

/// The config without the places, which differ between two ways to write the same.
fn placeless(mut config: Config) -> Config {
    for entry in &mut config.entries {
        entry.place = Place::default();
    }
    config
}

/// Loads a text, checks that its effective form is the same again, and hands out both results.
fn effective(name: &str, text: &str) -> (String, Vec<Warning>) {
    let (config, warnings) = loaded(name, text);
    let toml = config.effective_toml();
    let (again, _) = loaded("effective.toml", &toml);
    assert_eq!(again.effective_toml(), toml);
    assert_eq!(placeless(again), placeless(config));
    (toml, warnings)
}

fn good(name: &str) -> (String, Vec<String>) {
    let (name, text) = read(&fixtures("good").join(name));
    let (toml, warnings) = effective(&name, &text);
    (toml, warnings.iter().map(ToString::to_string).collect())
}

#[test]
fn the_seeds_samples_mean_their_longhand() {
    assert_eq!(good("seed-default.json").0, good("seed-default.longhand.toml").0);
    assert_eq!(good("seed-define.json").0, good("seed-define.longhand.toml").0);
}

#[test]
fn the_designs_example_means_its_longhand() {
    assert_eq!(good("design.toml").0, good("design.longhand.toml").0);
}

#[test]
fn what_is_questionable_in_the_seeds_first_sample_is_said() {
    let both = "s-root/data/home/i and s-root/root/default go to the same place: olympus:o-nas/zam/s-root/data/home/i";
    let said = |name: &str| good(name).1.iter().filter(|warning| warning.contains(both)).count();
    assert_eq!((said("seed-default.json"), said("seed-define.json")), (1, 0));
}

/// R-WATCH-7, among others.
#[test]
fn every_wrong_config_is_refused_with_its_message() {
    let mut seen = 0;
    for path in sorted(&fixtures("bad")).iter().filter(|path| path.extension().unwrap() != "txt") {
        let (name, text) = read(path);
        let said = match load(&[(name.clone(), text)], &Zone::utc()) {
            Ok(_) => panic!("{name} loads, and it is wrong"),
            Err(errors) => format!("{errors}\n"),
        };
        golden(&path.with_file_name(format!("{name}.txt")), &said);
        seen += 1;
    }
    assert!(seen > 10, "the folder of wrong configs is nearly empty");
}

#[test]
fn every_odd_config_loads_with_its_warnings() {
    for path in sorted(&fixtures("odd")).iter().filter(|path| path.extension().unwrap() != "txt") {
        let (name, text) = read(path);
        let (_, warnings) = effective(&name, &text);
        let said: Vec<String> = warnings.iter().map(|warning| format!("{warning}\n")).collect();
        golden(&path.with_file_name(format!("{name}.txt")), &said.join("\n"));
    }
}

#[test]
fn every_config_in_the_documents_loads() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut seen = 0;
    for document in ["docs/config.md", "docs/hooks.md", "README.md"] {
        let Ok(text) = fs::read_to_string(root.join(document)) else { continue };
        for (name, block) in blocks(&text) {
            effective(&format!("{document}.{name}"), block);
            seen += 1;
        }
    }
    assert!(seen >= 5, "the reference shows no examples");
}

/// The blocks of a Markdown text that are configs.
fn blocks(text: &str) -> Vec<(&'static str, &str)> {
    let mut found = Vec::new();
    for name in ["toml", "json"] {
        let mut rest = text;
        while let Some((_, after)) = rest.split_once(&format!("```{name}\n")) {
            let (block, after) = after.split_once("```").unwrap();
            found.push((name, block));
            rest = after;
        }
    }
    found
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// Compares with what is written beside a fixture; `UPDATE_GOLDEN=1` writes it anew.
fn golden(path: &Path, said: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(path, said).unwrap();
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    assert_eq!(said, expected, "{} (UPDATE_GOLDEN=1 rewrites it)", path.display());
}
