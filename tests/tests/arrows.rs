//! Who may know whom among the crates, and what a crate may not contain.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use serde_json::Value;
use std::{collections::BTreeMap, fs, path::Path, process::Command};
use zam_tests::{files, top};

/// Every crate, and which of the others it may know. R-CTL-3: zamctl knows no daemon and nothing that runs one.
const MAY_KNOW: [(&str, &[&str]); 15] = [
    ("zam-names", &[]),
    ("zam-policy", &["zam-names"]),
    ("zam-protocol", &["zam-names", "zam-policy"]),
    ("zam-zfs-core", &[]),
    ("zam-zfs", &["zam-names", "zam-zfs-core"]),
    ("zam-runtime", &["zam-names", "zam-policy", "zam-protocol", "zam-zfs"]),
    ("zamd-snap", &["zam-names", "zam-policy", "zam-protocol", "zam-runtime", "zam-zfs"]),
    ("zamd-prune", &["zam-names", "zam-policy", "zam-protocol", "zam-runtime", "zam-zfs"]),
    ("zamd-send", &["zam-names", "zam-policy", "zam-protocol", "zam-runtime", "zam-zfs"]),
    ("zamd-recv", &["zam-names", "zam-policy", "zam-protocol", "zam-runtime", "zam-zfs"]),
    ("zamd-watch", &["zam-names", "zam-policy", "zam-protocol", "zam-runtime", "zam-zfs"]),
    ("zam-receive", &["zam-names", "zam-protocol", "zam-runtime"]),
    ("zam-hook", &["zam-names"]),
    ("zamctl", &["zam-names", "zam-policy", "zam-protocol", "zam-zfs"]),
    // Nobody knows it, so it may know everybody.
    (
        "zam-tests",
        &["zam-names", "zam-policy", "zam-protocol", "zam-runtime", "zam-zfs", "zamctl", "zamd-prune", "zamd-snap"],
    ),
];

/// What would make a crate that decides depend on when and where it runs.
const IMPURE: [&str; 13] = [
    "SystemTime::now",
    "Instant::now",
    "Timestamp::now",
    "Zoned::now",
    "TimeZone::system",
    "std::fs",
    "fs::",
    "std::env",
    "env::",
    "std::net",
    "std::process",
    "std::thread",
    "async fn",
];

fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(top())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

fn name(package: &Value) -> &str {
    package["name"].as_str().unwrap()
}

#[test]
fn arrows_go_one_way() {
    let may_know = BTreeMap::from(MAY_KNOW);
    let packages = packages();
    let mut seen: Vec<&str> = packages.iter().map(name).collect();
    seen.sort_unstable();
    assert_eq!(
        seen,
        may_know.keys().copied().collect::<Vec<_>>(),
        "a crate that this test does not know, or that is gone"
    );
    for package in &packages {
        for known in package["dependencies"].as_array().unwrap() {
            // For tests and builds as well: what a test knows, it will soon be built on.
            let (knower, known, kind) = (name(package), known["name"].as_str().unwrap(), &known["kind"]);
            if may_know.contains_key(known) {
                assert!(may_know[knower].contains(&known), "{knower} must not know {known} (kind {kind})");
            }
        }
    }
}

#[test]
fn only_tests_know_a_daemon_or_the_front_end() {
    for package in packages() {
        for known in package["dependencies"].as_array().unwrap() {
            let program = known["name"].as_str().unwrap();
            if program.starts_with("zamd-") || program == "zamctl" {
                assert_eq!(name(&package), "zam-tests", "knows {program}");
                assert_ne!(known["kind"], Value::Null, "zam-tests knows {program} for more than tests");
            }
        }
    }
}

#[test]
fn one_crate_has_unsafe_code() {
    for package in packages() {
        for target in package["targets"].as_array().unwrap() {
            let kinds = target["kind"].as_array().unwrap();
            if !kinds.iter().any(|kind| kind == "lib" || kind == "bin") {
                continue;
            }
            let root = target["src_path"].as_str().unwrap();
            let forbids = fs::read_to_string(root).unwrap().contains("#![forbid(unsafe_code)]");
            assert_eq!(forbids, name(&package) != "zam-zfs-core", "#![forbid(unsafe_code)] in {root}");
        }
    }
}

#[test]
fn what_decides_knows_no_clock_and_touches_nothing() {
    for folder in ["names/src", "policy/src"] {
        for file in files(&top().join(folder), ".rs") {
            let text = without_tests(&file);
            for word in IMPURE {
                assert!(!text.contains(word), "{}: {word}", file.display());
            }
        }
    }
}

/// A file up to its tests, without comments.
fn without_tests(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}
