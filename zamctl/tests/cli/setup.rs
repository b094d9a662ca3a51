//! What `setup` asks, prints and writes.

use crate::stage::{Said, Stage, is_shell};
use pretty_assertions::assert_eq;
use std::{fs, io::Write as _, os::unix::fs::MetadataExt as _, process::Stdio};

const CROWDED: &str = "
    pool tank
    create tank/home/ann tank/srv tank/docker/0123abc tank/ROOT/debian tank/lxd/containers/web
    volume tank/data/vm-100-disk-0
    pool usb
    pool rpool
    create rpool/ROOT/debian-1 rpool/data/subvol-101-disk-0
";

/// For each set of answers: what is written loads without a warning, is planned, and after what is printed all is well.
#[test]
fn what_setup_writes_is_good() {
    for set in [
        "--dataset tank/home --dataset tank/srv --every 1h --keep days",
        "--dataset tank --dataset rpool",
        "--dataset rpool/ROOT/debian-1",
        "--dataset tank/home --to usb",
        "--dataset tank --to usb/copies --every 10s --client me",
        "--dataset tank/home --to host:olympus --root nas/zam/me --client me",
        "--dataset tank/home --to usb/copies --to host:olympus --root nas/zam/me --keep years",
        "--replica --client laptop --root usb/zam/laptop --key ssh-ed25519_AAAA",
    ] {
        let stage = Stage::with("", CROWDED);
        fs::remove_file(stage.path("zam.toml")).unwrap();
        let setup = |more: &str| {
            let mut command = stage.command("setup");
            command.args(set.split(' ').map(|word| word.replace('_', " "))).args(more.split_whitespace());
            let output = command.output().unwrap();
            assert_eq!(
                (output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()),
                (Some(0), ""),
                "{set}"
            );
            String::from_utf8(output.stdout).unwrap()
        };
        let script = setup("");
        is_shell(&script);
        assert!(!stage.path("zam.toml").exists(), "{set}: it writes nothing by itself");
        let said = setup("--write");
        is_shell(&said);
        let config = fs::read_to_string(stage.path("zam.toml")).unwrap();
        assert!(script.contains(&format!("cat >zam.toml <<'END'\n{config}END\n")), "{set}");
        assert_eq!(fs::metadata(stage.path("zam.toml")).unwrap().mode() & 0o777, 0o644, "{set}");
        for line in said.lines().filter(|line| line.contains(" grant ")) {
            stage.mend(&line.replace("--config zam.toml ", ""));
        }
        let check = stage.run("check");
        assert_eq!((check.code, check.err.as_str()), (Some(0), ""), "{set}\n{config}");
        assert_eq!(stage.run("plan").code, Some(0), "{set}");
        assert_eq!(stage.findings().iter().find(|finding| finding.0 != "note"), None, "{set}\n{config}");
        let last = said.lines().last().unwrap();
        assert_eq!(last, "zamctl --config zam.toml doctor", "{set}");
    }
}

#[test]
fn whatever_how_often_and_how_long_are_check_warns_of_nothing() {
    let stage = Stage::with("", CROWDED);
    for every in ["10s", "15m", "1h", "1d", "1w", "1mo"] {
        for keep in ["days", "months", "years"] {
            fs::remove_file(stage.path("zam.toml")).unwrap();
            let set = format!("setup --dataset tank/home --every {every} --keep {keep} --write");
            assert_eq!(stage.run(&set).code, Some(0), "{set}");
            let check = stage.run("check");
            assert_eq!((check.code, check.err.as_str()), (Some(0), ""), "{set}");
        }
    }
}

#[test]
fn setup_leaves_alone_what_other_software_manages() {
    let stage = Stage::with("", CROWDED);
    stage.shows("setup --dataset tank --dataset rpool --to usb/copies --client me", "setup.sh");
    stage.shows("setup --dataset tank/home --to host:olympus --root nas/zam/me --client me", "setup-host.sh");
    fs::write(stage.path("key.pub"), "ssh-ed25519 AAAA x@y\n").unwrap();
    fs::remove_file(stage.path("zam.toml")).unwrap();
    stage.shows("setup --replica --client laptop --root usb/zam/laptop --key key.pub", "setup-replica.sh");
}

#[test]
fn setup_writes_over_nothing_and_asks_nobody_who_is_not_there() {
    let stage = Stage::with("# mine\n", CROWDED);
    let over = stage.run("setup --dataset tank/home --write");
    assert_eq!(over.code, Some(1));
    assert!(over.err.contains("will not write over the config zam.toml") && over.err.contains("zam.d"), "{}", over.err);
    assert_eq!(fs::read_to_string(stage.path("zam.toml")).unwrap(), "# mine\n");
    // A client on a machine that has a config gets a file of its own, once.
    fs::create_dir(stage.path("zam.d")).unwrap();
    fs::write(stage.path("key.pub"), "ssh-ed25519 AAAA x@y\n").unwrap();
    let client = "setup --replica --client laptop --root usb/zam/laptop --key key.pub --write";
    assert_eq!(stage.run(client).code, Some(0));
    assert!(fs::read_to_string(stage.path("zam.d/laptop.toml")).unwrap().contains("client = \"laptop\""));
    assert_eq!(stage.run(client).code, Some(1));
    // What does not go with the rest of the config is not written.
    let below = stage.run("setup --replica --client desk --root usb/zam/laptop/desk --key key.pub --write");
    assert!(below.code == Some(2) && below.err.contains("overlap"), "{below:?}");
    assert!(!stage.path("zam.d/desk.toml").exists());
    fs::remove_file(stage.path("zam.d/laptop.toml")).unwrap();
    fs::remove_file(stage.path("zam.toml")).unwrap();
    for (line, word) in [
        ("setup", "--dataset tank/data [--every 10m] [--keep months] [--to usb/copies"),
        ("setup --replica", "--replica --client laptop --root"),
        ("setup --replica --client laptop --root usb/x", "--key"),
        ("setup --dataset tank/home --to host:olympus", "--root nas/zam/laptop"),
        ("setup --dataset tank/home --to tank/copies", "a copy of"),
        ("setup --dataset tank/home --to drawer/zam", "the pools are: rpool, tank, usb"),
        ("setup --dataset tank/hoem", "there is no dataset tank/hoem"),
        ("setup --dataset tank/home --keep decades", "days, months, years"),
        ("setup --dataset tank/home --every often", "often"),
        ("setup --dataset tank/home --replica", "--replica"),
    ] {
        let said = stage.run(&format!("{line} --write"));
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{line}: {said:?}");
        assert!(said.err.contains(word), "{line}: {}", said.err);
        assert!(!stage.path("zam.toml").exists(), "{line}");
    }
}

/// The questions, on a terminal of its own.
#[test]
fn setup_asks_on_a_terminal() {
    let answer = |stage: &Stage, line: &str, typed: &str| {
        let pty = nix::pty::openpty(None, None).unwrap();
        let mut command = stage.command(line);
        let child = command.stdin(pty.slave).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(command);
        fs::File::from(pty.master.try_clone().unwrap()).write_all(typed.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    };
    let stage = Stage::with("", CROWDED);
    fs::remove_file(stage.path("zam.toml")).unwrap();
    let said = answer(&stage, "setup --client me", "tank/hoem\ntank/home tank/srv\n\nyears\nusb/copies\n");
    assert_eq!(said.code, Some(0), "{said:?}");
    for word in
        ["Which datasets", "tank/hoem is neither", "How often", "[10m]", "[months]", "usb, a pool of this machine"]
    {
        assert!(said.err.contains(word), "{word}: {}", said.err);
    }
    let options = "setup --client me --dataset tank/home --dataset tank/srv --keep years --to usb/copies";
    assert_eq!(said.out, stage.run(options).out, "the same as by options");
    let said = answer(&stage, "setup --replica", "lap top\nlaptop\nusb/zam/laptop\nssh-ed25519 AAAA\n\n");
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(!said.err.contains("Which datasets"), "a replica is asked for no sources");
    assert!(said.out.contains("zam-receive --client laptop --root usb/zam/laptop"), "{}", said.out);
    let gone = answer(&stage, "setup --write", "tank/home\n\x04");
    assert_eq!((gone.code, stage.path("zam.toml").exists()), (Some(2), false), "{gone:?}");
}
