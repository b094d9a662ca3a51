//! What a daemon must remember across restarts and power cuts: one JSON file per set of notes, replaced as a whole.
//! Losing it may only ever keep more, so a file that cannot be read is put aside, loudly, and notes begin anew.

use crate::Role;
use serde::{Serialize, de::DeserializeOwned};
use std::fs::{self, DirBuilder, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Why notes are not kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The state folder cannot be used.
    #[error("cannot {what} {}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The notes have no form in JSON.
    #[error("cannot write the notes of {} as JSON", path.display())]
    Encode {
        /// The file.
        path: PathBuf,
        /// What serde says.
        #[source]
        source: serde_json::Error,
    },
    /// They have become more than anybody expects; the file keeps its last form.
    #[error("the notes of {} would take {size} bytes, more than {MOST_BYTES}: they are not written", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// How much it would be.
        size: usize,
    },
}

/// Where the notes of a store come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From the file.
    Loaded,
    /// There was no file: the first start.
    Fresh,
    /// There was one, but it could not be read: it stands aside here, and the notes begin anew.
    Lost(PathBuf),
}

/// Notes with their file.
#[derive(Debug)]
pub struct Store<T> {
    path: PathBuf,
    notes: T,
    origin: Origin,
    written: Option<u64>,
}

impl<T: Serialize + DeserializeOwned + Default> Store<T> {
    /// Opens `STATE/ROLE/NAME.json`, making the folder (for this user alone) where it is missing.
    ///
    /// # Errors
    /// If the folder cannot be made, or a broken file cannot be put aside.
    pub fn open(state_dir: &Path, role: Role, name: &str) -> Result<Self, StoreError> {
        let folder = state_dir.join(role.folder());
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(file("make the folder", &folder))?;
        let path = folder.join(format!("{name}.json"));
        sweep(&folder, name);
        let read = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(|notes| (notes, digest(&bytes))).map_err(io::Error::from),
            Err(error) => Err(error),
        };
        match read {
            Ok((notes, written)) => Ok(Self { path, notes, origin: Origin::Loaded, written: Some(written) }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(Self { path, notes: T::default(), origin: Origin::Fresh, written: None })
            }
            Err(error) => {
                let aside = put_aside(&path)?;
                tracing::error!(
                    %error,
                    "NOTES LOST: {} cannot be read and stands as {} now; what it said is forgotten, so more is kept for longer",
                    path.display(),
                    aside.display()
                );
                Ok(Self { path, notes: T::default(), origin: Origin::Lost(aside), written: None })
            }
        }
    }

    /// The notes.
    pub fn get(&self) -> &T {
        &self.notes
    }

    /// The notes, to be changed; [`save`](Self::save) puts them on disk.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.notes
    }

    /// Where they came from when the store was opened.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Puts the notes on disk if they differ from what is there. When it returns, a power cut does not undo it; when it fails, the
    /// file is as before.
    ///
    /// # Errors
    /// If they cannot be written, or are too many.
    pub fn save(&mut self) -> Result<(), StoreError> {
        let path = &self.path;
        let mut bytes =
            serde_json::to_vec(&self.notes).map_err(|source| StoreError::Encode { path: path.clone(), source })?;
        bytes.push(b'\n');
        if bytes.len() > MOST_BYTES {
            return Err(StoreError::TooLarge { path: path.clone(), size: bytes.len() });
        }
        let new = digest(&bytes);
        if self.written == Some(new) {
            return Ok(());
        }
        replace(path, &bytes).map_err(file("write", path))?;
        self.written = Some(new);
        Ok(())
    }

    /// Changes the notes and puts them on disk.
    ///
    /// # Errors
    /// As [`save`](Self::save); the change stays in memory then, and the next save tries again.
    pub fn update<R>(&mut self, change: impl FnOnce(&mut T) -> R) -> Result<R, StoreError> {
        let result = change(&mut self.notes);
        self.save().map(|()| result)
    }
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let name = path.file_stem().ok_or(io::ErrorKind::InvalidInput)?;
    let mut temp = tempfile::Builder::new().prefix(&temp_prefix(&name.to_string_lossy())).tempfile_in(folder)?;
    temp.write_all(bytes)?;
    temp.as_file().sync_all()?;
    temp.persist(path)?;
    File::open(folder)?.sync_all()
}

/// Removes what a power cut left of an unfinished write.
fn sweep(folder: &Path, name: &str) {
    let prefix = temp_prefix(name);
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            let removed = fs::remove_file(entry.path());
            tracing::info!("{} is left of an unfinished write; removed: {}", entry.path().display(), removed.is_ok());
        }
    }
}

fn put_aside(path: &Path) -> Result<PathBuf, StoreError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut aside = path.with_extension(format!("json.broken-{now}"));
    for n in 2.. {
        if !aside.exists() {
            break;
        }
        aside = path.with_extension(format!("json.broken-{now}-{n}"));
    }
    fs::rename(path, &aside).map_err(file("put aside", path))?;
    Ok(aside)
}

fn temp_prefix(name: &str) -> String {
    format!(".{name}.json.new-")
}

fn digest(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::File { what, path, source }
}

/// A note of 200 bytes for each of 300,000 snapshots: far more than a pool should have.
const MOST_BYTES: usize = if cfg!(test) { 1 << 20 } else { 64 << 20 };

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;
    use std::{
        collections::BTreeMap,
        os::unix::fs::{MetadataExt, PermissionsExt},
    };

    type Notes = BTreeMap<String, u64>;

    fn open(state: &Path) -> Store<Notes> {
        Store::open(state, Role::Prune, "seen").unwrap()
    }

    #[test]
    fn notes_outlive_the_process() {
        let state = tempfile::tempdir().unwrap();
        let mut store = open(state.path());
        assert_eq!(store.origin(), &Origin::Fresh);
        store.update(|notes| notes.insert("a".into(), 1)).unwrap();
        let again = open(state.path());
        assert_eq!((again.origin(), again.get()["a"]), (&Origin::Loaded, 1));
        assert_eq!(fs::metadata(state.path().join("prune")).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(state.path().join("prune/seen.json")).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_write_that_was_cut_leaves_the_notes_before_it() {
        let state = tempfile::tempdir().unwrap();
        open(state.path()).update(|notes| notes.insert("a".into(), 1)).unwrap();
        let torn = state.path().join("prune/.seen.json.new-Xy12ab");
        fs::write(&torn, "{\"a\":").unwrap();
        let of_another = state.path().join("prune/.other.json.new-Xy12ab");
        fs::write(&of_another, "").unwrap();
        assert_eq!(open(state.path()).get()["a"], 1);
        assert!(!torn.exists() && of_another.exists());
    }

    #[test]
    fn a_broken_file_is_put_aside_and_said() {
        let state = tempfile::tempdir().unwrap();
        for text in ["{\"a\":", "", "[]", "{\"a\":1}x", "\0\0\0\0"] {
            let path = state.path().join("prune/seen.json");
            open(state.path()).update(|notes| notes.insert("a".into(), 1)).unwrap();
            fs::write(&path, text).unwrap();
            let mut store = open(state.path());
            let Origin::Lost(aside) = store.origin().clone() else { panic!("{text:?} was taken for notes") };
            assert_eq!(fs::read_to_string(aside).unwrap(), text);
            assert!(store.get().is_empty() && !path.exists());
            store.update(|notes| notes.insert("b".into(), 2)).unwrap();
            assert_eq!(open(state.path()).get().len(), 1);
        }
        assert_eq!(fs::read_dir(state.path().join("prune")).unwrap().count(), 6);
    }

    #[test]
    fn what_did_not_change_is_not_written() {
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join("prune/seen.json");
        let mut store = open(state.path());
        store.update(|notes| notes.insert("a".into(), 1)).unwrap();
        let before = fs::metadata(&path).unwrap().ino();
        store.save().unwrap();
        open(state.path()).save().unwrap();
        assert_eq!(fs::metadata(&path).unwrap().ino(), before);
    }

    #[test]
    fn a_write_that_fails_leaves_the_file_and_is_tried_again() {
        let state = tempfile::tempdir().unwrap();
        let mut store = open(state.path());
        store.update(|notes| notes.insert("a".into(), 1)).unwrap();
        let folder = state.path().join("prune");
        fs::rename(&folder, state.path().join("gone")).unwrap();
        assert!(store.update(|notes| notes.insert("b".into(), 2)).is_err());
        fs::rename(state.path().join("gone"), &folder).unwrap();
        assert_eq!(open(state.path()).get().len(), 1);
        store.save().unwrap();
        assert_eq!(open(state.path()).get().len(), 2);
    }

    #[test]
    fn notes_without_end_are_refused() {
        let state = tempfile::tempdir().unwrap();
        let mut store: Store<Vec<String>> = Store::open(state.path(), Role::Snap, "big").unwrap();
        store.update(|notes| notes.push("small".into())).unwrap();
        let error = store.update(|notes| notes.push("x".repeat(MOST_BYTES))).unwrap_err();
        assert!(matches!(error, StoreError::TooLarge { .. }));
        let again: Store<Vec<String>> = Store::open(state.path(), Role::Snap, "big").unwrap();
        assert_eq!(again.get().len(), 1);
    }
}
