//! What several tests of the whole need.
#![forbid(unsafe_code)]

pub mod sink;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
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

/// Makes a shell script. It is put there by another process: what this one has open for writing every program that another
/// test starts meanwhile has open too, for a moment, and for so long it cannot be run ("text file busy").
///
/// # Panics
/// If it cannot be made.
pub fn script(path: &Path, text: &str) {
    let plain = path.with_extension("text");
    let made = fs::write(&plain, format!("#!/bin/sh\n{text}\n"))
        .and_then(|()| Command::new("install").args(["-m", "755"]).arg(&plain).arg(path).status());
    assert!(made.is_ok_and(|status| status.success()), "{} cannot be made", path.display());
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
