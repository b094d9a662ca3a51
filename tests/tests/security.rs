//! SECURITY.md says nothing that no test carries, and no test carries what it does not say.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};
use zam_tests::{files, top};

/// The ids in a text, such as the one of the third line about zamd-prune: `R`, `PRUNE`, `3`, with dashes between.
fn ids(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'))
        .filter(|word| {
            let parts: Vec<_> = word.split('-').collect();
            let [first, role, number] = parts.as_slice() else { return false };
            *first == "R"
                && !role.is_empty()
                && role.bytes().all(|byte| byte.is_ascii_uppercase())
                && !number.is_empty()
                && number.bytes().all(|byte| byte.is_ascii_digit())
        })
        .map(str::to_owned)
        .collect()
}

/// Every id that a test carries, and where: the lab's scenarios, and what is Rust.
fn carried() -> BTreeMap<String, Vec<String>> {
    let top = top();
    let mut carried: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in files(&top.join("tests/lab/scenarios"), ".sh").into_iter().chain(files(&top, ".rs")) {
        for id in ids(&fs::read_to_string(&path).unwrap()) {
            carried.entry(id).or_default().push(path.strip_prefix(&top).unwrap().display().to_string());
        }
    }
    carried
}

#[test]
fn the_security_document_and_the_tests_list_the_same_ids() {
    let document = fs::read_to_string(top().join(DOCUMENT)).unwrap();
    let (said, carried) = (ids(&document), carried());
    assert!(!said.is_empty(), "{DOCUMENT} has no ids");
    let untested: Vec<_> = said.iter().filter(|id| !carried.contains_key(*id)).collect();
    let unsaid: Vec<_> = carried.iter().filter(|(id, _)| !said.contains(*id)).collect();
    assert!(untested.is_empty(), "{DOCUMENT} says what no test carries: {untested:?}");
    assert!(unsaid.is_empty(), "{DOCUMENT} does not have what tests carry: {unsaid:?}");
}

#[test]
fn each_id_is_one_line_of_the_document() {
    let document = fs::read_to_string(top().join(DOCUMENT)).unwrap();
    for id in ids(&document) {
        // Where it is defined, an id begins a list item or a row of a table; elsewhere it is a reference.
        let defined = document.lines().filter(|line| {
            let text = line.trim_start_matches(|c: char| " |-*`".contains(c));
            text.strip_prefix(id.as_str()).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
        });
        assert_eq!(defined.count(), 1, "{id} is to begin one list item or row of {DOCUMENT}");
    }
}

#[test]
fn an_id_is_found_only_as_a_whole_word() {
    let id = |role: &str, number| ["R", role, number].join("-");
    let text = format!(
        "`{}`, ({}). {}x X{} {}",
        id("PRUNE", "3"),
        id("SNAP", "12"),
        id("SNAP", "1"),
        id("A", "1"),
        id("snap", "1")
    );
    assert_eq!(ids(&text), BTreeSet::from([id("PRUNE", "3"), id("SNAP", "12")]));
}

const DOCUMENT: &str = "SECURITY.md";
