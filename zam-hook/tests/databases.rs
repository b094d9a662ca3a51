//! The hooks for databases that the package brings (`packaging/examples/hooks`), with the real servers: what is copied between
//! `before` and `after` stands for the snapshot, and a server comes up from it with all that was committed.
//!
//! `ZAM_TEST_DATABASES` is a folder with Debian's packages unpacked in it, which CI has; else nothing is tried.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::{fs::chown, net::UnixStream, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Servers do not run as root.
const NOBODY: u32 = 65534;

/// A place for a server and its hook, and the user of both.
struct Place {
    debian: PathBuf,
    folder: TempDir,
}

impl Place {
    fn new() -> Option<Self> {
        let Some(debian) = std::env::var_os("ZAM_TEST_DATABASES").map(PathBuf::from) else {
            eprintln!("SKIPPED: ZAM_TEST_DATABASES does not say where database servers are");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        if nix::unistd::geteuid().is_root() {
            chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        Some(Self { debian, folder })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A program of Debian's or ours, as the servers' user.
    fn run(&self, program: impl AsRef<Path>, env: &[(&str, &Path)]) -> Command {
        let mut command = Command::new(self.debian.join(program));
        let folders = ["usr/bin", "usr/sbin"].map(|folder| self.debian.join(folder).display().to_string());
        command
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin:/usr/sbin:/sbin", folders.join(":")))
            .env("LD_LIBRARY_PATH", self.debian.join("usr/lib/x86_64-linux-gnu"))
            .env("HOME", self.folder.path())
            .env("RUNTIME_DIRECTORY", self.folder.path())
            .envs(env.iter().copied())
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        if nix::unistd::geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    /// The hook `name` of the package, and its socket.
    fn hook(&self, name: &str, env: &[(&str, &Path)]) -> (Running, PathBuf) {
        let program = self.path("hook");
        // From where everybody may run it; by another process, since what this one had open for writing, what other tests start
        // would have open for a moment too.
        let copy = |from: &Path, to: &Path| assert!(Command::new("cp").arg(from).arg(to).status().unwrap().success());
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/examples/hooks").join(name), &program);
        let ours = self.path("zam-hook");
        copy(Path::new(env!("CARGO_BIN_EXE_zam-hook")), &ours);
        let peer = nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().unwrap().name;
        let socket = self.path("hook.sock");
        let mut server = self.run(&ours, env);
        let server = server.args(["--peer", &peer, "--listen"]).arg(&socket).arg(&program).spawn().unwrap();
        wait_for("the hook's socket", || socket.exists());
        (Running(server), socket)
    }
}

/// What does not outlive its test.
struct Running(Child);

impl Running {
    /// A server, which has much to say.
    fn server(command: &mut Command) -> Self {
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn before(socket: &Path) -> (BufReader<UnixStream>, String) {
    let mut guest = BufReader::new(UnixStream::connect(socket).unwrap());
    write!(guest.get_mut(), "before\n60\nzam-1\ntank/db\n\n").unwrap();
    let said = answer(&mut guest);
    (guest, said)
}

fn after(mut guest: BufReader<UnixStream>) -> String {
    guest.get_mut().write_all(b"after\n").unwrap();
    answer(&mut guest)
}

fn answer(guest: &mut BufReader<UnixStream>) -> String {
    let mut line = String::new();
    guest.read_line(&mut line).unwrap();
    line
}

fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(120);
    while !is_so() {
        assert!(Instant::now() < until, "waited in vain for {what}");
        sleep(Duration::from_millis(100));
    }
}

fn good(output: Output) -> String {
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// All files, as they are.
fn copy(from: &Path, to: &Path) {
    good(Command::new("cp").arg("-a").args([from, to]).output().unwrap());
}

#[test]
fn postgresql_has_a_checkpoint_before_and_comes_up_from_what_was_copied() {
    let Some(place) = Place::new() else { return };
    let versions = fs::read_dir(place.debian.join("usr/lib/postgresql")).unwrap();
    let bin = versions.last().unwrap().unwrap().path().join("bin");
    let [data, copied] = ["data", "copied"].map(|name| place.path(name));
    good(place.run(bin.join("initdb"), &[]).args(["-A", "trust", "-U", "nobody", "-D"]).arg(&data).output().unwrap());
    let host: &[(&str, &Path)] = &[("PGHOST", place.folder.path()), ("PGUSER", Path::new("nobody"))];
    let ask =
        |sql: &str| place.run(bin.join("psql"), host).args(["-X", "-A", "-t", "-d", "postgres", "-c", sql]).output();
    let start = |data: &Path| {
        let mut server = place.run(bin.join("postgres"), &[]);
        let server = server.arg("-D").arg(data).arg("-k").arg(place.folder.path()).args(["-h", ""]);
        let server = Running::server(server);
        wait_for("the server", || ask("select 1").is_ok_and(|said| said.status.success()));
        server
    };
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let (_hook, socket) = place.hook("postgres", &[host, &[("PATH", Path::new(&path))]].concat());
    let (guest, said) = before(&socket);
    assert!(said.starts_with("failed"), "without a server it fails: {said}");
    after(guest);

    let server = start(&data);
    good(ask("create table rows (n int); insert into rows select generate_series(1, 1000)").unwrap());
    let checkpoint = || good(ask("select checkpoint_lsn from pg_control_checkpoint()").unwrap());
    let last = checkpoint();
    let (guest, said) = before(&socket);
    assert_eq!(said, "ok\n");
    assert_ne!(checkpoint(), last);
    copy(&data, &copied);
    assert_eq!(after(guest), "ok\n");
    good(ask("insert into rows values (0)").unwrap());
    assert_eq!(good(ask("select count(*) from rows").unwrap()), "1001");

    drop(server);
    wait_for("its end", || ask("select 1").is_ok_and(|said| !said.status.success()));
    fs::remove_file(copied.join("postmaster.pid")).unwrap();
    let _ = fs::remove_file(place.path(".s.PGSQL.5432.lock"));
    let _server = start(&copied);
    assert_eq!(good(ask("select count(*) from rows").unwrap()), "1000");
}

#[test]
fn mariadb_is_locked_between_before_and_after_and_comes_up_from_what_was_copied() {
    let Some(place) = Place::new() else { return };
    let [data, copied, socket] = ["data", "copied", "db.sock"].map(|name| place.path(name));
    let usr = place.debian.join("usr");
    let option = |name: &str, value: &Path| format!("--{name}={}", value.display());
    let common =
        ["--no-defaults".to_owned(), option("basedir", &usr), option("lc-messages-dir", &usr.join("share/mysql"))];
    let made = place
        .run("usr/bin/mariadb-install-db", &[])
        .args(&common[..2])
        .args([&option("datadir", &data), "--auth-root-authentication-method=normal", "--skip-test-db"])
        .output();
    good(made.unwrap());
    let ask = |user: &str, sql: &str| {
        let args = ["--no-defaults", "-N", "-B", "-u", user, &option("socket", &socket), "-e", sql].map(str::to_owned);
        place.run("usr/bin/mariadb", &[]).args(args).output().unwrap()
    };
    let start = |data: &Path| {
        let args = [option("datadir", data), option("socket", &socket), "--skip-networking".to_owned()];
        let plugins = option("plugin-dir", &usr.join("lib/mysql/plugin"));
        let mut server = place.run("usr/sbin/mariadbd", &[]);
        let server = Running::server(server.args(&common).args(args).arg(plugins));
        wait_for("the server", || ask("root", "select 1").status.success());
        server
    };
    let server = start(&data);
    // As the hook says; who runs it is this user here.
    let user = if nix::unistd::geteuid().is_root() { "nobody".to_owned() } else { std::env::var("USER").unwrap() };
    let grant =
        format!("CREATE USER {user}@localhost IDENTIFIED VIA unix_socket; GRANT RELOAD ON *.* TO {user}@localhost");
    good(ask("root", &grant));
    good(ask(
        "root",
        "create database d; create table d.rows (n int) engine=InnoDB; insert into d.rows values (1), (2)",
    ));
    // After what the machine itself may say of another server.
    fs::write(place.path(".my.cnf"), format!("[client]\nsocket={}\n", socket.display())).unwrap();
    let env: &[(&str, &Path)] = &[("USER", Path::new(&user))];
    let (_hook, asked) = place.hook("mariadb", env);

    let insert = "set lock_wait_timeout = 1; insert into d.rows values (3)";
    let (guest, said) = before(&asked);
    assert_eq!(said, "ok\n");
    assert!(!ask("root", insert).status.success(), "nothing is written meanwhile");
    copy(&data, &copied);
    assert_eq!(after(guest), "ok\n");
    wait_for("the end of the lock", || ask("root", insert).status.success());
    assert_eq!(good(ask("root", "select count(*) from d.rows")), "3");

    drop(server);
    wait_for("its end", || !ask("root", "select 1").status.success());
    let (guest, said) = before(&asked);
    assert!(said.starts_with("failed"), "without a server it fails: {said}");
    after(guest);
    let _server = start(&copied);
    assert_eq!(good(ask("root", "select count(*) from d.rows")), "2");
}
