//! What is known of the machine: since when nobody uses it, and whether it runs on battery. Read from files that every
//! user may read, without a device, a network or a bus.

use crate::keeper::{Part, Shared};
use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    rc::Rc,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;
use zam_policy::schedule::Facts;

/// How often it is looked at, while something waits for it.
const PERIOD: Duration = Duration::from_secs(10);

/// Watches the machine.
#[derive(Debug)]
pub struct Machine {
    root: PathBuf,
    period: Duration,
    last: Option<Signs>,
    /// When it was last seen to be used; what was not watched counts as used.
    used: Instant,
    /// When it was last looked at.
    looked: Instant,
    on_battery: bool,
}

/// What shows that somebody is there.
#[derive(Debug, PartialEq, Eq)]
struct Signs {
    /// What the processors did for somebody, and all that they could have done, since boot.
    work: [u64; 2],
    /// What keyboards and mice have sent.
    hands: u64,
    /// When somebody last typed into a terminal.
    typed: i64,
}

impl Machine {
    /// Starts watching. `root` stands for the root folder in tests, which do not wait long either.
    #[must_use]
    pub fn new(root: Option<PathBuf>) -> Self {
        let period = if root.is_some() { Duration::from_millis(100) } else { PERIOD };
        let root = root.unwrap_or_else(|| "/".into());
        let on_battery = on_battery(&root);
        let now = Instant::now();
        Self { root, period, last: None, used: now, looked: now, on_battery }
    }

    /// What was last seen.
    #[must_use]
    pub fn facts(&self) -> Facts {
        let idle_for = self.looked.saturating_duration_since(self.used).as_secs();
        let idle_for = i64::try_from(idle_for).unwrap_or(i64::MAX);
        Facts { obstacle: None, idle_for, on_battery: self.on_battery }
    }

    /// Looks at it, and says whether it has other power now.
    pub fn look(&mut self) -> bool {
        let signs = Signs::read(&self.root);
        self.looked = Instant::now();
        if self.last.as_ref().is_none_or(|last| signs.in_use_since(last)) {
            self.used = self.looked;
        }
        self.last = Some(signs);
        let before = std::mem::replace(&mut self.on_battery, on_battery(&self.root));
        self.on_battery != before
    }
}

/// Looks at the machine as long as something of the config waits for it, and lets all pools look when its power changes.
pub async fn watch<P: Part>(shared: Rc<Shared<P>>, stop: CancellationToken) {
    loop {
        let period = shared.machine.borrow().period;
        if stop.run_until_cancelled(tokio::time::sleep(period)).await.is_none() {
            return;
        }
        let mut machine = shared.machine.borrow_mut();
        if !shared.config().entries.iter().filter_map(P::when).any(|when| when.idle.is_some() || when.ac_power) {
            machine.last = None;
        } else if machine.look() {
            shared.wake_all();
        }
    }
}

impl Signs {
    fn read(root: &Path) -> Self {
        let text = |name: &str| fs::read_to_string(root.join(name)).unwrap_or_default();
        let stat = text("proc/stat");
        let times = stat.lines().next().unwrap_or_default().split_whitespace().skip(1);
        // user, nice, system, idle, iowait, irq, softirq, steal
        let times: Vec<u64> = times.take(8).map(|time| time.parse().unwrap_or(0)).collect();
        let sum = |of: &[usize]| of.iter().filter_map(|nth| times.get(*nth)).sum::<u64>();
        let interrupts = text("proc/interrupts");
        let of_ps2 = interrupts.lines().filter(|line| line.contains("i8042"));
        let ps2: u64 = of_ps2.flat_map(str::split_whitespace).filter_map(|word| word.parse::<u64>().ok()).sum();
        let usb = folder(root, "sys/bus/usb/devices").filter_map(|interface| {
            let is = |name: &str, of: &[&str]| of.contains(&word(&interface.join(name)).as_str());
            let hands = is("bInterfaceClass", &["03"]) && is("bInterfaceProtocol", &["01", "02"]);
            let device = interface.to_str()?.split_once(':')?.0;
            hands.then(|| word(&Path::new(device).join("urbnum")).parse::<u64>().ok()).flatten()
        });
        let is_terminal = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let nth = if path.parent().is_some_and(|folder| folder.ends_with("pts")) {
                name
            } else {
                name.strip_prefix("tty").unwrap_or("")
            };
            !nth.is_empty() && nth.bytes().all(|byte| byte.is_ascii_digit())
        };
        let terminals = folder(root, "dev").chain(folder(root, "dev/pts")).filter(is_terminal);
        Self {
            work: [sum(&[0, 2, 5, 6, 7]), times.iter().sum()],
            hands: usb.fold(ps2, u64::wrapping_add),
            typed: terminals.filter_map(|path| Some(path.metadata().ok()?.atime())).max().unwrap_or(0),
        }
    }

    fn in_use_since(&self, last: &Self) -> bool {
        let [busy, all] = [0, 1].map(|nth| self.work[nth].saturating_sub(last.work[nth]));
        self.hands != last.hands || self.typed != last.typed || busy.saturating_mul(10) > all
    }
}

/// Whether a battery of the machine itself is being emptied, and nothing else feeds it. Without a battery, or where nothing is
/// known, it is not.
fn on_battery(root: &Path) -> bool {
    let supplies: Vec<PathBuf> = folder(root, "sys/class/power_supply").collect();
    let is = |supply: &Path, name: &str, text: &str| word(&supply.join(name)) == text;
    let emptied = |supply: &PathBuf| {
        is(supply, "type", "Battery") && is(supply, "status", "Discharging") && !is(supply, "scope", "Device")
    };
    let feeds = |supply: &PathBuf| !is(supply, "type", "Battery") && is(supply, "online", "1");
    supplies.iter().any(emptied) && !supplies.iter().any(feeds)
}

fn folder(root: &Path, name: &str) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(root.join(name)).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()))
}

fn word(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes files, each in the folders that it needs.
    fn write(root: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            fs::write(root.join(name), text).unwrap();
        }
    }

    #[test]
    fn work_keys_mice_and_terminals_are_use_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let usb = |name: &str, protocol: &str| {
            let interface = format!("sys/bus/usb/devices/{name}:1.0");
            write(
                root,
                &[
                    (&format!("{interface}/bInterfaceClass"), "03"),
                    (&format!("{interface}/bInterfaceProtocol"), protocol),
                ],
            );
        };
        usb("1-1", "02");
        usb("1-2", "00");
        write(
            root,
            &[
                ("proc/stat", "cpu  100 0 0 900 0 0 0 0 0 0\ncpu0 1 1 1\n"),
                ("proc/interrupts", " CPU0\n  1:  7 5  IO-APIC 1-edge i8042\n 24: 9 9 PCI-MSI nvme0q0\n"),
                ("sys/bus/usb/devices/1-1/urbnum", "10"),
                ("sys/bus/usb/devices/1-2/urbnum", "10"),
                ("dev/pts/0", ""),
            ],
        );
        let first = Signs::read(root);
        // A disk of a virtual machine is no terminal, however often it is read.
        write(root, &[("dev/sda1", ""), ("dev/zd16", ""), ("dev/ttyS", "")]);
        let later = std::fs::FileTimes::new().set_accessed(std::time::SystemTime::now() + Duration::from_secs(9));
        for name in ["sda1", "zd16", "ttyS"] {
            fs::File::open(root.join("dev").join(name)).unwrap().set_times(later).unwrap();
        }
        assert_eq!(Signs::read(root), first);
        assert_eq!((first.work, first.hands), ([100, 1000], 7 + 5 + 10));
        let used = |name: &str, text: &str| {
            let before = fs::read_to_string(root.join(name)).unwrap_or_default();
            write(root, &[(name, text)]);
            let used = Signs::read(root).in_use_since(&first);
            write(root, &[(name, &before)]);
            used
        };
        // A tenth of the processors' time; not what is nice, nor what waits for a disk.
        assert!(!used("proc/stat", "cpu  110 0 0 990 0 0 0 0"));
        assert!(used("proc/stat", "cpu  111 0 0 989 0 0 0 0"));
        assert!(!used("proc/stat", "cpu  100 90 0 900 10 0 0 0"));
        assert!(used("proc/interrupts", " 1: 8 5 IO-APIC 1-edge i8042"));
        assert!(!used("proc/interrupts", " 1: 7 5 IO-APIC 1-edge i8042\n 24: 99 9 PCI-MSI nvme0q0"));
        assert!(used("sys/bus/usb/devices/1-1/urbnum", "11"), "a mouse");
        assert!(!used("sys/bus/usb/devices/1-2/urbnum", "11"), "something else that is USB's HID, such as a UPS");
        let typed = |at: i64| Signs { typed: at, ..Signs::read(root) };
        assert!(typed(first.typed + 8).in_use_since(&first) && first.typed > 0);
    }

    #[test]
    fn what_was_not_watched_counts_as_used() {
        let folder = tempfile::tempdir().unwrap();
        let mut machine = Machine::new(Some(folder.path().to_owned()));
        machine.used = machine.looked.checked_sub(Duration::from_secs(100)).unwrap();
        assert!(machine.facts().idle_for >= 100);
        machine.look();
        assert_eq!(machine.facts().idle_for, 0, "the first look");
        machine.used = Instant::now().checked_sub(Duration::from_secs(100)).unwrap();
        machine.look();
        assert!(machine.facts().idle_for >= 100, "nothing happened");
    }

    #[test]
    fn only_a_battery_that_is_emptied_and_nothing_else_is_battery() {
        let supplies = |supplies: &[&[(&str, &str)]]| {
            let folder = tempfile::tempdir().unwrap();
            for (nth, files) in supplies.iter().enumerate() {
                for (name, text) in *files {
                    write(folder.path(), &[(&format!("sys/class/power_supply/{nth}/{name}"), text)]);
                }
            }
            on_battery(folder.path())
        };
        let emptied: &[_] = &[("type", "Battery\n"), ("status", "Discharging\n"), ("scope", "System\n")];
        let mains = |online| [("type", "Mains\n"), ("online", online)];
        assert!(supplies(&[emptied]) && supplies(&[emptied, &mains("0\n")]));
        assert!(!supplies(&[]) && !supplies(&[&mains("0\n")]), "a desktop");
        assert!(!supplies(&[emptied, &mains("1\n")]));
        assert!(!supplies(&[&[("type", "Battery\n"), ("status", "Charging\n")]]));
        assert!(
            !supplies(&[&[("type", "Battery\n"), ("status", "Discharging\n"), ("scope", "Device\n")]]),
            "a mouse's"
        );
    }
}
