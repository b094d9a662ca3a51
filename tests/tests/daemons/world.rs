//! Real daemons, as processes of their own, on simulated pools in a folder that goes away with the test.

use serde_json::Value;
use std::{
    fs,
    io::Read,
    os::unix::net::UnixStream,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use zam_names::{Dataset, DatasetName, HOLD_TAG, PoolName, SnapshotName};
pub use zam_tests::built;
use zam_zfs::{Lister, Open, Scope, sim::Admin};

/// How long anything may take to come about on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// A pool `tank` with a tree, a volume and the grants of the README.
pub const TREE: &str = "
    pool tank
    create tank/home tank/home/ann tank/cache
    volume tank/vm
    allow zam-snap both snapshot,hold,release tank
    allow zam-prune descendent destroy,mount tank
";

/// Ticks of a second over all of `tank` but `cache`.
pub const QUICK: &str = r#"
    clock = "trust"
    [[managed-datasets]]
    source = "tank"
    recursive = true
    exclude = ["cache"]
    snapshot-period = "1s"
    prune-period = "1s"
    grace = "2s"
    windows = [ { max-age = "4s", period = "1s" }, { max-age = "1h", period = "10s" } ]
"#;

pub struct World {
    folder: TempDir,
    daemons: Vec<(&'static str, Child)>,
}

impl World {
    /// Pools by this script, a config, and no daemon yet.
    pub fn new(pools: &str, config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("pools")).unwrap();
        let world = Self { folder, daemons: Vec::new() };
        world.admin(pools);
        world.configure(config);
        world
    }

    /// The same with both daemons.
    pub fn running(pools: &str, config: &str) -> Self {
        let mut world = Self::new(pools, config);
        world.start("snap");
        world.start("prune");
        world
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn admin(&self, script: &str) {
        Admin::open(&self.path("pools")).unwrap().script(script).unwrap();
    }

    pub fn configure(&self, config: &str) {
        // As a whole, as an editor does: a daemon that reads in between sees the one or the other.
        fs::write(self.path("new.toml"), config).unwrap();
        fs::rename(self.path("new.toml"), self.path("zam.toml")).unwrap();
    }

    pub fn start(&mut self, role: &'static str) {
        let log = fs::File::options().create(true).append(true).open(self.path(&format!("{role}.log"))).unwrap();
        let mut command = self.command(&format!("zamd-{role}"));
        command.arg("--state-dir").arg(self.path("state")).stdin(Stdio::null()).stderr(log).stdout(Stdio::null());
        command.env("ZAM_TEST_SILENCE_MS", "6000").env("ZAM_TEST_BEAT_MS", "300");
        if self.path("credentials").exists() {
            command.env("CREDENTIALS_DIRECTORY", self.path("credentials"));
        }
        if self.path("machine").exists() {
            command.env("ZAM_TEST_FACTS", self.path("machine"));
        }
        if self.path("ssh").exists() {
            command.env("ZAM_TEST_SSH", self.path("ssh"));
        }
        self.daemons.push((role, command.spawn().unwrap()));
        let socket = self.path(&format!("run/{role}/status.sock"));
        // Its first bytes: what only listens may not know yet what to do with a signal.
        wait_for("the daemon's word", || {
            UnixStream::connect(&socket).is_ok_and(|mut door| {
                door.set_read_timeout(Some(PATIENCE)).is_ok() && door.read_exact(&mut [0]).is_ok()
            })
        });
    }

    /// What zamd-send takes for ssh: a shell script. `receive` in it starts zam-receive for the host that is called, and `$own`
    /// is a folder that it may write to, behind zamd-send's walls.
    pub fn ssh(&self, script: &str) {
        let (receive, run) = (built("zam-receive"), self.path("run"));
        let head = format!(
            "for host; do :; done\nown={run}/send\nreceive() {{ exec {} --client host --root nas/zam/$host --stderr --runtime-dir {run} 2>>$own/receive.log; }}\n",
            receive.display(),
            run = run.display(),
        );
        // As a whole: a script that is being written cannot be run.
        zam_tests::script(&self.path("ssh.new"), &(head + script));
        fs::rename(self.path("ssh.new"), self.path("ssh")).unwrap();
    }

    /// zam-hook with a shell script as the program `db`, in which `$own` is a folder; without systemd and its box.
    pub fn hook(&mut self, script: &str) {
        let (program, socket) = (self.path("db"), self.path("run/hook/db.sock"));
        fs::create_dir_all(self.path("run/hook")).unwrap();
        zam_tests::script(&program, &format!("own={}\n{script}", self.path("").display()));
        let me = Command::new("id").arg("-un").output().unwrap();
        let mut command = Command::new(built("zam-hook"));
        command.args(["--peer", String::from_utf8_lossy(&me.stdout).trim(), "--listen"]).arg(&socket).arg(&program);
        self.daemons.push(("hook", command.stdin(Stdio::null()).spawn().unwrap()));
        wait_for("the hook's socket", || socket.exists());
    }

    /// A machine of the test's own, on battery or not, which does nothing: where the daemons look who uses it.
    pub fn machine(&self, battery: &str) {
        let supply = self.path("machine/sys/class/power_supply/BAT0");
        fs::create_dir_all(&supply).unwrap();
        fs::write(supply.join("type"), "Battery\n").unwrap();
        fs::write(supply.join("status"), battery).unwrap();
    }

    /// The process of a daemon.
    pub fn pid(&self, role: &str) -> u32 {
        self.daemons.iter().find(|(name, _)| *name == role).unwrap().1.id()
    }

    pub fn signal(&self, role: &str, signal: &str) {
        assert!(Command::new("kill").arg(signal).arg(self.pid(role).to_string()).status().unwrap().success());
    }

    /// Sends a signal and waits for the end. Gives whether it ended well.
    pub fn end(&mut self, role: &str, signal: &str) -> bool {
        self.signal(role, signal);
        let place = self.daemons.iter().position(|(name, _)| *name == role).unwrap();
        self.daemons.remove(place).1.wait().unwrap().success()
    }

    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(built(program));
        command.arg("--config").arg(self.path("zam.toml")).arg("--runtime-dir").arg(self.path("run"));
        command.arg("--simulate").arg(self.path("pools")).env_remove("ZAM_LOG").env("TZ", "UTC");
        command.env("XDG_DATA_HOME", self.path("data"));
        command
    }

    /// What `zamctl` does with these words.
    pub fn zamctl(&self, words: &[&str]) -> Output {
        self.command("zamctl").args(words).stdin(Stdio::null()).output().unwrap()
    }

    /// What it prints; it must end well, or with the code that says that something needs attention.
    pub fn say(&self, words: &[&str]) -> String {
        let output = self.zamctl(words);
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(0 | 3)), "zamctl {words:?}: {:?}\n{text}", output.status.code());
        text
    }

    pub fn json(&self, words: &[&str]) -> Value {
        let output = self.zamctl(words);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!("zamctl {words:?} prints no JSON: {error}\n{}", String::from_utf8_lossy(&output.stderr))
        })
    }

    fn lister(&self) -> Box<dyn Lister + Send> {
        Open::Sim { folder: self.path("pools"), user: "nobody".to_owned() }.lister()
    }

    /// The dataset with all its snapshots.
    pub fn dataset(&self, name: &str) -> Dataset {
        let name: DatasetName = name.parse().unwrap();
        let mut dataset =
            self.lister().datasets(&name.pool()).unwrap().into_iter().find(|dataset| dataset.name == name).unwrap();
        let names: Vec<SnapshotName> =
            self.lister().snapshots(Scope::Datasets(&[name])).unwrap().into_iter().map(|(name, ..)| name).collect();
        dataset.snapshots = self.lister().details(&names).unwrap().into_iter().map(|(_, snapshot)| snapshot).collect();
        dataset.snapshots.sort_by_key(|snapshot| snapshot.createtxg);
        dataset
    }

    pub fn count(&self, dataset: &str) -> usize {
        self.dataset(dataset).snapshots.len()
    }

    /// Every dataset of the pool but those whose name ends so.
    pub fn managed(&self, pool: &str, but: &str) -> Vec<Dataset> {
        let pool: PoolName = pool.parse().unwrap();
        let all = self.lister().datasets(&pool).unwrap();
        all.iter().filter(|d| !d.name.as_str().ends_with(but)).map(|d| self.dataset(d.name.as_str())).collect()
    }

    /// Waits until the dataset has had more snapshots than it has now.
    pub fn wait_for_a_tick(&self, dataset: &str) {
        let newest = |world: &Self| world.dataset(dataset).snapshots.last().map(|snapshot| snapshot.createtxg);
        let before = newest(self);
        wait_for("a tick", || newest(self) > before);
    }

    pub fn log(&self, role: &str) -> String {
        fs::read_to_string(self.path(&format!("{role}.log"))).unwrap_or_default()
    }

    /// The row of `zamctl status --json` for a dataset.
    pub fn row(&self, dataset: &str) -> Option<Value> {
        let status = self.json(&["status", "--json"]);
        status["datasets"].as_array()?.iter().find(|row| row["dataset"] == dataset).cloned()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for (_, daemon) in &mut self.daemons {
            // Gone already is well too.
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        if std::thread::panicking() {
            for role in ["snap", "prune", "send", "recv", "watch", "receive"] {
                let log = self.log(role);
                let last: Vec<&str> = log.lines().rev().take(25).collect();
                eprintln!("── the end of {role}.log");
                last.iter().rev().for_each(|line| eprintln!("{line}"));
            }
        }
    }
}

/// Polls until it is so.
pub fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "waited in vain for {what}");
        sleep(Duration::from_millis(100));
    }
}

/// Whether zam holds all of these.
pub fn all_held(dataset: &Dataset) -> bool {
    dataset.snapshots.iter().all(|snapshot| snapshot.is_held_by(HOLD_TAG))
}
