use super::*;
use crate::golden;
use pretty_assertions::assert_eq;
use std::process::Command;

fn args(on: Side) -> Args {
    let there = There::default();
    Args { print: true, destination: None, on, there, address: None, port: None, key: "unused".into(), from: None }
}

#[test]
fn the_source_makes_a_key_pins_the_host_and_says_how_to_find_it() {
    let plain = source(&args(Side::Source), "olympus", "laptop");
    golden::is_shell(&plain);
    golden::compare(&plain, "tests/golden/ssh-source.sh");
    let there = There::said("lap", Some("nas/my copies"));
    let elsewhere = Args { address: Some("192.0.2.7".into()), port: Some(2222), there, ..args(Side::Source) };
    let elsewhere = source(&elsewhere, "olympus", "lap");
    golden::is_shell(&elsewhere);
    for line in [
        "    HostName 192.0.2.7\n    Port 2222\n    HostKeyAlias olympus\n",
        "ssh-keyscan -T 60 -t ed25519 -p 2222 192.0.2.7 | sed",
        "--on replica --client lap --root 'nas/my copies'\n",
    ] {
        assert!(elsewhere.contains(line), "{line}\n{elsewhere}");
    }
}

/// R-SEND-13
#[test]
fn ssh_believes_one_host_key_and_offers_one_of_its_own() {
    if Command::new("ssh").arg("-V").output().is_err() {
        eprintln!("SKIPPED: no ssh here");
        return;
    }
    let text = source(&args(Side::Source), "olympus", "laptop");
    let (_, stanza) = text.split_once("<<'END'\n").unwrap();
    let (stanza, _) = stanza.split_once("END\n").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("ssh_config");
    let understood = |text: &str| {
        fs::write(&config, text).unwrap();
        let output = Command::new("ssh").arg("-F").arg(&config).args(["-G", "olympus"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let lines = [
        "stricthostkeychecking true",
        "userknownhostsfile /var/lib/zam/send/known_hosts",
        "globalknownhostsfile /dev/null",
        "hostkeyalias olympus",
        "updatehostkeys false",
        "identityfile /var/lib/zam/send/id_ed25519",
        "identitiesonly yes",
        "forwardagent no",
        "forwardx11 no",
        "permitlocalcommand no",
    ];
    let told = |text: &str| {
        let understood = understood(text);
        lines.into_iter().filter(|line| understood.lines().any(|told| told == *line)).collect::<Vec<_>>()
    };
    assert_eq!(told(stanza), lines);
    assert!(!told("").contains(&lines[0]) && !told("").contains(&lines[1]), "it is what the stanza says");
}

#[test]
fn the_replica_lets_the_key_start_one_command() {
    let line = format!("{} ssh-ed25519 AAAA zam-send@laptop", limits("laptop", "nas/zam/laptop"));
    let text = replica("olympus", "zam-ssh", "laptop", &line);
    golden::is_shell(&text);
    golden::compare(&text, "tests/golden/ssh-replica.sh");
}

#[test]
fn what_sshd_hands_to_the_shell_is_what_was_meant() {
    let limits = limits("laptop", "nas/it's \"my\" $HOME");
    let command = limits.strip_prefix("restrict,command=\"").and_then(|rest| rest.strip_suffix('"')).unwrap();
    // As sshd reads it: a quote ends it unless there is a backslash in front.
    let command = command.replace("\\\"", "\"");
    let script = format!("{}() {{ printf '<%s>' \"$@\"; }}; {}", "receive", command.replace(RECEIVE, "receive"));
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said, "<--client><laptop><--root><nas/it's \"my\" $HOME>");
}

#[test]
fn only_a_public_key_is_taken_for_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pub");
    let read = |text: &str| {
        fs::write(&path, text).unwrap();
        key(path.to_str().unwrap(), "make it")
    };
    assert_eq!(read("ssh-ed25519 AAAAC3Nza+/= who@where\n").unwrap(), "ssh-ed25519 AAAAC3Nza+/=");
    for bad in ["", "ssh-ed25519", "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Blb", "ssh-ed25519 A\"B", "rsa AAAA"] {
        assert!(read(bad).is_err(), "{bad}");
    }
    assert_eq!(key("ssh-ed25519 AAAA me@here", "").unwrap(), "ssh-ed25519 AAAA", "as it was said");
    let missing = key("unused", "make it").unwrap_err();
    assert!(missing.hints[0].starts_with("make it"), "{missing:?}");
}

#[test]
fn a_strange_address_is_refused() {
    assert!(address("olympus.example").is_ok() && address("2001:db8::1").is_ok());
    for bad in ["", "-oProxyCommand=x", "a b", "$(reboot)", "a;b"] {
        assert!(address(bad).is_err(), "{bad}");
    }
}
