//! What the tests play on.

use pretty_assertions::assert_eq;
use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};
use tempfile::TempDir;
use zam_zfs::sim::Admin;

/// A config and pools to play on.
pub struct Stage {
    pub folder: TempDir,
}

/// What a run said.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Nothing is ever taken, so that nothing depends on the clock; what is there is dated in a year that is not over soon.
pub const CONFIG: &str = r#"
timezone = "UTC"

[[managed-datasets]]
source = "tank/home"
recursive = true
exclude = ["cache"]
prune-period = "1h"
windows = [ { max-age = "2d", period = "1h" }, { max-age = "1w", period = "1d" } ]
"#;

pub const POOLS: &str = "
    pool tank
    create tank/home/ann tank/home/cache tank/srv
    snapshot tank/home@zam-21000101T000000Z tank/home/ann@zam-21000101T000000Z at 4102444800
    snapshot tank/home@zam-21000101T060000Z tank/home/ann@zam-21000101T060000Z at 4102466400
    snapshot tank/home@mine at 4102466500
    snapshot tank/home@zam-21000102T000000Z tank/home/ann@zam-21000102T000000Z at 4102531200
    hold zam tank/home@zam-21000101T000000Z tank/home@zam-21000101T060000Z tank/home@zam-21000102T000000Z
    hold zam tank/home/ann@zam-21000101T000000Z tank/home/ann@zam-21000101T060000Z tank/home/ann@zam-21000102T000000Z
    hold pin tank/home/ann@zam-21000101T060000Z
    write 2000000 tank/home
";

impl Stage {
    pub fn new() -> Self {
        Self::with(CONFIG, POOLS)
    }

    pub fn with(config: &str, pools: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("zam.toml"), config).unwrap();
        Admin::open(&folder.path().join("pools")).unwrap().script(pools).unwrap();
        Self { folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zamctl"));
        command.current_dir(self.folder.path()).env_clear().env("TZ", "UTC");
        command.args(["--config", "zam.toml", "--simulate", "pools", "--runtime-dir", "run"]);
        command.args(line.split_whitespace());
        command
    }

    pub fn run(&self, line: &str) -> Said {
        let output = self.command(line).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Compares with a golden file; `ZAM_BLESS=1` writes it anew.
    pub fn shows(&self, line: &str, file: &str) {
        let said = self.run(line);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{line}");
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
        if std::env::var_os("ZAM_BLESS").is_some() {
            fs::write(&path, &said.out).unwrap();
        }
        assert_eq!(said.out, fs::read_to_string(&path).unwrap_or_default(), "{line}: ZAM_BLESS=1 writes it anew");
    }
}

pub const COPIES: &str = r#"
timezone = "UTC"
[[managed-datasets]]
source = "tank/home"
recursive = true
windows = [ { max-age = "2d", period = "1h" }, { max-age = "1w", period = "1d" } ]
destinations = [ { remote-host = "olympus" }, { pool = "usb", dataset = "zam" } ]
[[replicas]]
client = "me"
root = "usb/zam"
"#;

/// A shell takes all of it.
pub fn is_shell(text: &str) {
    let mut shell = Command::new("sh");
    let mut shell = shell.arg("-n").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut shell.stdin.take().unwrap(), text.as_bytes()).unwrap();
    let said = shell.wait_with_output().unwrap();
    assert!(said.status.success() && said.stderr.is_empty(), "{}{text}", String::from_utf8_lossy(&said.stderr));
}
