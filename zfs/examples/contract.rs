//! Runs the contract suite on this machine's ZFS, on a file-backed pool that it makes and removes. For a lab machine:
//! needs root, makes the users `zam-c1` and `zam-c2` where they are missing, and gives them rights on that pool alone.
//!
//! ```text
//! contract [--only WORD]     runs the cases whose names contain WORD
//! contract --list            prints the cases' names
//! contract act               one verb, from standard input, as the calling user: how a case acts as another user
//! ```
//!
//! With `LD_LIBRARY_PATH` naming a folder that has an empty file `libzfs_core.so.3`, the library cannot be loaded, and what
//! is tried is the way through the `zfs` command.

use std::error::Error;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::{env, fs, io};
use zam_names::PoolName;
use zam_zfs::contract::{self, Act, Done, Ground, OTHER, RIGHTFUL, Trouble};
use zam_zfs::{Lister, Open};

const POOL: &str = "zamcontract";
const FILE: &str = "/var/tmp/zam-contract.pool";
const SIZE: u64 = 1 << 30;
/// For streams.
const SCRATCH: &str = "/var/tmp/zam-contract";

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["act"] => {
            let mut act = String::new();
            io::stdin().read_to_string(&mut act)?;
            let act: Act = serde_json::from_str(&act)?;
            serde_json::to_writer(io::stdout(), &act.perform(&Open::Real))?;
            Ok(ExitCode::SUCCESS)
        }
        ["--list"] => {
            contract::names().for_each(|name| println!("{name}"));
            Ok(ExitCode::SUCCESS)
        }
        [] => run_all(""),
        ["--only", word] => run_all(word),
        _ => Err("usage: contract [--only WORD | --list | act]".into()),
    }
}

fn run_all(only: &str) -> Result<ExitCode, Box<dyn Error>> {
    let ground = OnReal::new()?;
    let (mut passed, mut failed) = (0, 0);
    contract::run(&ground, only, |case| match case.outcome {
        Ok(()) => {
            passed += 1;
            println!("ok {}", case.name);
        }
        Err(why) => {
            failed += 1;
            println!("FAIL {}: {why}", case.name);
        }
    });
    println!("{passed} passed, {failed} failed");
    Ok(if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A pool of this machine; destroyed with this value.
struct OnReal {
    pool: PoolName,
    tells_when_snapshots_changed: bool,
}

impl OnReal {
    fn new() -> Result<Self, Box<dyn Error>> {
        for user in [RIGHTFUL, OTHER] {
            if run("id", &[user]).is_err() {
                run("useradd", &["--system", "--user-group", "--no-create-home", user])?;
            }
        }
        if Path::new(FILE).exists() {
            return Err(format!(
                "{FILE} is there: another run, or the rest of one; `zpool destroy {POOL}`, then remove it"
            )
            .into());
        }
        fs::create_dir(SCRATCH)?;
        fs::set_permissions(SCRATCH, fs::Permissions::from_mode(0o1777))?;
        fs::File::create_new(FILE)?.set_len(SIZE)?;
        let pool = POOL.parse()?;
        let mut ground = Self { pool, tells_when_snapshots_changed: false };
        run("zpool", &["create", "-O", "mountpoint=none", POOL, FILE])?;
        ground.tells_when_snapshots_changed = run("zfs", &["get", "-H", "snapshots_changed", POOL]).is_ok();
        Ok(ground)
    }

    fn command(&self, words: &[&str]) -> Result<(), Trouble> {
        let one_by_one =
            |front: &[&str], names: &[&str]| names.iter().try_for_each(|name| run("zfs", &[front, &[*name]].concat()));
        match words {
            ["create", names @ ..] => one_by_one(&["create", "-p"], names),
            ["encrypted", names @ ..] => {
                let (format, from) = ("keyformat=raw", format!("keylocation=file://{SCRATCH}/key"));
                fs::write(format!("{SCRATCH}/key"), [7; 32]).map_err(Trouble::new)?;
                one_by_one(&["create", "-p", "-o", "encryption=on", "-o", format, "-o", &from], names)
            }
            ["unload-key", names @ ..] => one_by_one(&["unload-key"], names),
            ["write", bytes, name] => write(name, bytes.parse().map_err(Trouble::new)?),
            ["set", property, name] => run("zfs", &["set", property, name]),
            ["quota", bytes, name] => run("zfs", &["set", &format!("quota={bytes}"), name]),
            ["volume", names @ ..] => one_by_one(&["create", "-p", "-s", "-V", "16M"], names),
            ["destroy", flag @ ("-d" | "-r"), names @ ..] => one_by_one(&["destroy", flag], names),
            ["destroy", names @ ..] => one_by_one(&["destroy"], names),
            ["allow", "creator", permissions, name] => run("zfs", &["allow", "-c", permissions, name]),
            ["allow", user, "local", permissions, name] => run("zfs", &["allow", "-l", "-u", user, permissions, name]),
            ["allow", user, "descendent", permissions, name] => {
                run("zfs", &["allow", "-d", "-u", user, permissions, name])
            }
            ["allow", user, "both", permissions, name] => run("zfs", &["allow", "-u", user, permissions, name]),
            ["limit", limit, name] => run("zfs", &["set", &format!("snapshot_limit={limit}"), name]),
            ["snapshot" | "hold" | "release" | "rename" | "clone" | "bookmark", ..] => run("zfs", words),
            _ => Err(Trouble::new("this command is not for real ZFS")),
        }
    }
}

impl Ground for OnReal {
    fn pool(&self) -> &PoolName {
        &self.pool
    }

    fn script(&self, lines: &str) -> Result<(), Trouble> {
        for line in lines.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            if !words.is_empty() {
                self.command(&words)?;
            }
        }
        Ok(())
    }

    fn act(&self, user: &str, act: &Act) -> Result<Done, Trouble> {
        let user_only = [format!("--reuid={user}"), format!("--regid={user}")];
        let mut command = Command::new("setpriv");
        command
            .args(user_only)
            .args(["--clear-groups", "--no-new-privs"])
            .arg(env::current_exe().map_err(Trouble::new)?);
        command.arg("act").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(Trouble::new)?;
        let message = serde_json::to_vec(act).map_err(Trouble::new)?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(&message).map_err(Trouble::new)?;
        }
        let output = child.wait_with_output().map_err(Trouble::new)?;
        serde_json::from_slice(&output.stdout).map_err(|e| Trouble::new(format!("{user}: {}: {e}", output.status)))
    }

    fn lister(&self) -> Box<dyn Lister> {
        Open::Real.lister()
    }

    fn tells_when_snapshots_changed(&self) -> bool {
        self.tells_when_snapshots_changed
    }

    fn scratch(&self) -> &Path {
        Path::new(SCRATCH)
    }

    fn copies(&self) -> bool {
        env::var_os("LD_LIBRARY_PATH").is_none()
    }
}

impl Drop for OnReal {
    fn drop(&mut self) {
        if let Err(why) = run("zpool", &["destroy", POOL]) {
            eprintln!("the pool {POOL} may be left: {why}");
        }
        if let Err(why) = fs::remove_file(FILE).and_then(|()| fs::remove_dir_all(SCRATCH)) {
            eprintln!("{FILE} or {SCRATCH} is left: {why}");
        }
    }
}

/// Writes new random bytes into a new file of a filesystem that is mounted for that long.
fn write(dataset: &str, bytes: u64) -> Result<(), Trouble> {
    let folder = tempfile::tempdir().map_err(Trouble::new)?;
    let at = folder.path().display().to_string();
    run("mount", &["-t", "zfs", "-o", "zfsutil", dataset, &at])?;
    let written = fs::File::open("/dev/urandom").and_then(|random| {
        let name = fs::read_dir(folder.path())?.count().to_string();
        io::copy(&mut random.take(bytes), &mut fs::File::create_new(folder.path().join(name))?)
    });
    run("umount", &[&at])?;
    written.map(drop).map_err(Trouble::new)
}

fn run(program: &str, arguments: &[&str]) -> Result<(), Trouble> {
    let output = Command::new(program).args(arguments).env_remove("LD_LIBRARY_PATH").output().map_err(Trouble::new)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Trouble::new(format!("{program} {}: {}", arguments.join(" "), said.trim())))
}
