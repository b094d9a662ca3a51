//! Whatever a stranger writes: it is no name, or one that leads nowhere else and says nothing besides.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use proptest::{collection::vec, prelude::*, sample::select};
use zam_names::{BookmarkName, DatasetName, HoldTag, RelPath, SnapTag, SnapshotName};

const PIECES: &[&str] = &[
    "a",
    "tank",
    "zam-20260101T000000Z",
    ".",
    "..",
    "/",
    "//",
    "@",
    "#",
    "-",
    "-r",
    " ",
    ":",
    "%",
    "%recv",
    "\0",
    "\n",
    "\r",
    "\t",
    "\u{1b}[2J",
    "é",
    "\u{202e}",
    "$(id)",
    "'",
    "0",
    "x23456789x23456789x23456789x23456789x23456789x23456789",
];

fn plain(text: &str, more: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.: ".contains(c) || more.contains(c);
    (1..=255).contains(&text.len()) && text.chars().all(allowed)
}

fn check(text: &str) {
    let root: DatasetName = "nas/zam/host".parse().unwrap();
    if let Ok(path) = text.parse::<RelPath>() {
        assert!(plain(text, "/") && text.split('/').all(|part| !["", ".", ".."].contains(&part)), "{text:?}");
        if let Ok(dataset) = path.below(&root) {
            assert_eq!(dataset.as_str(), format!("nas/zam/host/{text}"));
            assert_eq!(RelPath::of(&dataset, &root), Some(path));
        }
    }
    assert_eq!(text.parse::<DatasetName>().is_ok(), text.parse::<RelPath>().is_ok(), "{text:?}");
    if text.parse::<SnapTag>().is_ok() {
        assert!(plain(text, ""), "{text:?}");
    }
    if let Ok(name) = text.parse::<SnapshotName>() {
        assert!(plain(text, "/@") && text.matches('@').count() == 1, "{text:?}");
        assert_eq!(format!("{}@{}", name.dataset(), name.tag()), text);
    }
    if let Ok(name) = text.parse::<BookmarkName>() {
        assert!(plain(text, "/#") && name.to_string() == text, "{text:?}");
    }
    if text.parse::<HoldTag>().is_ok() {
        assert!(text.len() <= 255 && !text.chars().any(char::is_control), "{text:?}");
    }
    // By way of JSON it is the same.
    let json = serde_json::to_string(text).unwrap();
    assert_eq!(serde_json::from_str::<SnapshotName>(&json).is_ok(), text.parse::<SnapshotName>().is_ok());
}

proptest! {
    #[test]
    fn any_text_is_a_safe_name_or_none(text in ".*", pieces in vec(select(PIECES), 0..8)) {
        check(&text);
        check(&pieces.concat());
    }
}
