//! The config on disk: a file, the drop-ins beside it, and whether anybody else could have written them.

use nix::unistd::geteuid;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use zam_policy::Zone;
use zam_policy::config::{Config, Errors, Warning};

/// Why there is no config. A daemon that gets one at its start ends; one that gets one later keeps what it had.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file or folder cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Others than root and the daemon's user can change what the daemon would obey.
    #[error("{} is not safe to obey: {why}", path.display())]
    Unsafe {
        /// The file or folder.
        path: PathBuf,
        /// Who could change it, and what to do about it.
        why: String,
    },
    /// The texts are not a good config.
    #[error("the config is not good:\n{0}")]
    Bad(Errors),
}

/// The config that is in force, and where it comes from.
#[derive(Clone, Debug)]
pub struct Live {
    file: PathBuf,
    config: Config,
    warnings: Vec<Warning>,
}

impl Live {
    /// Reads `file` and `zam.d/*.toml` and `zam.d/*.json` beside it.
    ///
    /// # Errors
    /// If a file cannot be read, could have been written by others, or says something wrong.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let (config, warnings) = zam_policy::config::load(&texts(file)?, &local_zone()).map_err(ConfigError::Bad)?;
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        Ok(Self { file: file.to_owned(), config, warnings })
    }

    /// Reads the files again.
    ///
    /// # Errors
    /// If they are not good now; then the old config stays in force.
    pub fn reload(&mut self) -> Result<(), ConfigError> {
        *self = Self::load(&self.file)?;
        Ok(())
    }

    /// What is in force.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What is odd about it.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}

/// The config's files with their texts, the main one first, drop-ins in the order of their names.
///
/// # Errors
/// If one cannot be read, or could have been written by others than root and this user.
pub fn texts(file: &Path) -> Result<Vec<(String, String)>, ConfigError> {
    let folder = match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    check_folder(folder)?;
    let mut texts = vec![text(file)?];
    let drop_ins = folder.join("zam.d");
    if drop_ins.is_dir() {
        check_folder(&drop_ins)?;
        let mut files = Vec::new();
        for entry in fs::read_dir(&drop_ins).map_err(cannot_read(&drop_ins))? {
            files.push(entry.map_err(cannot_read(&drop_ins))?.path());
        }
        files.retain(|file| is_config(file));
        files.sort();
        for file in files {
            texts.push(text(&file)?);
        }
    }
    Ok(texts)
}

/// This machine's time zone (`TZ`, `/etc/localtime`), or UTC where it has none with a name.
#[must_use]
pub fn local_zone() -> Zone {
    let zone = jiff::tz::TimeZone::try_system().map_err(|error| error.to_string());
    let named = zone.and_then(|zone| match zone.iana_name() {
        Some(name) => Zone::named(name),
        None => Err("it has no name".to_owned()),
    });
    named.unwrap_or_else(|why| {
        tracing::warn!("cannot tell this machine's time zone ({why}): `timezone` in the config says which; taking UTC");
        Zone::utc()
    })
}

fn text(path: &Path) -> Result<(String, String), ConfigError> {
    let mut file = File::open(path).map_err(cannot_read(path))?;
    let about = file.metadata().map_err(cannot_read(path))?;
    if !about.is_file() {
        return Err(ConfigError::Unsafe { path: path.to_owned(), why: "it is not a file".to_owned() });
    }
    check(path, &about)?;
    let mut text = String::new();
    let read = file.by_ref().take(MOST_BYTES + 1).read_to_string(&mut text).map_err(cannot_read(path))?;
    if u64::try_from(read).is_ok_and(|read| read > MOST_BYTES) {
        return Err(cannot_read(path)(io::Error::other(format!("it is longer than {MOST_BYTES} bytes"))));
    }
    Ok((path.display().to_string(), text))
}

fn check_folder(folder: &Path) -> Result<(), ConfigError> {
    check(folder, &fs::metadata(folder).map_err(cannot_read(folder))?)
}

/// Who can write a file, or put another one in its place, gives orders to the daemon.
fn check(path: &Path, about: &Metadata) -> Result<(), ConfigError> {
    let not = |why| Err(ConfigError::Unsafe { path: path.to_owned(), why });
    if ![0, geteuid().as_raw()].contains(&about.uid()) {
        return not(format!("it belongs to uid {}, and should to root: `chown root {}`", about.uid(), path.display()));
    }
    if about.mode() & 0o022 != 0 {
        return not(format!(
            "its mode {:o} lets others than its owner write it: `chmod go-w {}`",
            about.mode() & 0o7777,
            path.display()
        ));
    }
    Ok(())
}

/// A hidden file is an editor's, not a drop-in.
fn is_config(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && path.extension().is_some_and(|ending| ending == "toml" || ending == "json")
}

fn cannot_read(path: &Path) -> impl FnOnce(io::Error) -> ConfigError {
    let path = path.to_owned();
    move |source| ConfigError::Read { path, source }
}

/// Ten thousand entries written out.
const MOST_BYTES: u64 = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    const GOOD: &str = "[[managed-datasets]]\nsource = \"tank/a\"\nsnapshot-period = \"1h\"\nwindows = [{ max-age = \"2d\", period = \"1h\" }]\n";

    /// A folder with these files in it, as nobody else can write them.
    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            chmod(&path, 0o644);
            chmod(path.parent().unwrap(), 0o755);
        }
        folder
    }

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn the_file_comes_first_and_the_drop_ins_by_name() {
        let etc = folder(&[
            ("zam.toml", "main"),
            ("zam.d/20-b.json", "b"),
            ("zam.d/10-a.toml", "a"),
            ("zam.d/README", "no"),
            ("zam.d/.10-a.toml.swp", "no"),
            ("zam.d/.hidden.toml", "no"),
            ("zam.d/30-c.toml~", "no"),
        ]);
        let texts = texts(&etc.path().join("zam.toml")).unwrap();
        assert_eq!(texts.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(), ["main", "a", "b"]);
        assert!(texts[1].0.ends_with("zam.d/10-a.toml"));
    }

    #[test]
    fn what_others_can_write_is_not_obeyed() {
        for (what, mode) in
            [("zam.toml", 0o664), ("zam.toml", 0o602), (".", 0o775), ("zam.d", 0o757), ("zam.d/a.toml", 0o646)]
        {
            let etc = folder(&[("zam.toml", ""), ("zam.d/a.toml", "")]);
            let file = etc.path().join("zam.toml");
            texts(&file).unwrap();
            chmod(&etc.path().join(what), mode);
            let error = texts(&file).unwrap_err();
            assert!(matches!(error, ConfigError::Unsafe { .. }) && error.to_string().contains("chmod go-w"), "{error}");
        }
    }

    #[test]
    fn what_belongs_to_a_stranger_is_not_obeyed() {
        if !geteuid().is_root() {
            return; // only root can give a file away
        }
        let etc = folder(&[("zam.toml", "")]);
        let file = etc.path().join("zam.toml");
        std::os::unix::fs::chown(&file, Some(12345), None).unwrap();
        assert!(texts(&file).unwrap_err().to_string().contains("belongs to uid 12345"));
    }

    #[test]
    fn a_bad_config_leaves_the_old_one_in_force() {
        let etc = folder(&[("zam.toml", GOOD)]);
        let file = etc.path().join("zam.toml");
        let mut live = Live::load(&file).unwrap();
        assert_eq!(live.config().entries.len(), 1);
        fs::write(&file, "[[managed-datasets]]\nsorce = \"tank/b\"\n").unwrap();
        let error = live.reload().unwrap_err().to_string();
        assert!(error.contains("zam.toml:2") && error.contains("sorce"), "{error}");
        assert_eq!(live.config().entries[0].source.as_str(), "tank/a");
        fs::write(&file, GOOD.replace("tank/a", "tank/c")).unwrap();
        live.reload().unwrap();
        assert_eq!(live.config().entries[0].source.as_str(), "tank/c");
        fs::remove_file(&file).unwrap();
        assert!(matches!(live.reload().unwrap_err(), ConfigError::Read { .. }));
        assert_eq!(live.config().entries.len(), 1);
    }

    #[test]
    fn the_machine_has_a_zone() {
        assert!(!local_zone().to_string().is_empty());
    }
}
