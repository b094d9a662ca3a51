//! The folder of the simulated pools: one JSON file per pool, replaced whole, and a lock for whoever changes one.

use super::state::{Health, PoolState};
use crate::batch::Refusal;
use crate::door::Error;
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use zam_names::{DatasetName, PoolName, UnixTime};

#[derive(Clone, Debug)]
pub(super) struct Store {
    folder: PathBuf,
}

impl Store {
    pub(super) fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Makes the folder if it is missing.
    pub(super) fn create(&self) -> Result<(), Error> {
        fs::create_dir_all(&self.folder).map_err(|e| self.error(e))
    }

    /// Every pool, exported ones too, in the order of their names.
    pub(super) fn all(&self) -> Result<Vec<PoolState>, Error> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(|e| self.error(e))? {
            let file = entry.map_err(|e| self.error(e))?.file_name();
            names.extend(file.to_str().and_then(|f| f.strip_suffix(SUFFIX)).and_then(|f| f.parse::<PoolName>().ok()));
        }
        names.sort();
        names.iter().filter_map(|name| self.read(name).transpose()).collect()
    }

    /// A pool as it is at this instant; none if there is none of this name.
    pub(super) fn read(&self, pool: &PoolName) -> Result<Option<PoolState>, Error> {
        match fs::read(self.file(pool)) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| self.error(e)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(self.error(e)),
        }
    }

    /// A pool that is imported; none else.
    pub(super) fn imported(&self, pool: &PoolName) -> Result<Option<PoolState>, Error> {
        Ok(self.read(pool)?.filter(|pool| pool.health != Health::Exported))
    }

    /// Lets `change` at the pool while nobody else changes one. It is written back only if `change` succeeded; a pool that
    /// is not there is none, and `change` may make it.
    pub(super) fn change<T, E: From<Error>>(
        &self,
        pool: &PoolName,
        change: impl FnOnce(&mut Option<PoolState>, UnixTime) -> Result<T, E>,
    ) -> Result<T, E> {
        let _until_the_end = self.lock()?;
        let mut state = self.read(pool)?;
        let answer = change(&mut state, self.now()?)?;
        if let Some(state) = state {
            let bytes = serde_json::to_vec(&state).map_err(|e| self.error(e))?;
            self.replace(&self.file(pool), &bytes).map_err(|e| self.error(e))?;
        }
        Ok(answer)
    }

    /// Keeps others from receiving into the dataset for as long as the file is open, however its process ends.
    pub(super) fn alone(&self, dataset: &DatasetName) -> Result<File, Refusal> {
        let path = self.folder.join(format!("{}.receiving", dataset.as_str().replace('/', "%")));
        let other = |error: io::Error| Refusal::Other(error.to_string());
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(other)?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(Refusal::Busy),
            Err(TryLockError::Error(error)) => Err(other(error)),
        }
    }

    /// Now, on the clock of this folder.
    pub(super) fn now(&self) -> Result<UnixTime, Error> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|e| self.error(e))?;
        let offset = match fs::read_to_string(self.folder.join(CLOCK)) {
            Ok(text) => text.trim().parse().map_err(|e| self.error(e))?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => 0,
            Err(e) => return Err(self.error(e)),
        };
        Ok(UnixTime(i64::try_from(since.as_secs()).unwrap_or(i64::MAX)).plus(offset))
    }

    /// Sets the clock of this folder ahead of the real one by so many seconds.
    pub(super) fn set_clock_ahead(&self, seconds: i64) -> Result<(), Error> {
        self.replace(&self.folder.join(CLOCK), seconds.to_string().as_bytes()).map_err(|e| self.error(e))
    }

    pub(super) fn error(&self, why: impl ToString) -> Error {
        Error::Sim { folder: self.folder.clone(), why: why.to_string() }
    }

    fn lock(&self) -> Result<File, Error> {
        let path = self.folder.join(LOCK);
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(|e| self.error(e))?;
        file.lock().map_err(|e| self.error(e))?;
        Ok(file)
    }

    /// Whoever reads finds the old content or the new one, never a part.
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let as_umask_says = Permissions::from_mode(0o666);
        let mut file = tempfile::Builder::new().permissions(as_umask_says).tempfile_in(&self.folder)?;
        file.write_all(bytes)?;
        file.persist(path)?;
        Ok(())
    }

    fn file(&self, pool: &PoolName) -> PathBuf {
        self.folder.join(format!("{pool}{SUFFIX}"))
    }
}

const SUFFIX: &str = ".pool.json";
const CLOCK: &str = "clock";
const LOCK: &str = "lock";
