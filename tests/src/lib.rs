//! What several tests of the whole need.
#![forbid(unsafe_code)]

pub mod sink;

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The top of the checkout.
#[must_use]
pub fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("/")).to_owned()
}

/// All files below `folder` whose names end in `ending`, in order; those of builds left out.
#[must_use]
pub fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    folders.push(path);
                }
            } else if name.ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// A program of this workspace, which `cargo build --workspace --bins` puts beside the tests.
///
/// # Panics
/// If it is not there.
#[must_use]
pub fn built(program: &str) -> PathBuf {
    let here = std::env::current_exe().unwrap_or_default();
    let path = here.parent().and_then(Path::parent).unwrap_or(Path::new("")).join(program);
    assert!(
        path.exists(),
        "{} is not there: run `cargo build --workspace --bins` first, as ./test does",
        path.display()
    );
    path
}
