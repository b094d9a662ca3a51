//! The config's files, read as the daemons read them: the main one, then those in `zam.d` beside it by their names.

use crate::{
    failure::{Failure, Kind},
    shell::quoted,
};
use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};
use zam_names::UnixTime;
use zam_policy::{
    Zone,
    config::{self, Config, Warning},
};

/// A config that loaded.
pub struct Loaded {
    /// What it says.
    pub config: Config,
    /// What is odd about it.
    pub warnings: Vec<Warning>,
}

/// Reads and checks the config.
///
/// # Errors
/// If a file cannot be read, or is faulty: then with each fault, its place and its line.
pub fn load(main: &Path, zone: &Zone) -> Result<Loaded, Failure> {
    match config::load(&texts(main)?, zone) {
        Ok((config, warnings)) => Ok(Loaded { config, warnings }),
        Err(errors) => {
            let (count, main) = (errors.0.len(), main.display());
            let faults = if count == 1 { "a fault".to_owned() } else { format!("{count} faults") };
            Err(Failure::usage(format!("the config {main} has {faults}:\n\n{errors}\n")))
        }
    }
}

/// The files, each with its text.
///
/// # Errors
/// If one cannot be read.
pub fn texts(main: &Path) -> Result<Vec<(String, String)>, Failure> {
    let paths = files(main).map_err(|error| unreadable(main, &error))?;
    let text = |path: PathBuf| match fs::read_to_string(&path) {
        Ok(text) => Ok((path.display().to_string(), text)),
        Err(error) => Err(unreadable(&path, &error)),
    };
    paths.into_iter().map(text).collect()
}

/// A file or folder of the config that the daemons will not take: others than root and this user can write it, or they cannot
/// read it.
pub struct Unsafe {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub why: String,
    /// What to do about it.
    pub command: String,
}

/// All of them.
#[must_use]
pub fn unsafe_places(main: &Path) -> Vec<Unsafe> {
    let folder = |path: &Path| match path.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let mut places = files(main).unwrap_or_default();
    let mut folders: Vec<PathBuf> = places.iter().map(|path| folder(path)).collect();
    folders.dedup();
    places.extend(folders);
    places.iter().filter_map(|path| not_safe(path)).collect()
}

/// When the youngest of the config's files was written.
#[must_use]
pub fn written(main: &Path) -> Option<UnixTime> {
    let times = files(main).ok()?.into_iter().filter_map(|path| Some(UnixTime(fs::metadata(path).ok()?.mtime())));
    times.max()
}

fn not_safe(path: &Path) -> Option<Unsafe> {
    let about = fs::metadata(path).ok()?;
    let own = fs::metadata("/proc/self").map_or(0, |own| own.uid());
    let shown = quoted(&path.display().to_string());
    let (why, command) = if about.mode() & 0o022 != 0 {
        (format!("others can write {shown}, so the daemons will not obey it"), format!("chmod go-w {shown}"))
    } else if about.uid() != 0 && about.uid() != own {
        (format!("{shown} does not belong to root, so the daemons will not obey it"), format!("chown root {shown}"))
    } else if about.is_file() && about.mode() & 0o004 == 0 {
        (format!("the daemons cannot read {shown}"), format!("chmod a+r {shown}"))
    } else {
        return None;
    };
    Some(Unsafe { path: path.to_owned(), why, command })
}

/// The main file and the drop-ins.
fn files(main: &Path) -> io::Result<Vec<PathBuf>> {
    let mut drop_ins = Vec::new();
    match fs::read_dir(main.with_file_name("zam.d")) {
        Ok(entries) => {
            for entry in entries {
                let path = entry?.path();
                let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
                if !hidden && path.extension().is_some_and(|ending| ending == "toml" || ending == "json") {
                    drop_ins.push(path);
                }
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    drop_ins.sort();
    Ok([main.to_owned()].into_iter().chain(drop_ins).collect())
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let failure = Failure::new(Kind::Usage, format!("cannot read the config {}", path.display())).because(Some(error));
    match error.kind() {
        io::ErrorKind::NotFound => {
            failure.hint("write one (docs/config.md shows how), or name another with `--config FILE`")
        }
        io::ErrorKind::PermissionDenied => {
            failure.hint("it holds no secrets: let everybody read it, as the package does (`chmod a+r`)")
        }
        _ => failure,
    }
}
