//! The machine, as far as `doctor` looks at it: a seam, so that each finding can be provoked in a test.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::Path,
    process::{Command, Stdio},
};

/// A machine.
pub trait Host {
    /// A file's text.
    ///
    /// # Errors
    /// If it cannot be read.
    fn read(&self, path: &Path) -> io::Result<String>;

    /// Who owns it, and who may what.
    ///
    /// # Errors
    /// If it cannot be looked at.
    fn stat(&self, path: &Path) -> io::Result<Stat>;

    /// What a program writes to its standard output, however it ends.
    ///
    /// # Errors
    /// If it cannot be run.
    fn run(&self, program: &str, args: &[&str]) -> io::Result<String>;
}

/// Who owns something, and who may what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The owner's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
    /// The lower twelve bits of its mode.
    pub mode: u32,
}

/// This machine.
pub struct Here;

impl Host for Here {
    fn read(&self, path: &Path) -> io::Result<String> {
        fs::read_to_string(path)
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        // A link in the place of what is looked at is looked at itself: nobody follows it to where it leads.
        let about = fs::symlink_metadata(path)?;
        Ok(Stat { uid: about.uid(), gid: about.gid(), mode: about.mode() & 0o7777 })
    }

    fn run(&self, program: &str, args: &[&str]) -> io::Result<String> {
        let mut command = Command::new(program);
        command.args(args).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C");
        let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output()?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// The accounts of a machine: its own files, which systemd-sysusers writes.
#[derive(Debug, Default)]
pub struct Accounts {
    users: Vec<(String, u32)>,
    groups: Vec<(String, u32, Vec<String>)>,
}

impl Accounts {
    /// Reads them.
    ///
    /// # Errors
    /// If one of the files cannot be read.
    pub fn read(host: &dyn Host) -> io::Result<Self> {
        let (passwd, group) = (host.read(Path::new("/etc/passwd"))?, host.read(Path::new("/etc/group"))?);
        let user = |line: &str| {
            let mut fields = line.split(':');
            Some((fields.next()?.to_owned(), fields.nth(1)?.parse().ok()?))
        };
        let group_of = |line: &str| {
            let mut fields = line.split(':');
            let (name, gid) = (fields.next()?.to_owned(), fields.nth(1)?.parse().ok()?);
            let members = fields.next().unwrap_or_default().split(',').filter(|name| !name.is_empty());
            Some((name, gid, members.map(str::to_owned).collect()))
        };
        Ok(Self {
            users: passwd.lines().filter_map(user).collect(),
            groups: group.lines().filter_map(group_of).collect(),
        })
    }

    /// A user's number.
    #[must_use]
    pub fn uid(&self, name: &str) -> Option<u32> {
        self.users.iter().find(|user| user.0 == name).map(|user| user.1)
    }

    /// A group's number.
    #[must_use]
    pub fn gid(&self, name: &str) -> Option<u32> {
        self.groups.iter().find(|group| group.0 == name).map(|group| group.1)
    }

    /// Who is in a group beside those whose own it is.
    #[must_use]
    pub fn members(&self, name: &str) -> &[String] {
        self.groups.iter().find(|group| group.0 == name).map_or(&[], |group| &group.2)
    }
}
