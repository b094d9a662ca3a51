//! The wall of verbs, tried from inside by perl, which is on every Debian machine. Without ZFS: an ioctl that gets through
//! the filter reaches /dev/null, which does not know it (ENOTTY); one that does not is refused (EPERM).
#![allow(clippy::unwrap_used)]

use nix::libc;
use std::process::{Command, Output};
use zam_runtime::Role;

fn run(role: Option<Role>, command: &[&str]) -> Output {
    let walls = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("examples/behind-walls");
    match role {
        Some(role) => Command::new(walls).arg(role.folder()).args(command).output().unwrap(),
        None => Command::new(command[0]).args(&command[1..]).output().unwrap(),
    }
}

/// The errno with which a call ends, as perl tells it; 0 if it goes well.
fn errno(role: Option<Role>, call: &str) -> i32 {
    let script =
        format!("open(F, '<', '/dev/null') or die; my $r = {call}; print((defined $r && $r != -1) ? 0 : $! + 0)");
    let output = run(role, &["perl", "-e", &script]);
    assert!(output.status.success(), "{call}: {output:?}");
    String::from_utf8(output.stdout).unwrap().parse().unwrap()
}

fn ioctl(role: Option<Role>, request: u64) -> i32 {
    // by syscall(), since perl's ioctl() goes through the C library with a request of its own width
    errno(role, &format!("syscall({}, fileno(F), {request}, 0)", libc::SYS_ioctl))
}

/// R-SEND-5 R-RECV-5 R-WATCH-2
#[test]
fn each_role_has_its_own_verbs_and_no_others() {
    for role in Role::ALL {
        let allowed: Vec<u64> = zam_runtime::role::ioctls(role).iter().map(|verb| u64::from(verb.0)).collect();
        let calls = format!(
            "join(',', map {{ syscall({}, fileno(F), 0x5a00 + $_, 0); $! + 0 }} 0..255) eq '{}' ? 1 : -1",
            libc::SYS_ioctl,
            (0..256).map(|low| if allowed.contains(&low) { "25" } else { "1" }).collect::<Vec<_>>().join(",")
        );
        assert_eq!((libc::ENOTTY, libc::EPERM), (25, 1));
        assert_eq!(errno(Some(role), &calls), 0, "{role:?}");
    }
}

#[test]
fn destroying_a_filesystem_is_refused_and_was_not_before() {
    assert_eq!(ioctl(None, 0x5a18), libc::ENOTTY);
    assert_eq!(ioctl(Some(Role::Snap), 0x5a18), libc::EPERM);
    assert_eq!(ioctl(Some(Role::Prune), 0x5a18), libc::EPERM);
}

/// R-RECV-5
#[test]
fn what_receives_neither_destroys_nor_releases_and_what_clears_does_nothing_else() {
    let clearing = |request: u64| {
        let walls = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("examples/behind-walls");
        let call = format!("syscall({}, fileno(F), {request}, 0); print $! + 0", libc::SYS_ioctl);
        let script = format!("open(F, '<', '/dev/null') or die; {call}");
        let output = Command::new(walls).args(["clearing", "perl", "-e", &script]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().parse::<i32>().unwrap()
    };
    // RECV_NEW, HOLD; DESTROY, RELEASE, DESTROY_SNAPS, the old RECV.
    for (request, receives, clears) in [
        (0x5a46, libc::ENOTTY, libc::EPERM),
        (0x5a30, libc::ENOTTY, libc::EPERM),
        (0x5a18, libc::EPERM, libc::ENOTTY),
        (0x5a31, libc::EPERM, libc::EPERM),
        (0x5a3b, libc::EPERM, libc::EPERM),
        (0x5a1b, libc::EPERM, libc::EPERM),
    ] {
        assert_eq!((ioctl(Some(Role::Recv), request), clearing(request)), (receives, clears), "{request:x}");
        assert_eq!(ioctl(None, request), libc::ENOTTY);
    }
}

/// R-UNIT-2
#[test]
fn only_what_sends_and_what_tells_has_sockets_to_other_machines() {
    let socket = |family: i32| format!("syscall({}, {family}, 1, 0)", libc::SYS_socket);
    for (family, sends) in [(libc::AF_INET, 0), (libc::AF_INET6, 0), (libc::AF_PACKET, libc::EPERM), (libc::AF_UNIX, 0)]
    {
        for role in [Role::Send, Role::Watch] {
            assert_eq!(errno(Some(role), &socket(family)), sends, "{role:?} {family}");
        }
        for role in [Role::Snap, Role::Prune, Role::Recv] {
            let wanted = if family == libc::AF_UNIX { 0 } else { libc::EPERM };
            assert_eq!(errno(Some(role), &socket(family)), wanted, "{role:?} {family}");
        }
    }
    assert_eq!(errno(None, &socket(libc::AF_INET)), 0);
}

#[test]
fn calls_that_no_role_makes_do_not_exist() {
    for call in [libc::SYS_mq_open, libc::SYS_shmget, libc::SYS_setxattr, libc::SYS_inotify_init1, libc::SYS_setuid] {
        let call = format!("syscall({call}, 0, 0, 0, 0, 0)");
        assert_eq!(errno(Some(Role::Snap), &call), libc::ENOSYS, "{call}");
        assert_ne!(errno(None, &call), libc::ENOSYS, "{call}");
    }
}

/// R-UNIT-6: files of others are neither read nor changed, nor is anything new made there, by root either; TCP goes nowhere.
#[test]
fn the_wall_of_files_leaves_a_role_its_own() {
    let walls = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("examples/behind-walls");
    let folder = tempfile::tempdir().unwrap();
    let (own, other) = (folder.path().join("own"), folder.path().join("other"));
    for path in [&own, &other] {
        std::fs::create_dir(path).unwrap();
        std::fs::write(path.join("file"), "secret").unwrap();
    }
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let connect = format!(
        "perl -MSocket -e 'socket(S,PF_INET,SOCK_STREAM,0); connect(S,pack_sockaddr_in({},inet_aton(\"127.0.0.1\"))) or exit 1'",
        port.local_addr().unwrap().port()
    );
    let tries = |folder: &std::path::Path, what: &str| what.replace("AT", folder.to_str().unwrap());
    for what in
        ["cat AT/file", "ls AT", "echo x >AT/file", "mkdir AT/new", "rm AT/new -r", "ln -s x AT/link", connect.as_str()]
    {
        let behind = |folder| {
            let run =
                Command::new(&walls).arg("files").arg(&own).args([":", "sh", "-c", &tries(folder, what)]).output();
            run.unwrap().status.code()
        };
        let refused = behind(&other);
        if refused == Some(125) {
            eprintln!("SKIPPED: this kernel has no Landlock; the lab's has");
            return;
        }
        assert!(matches!(refused, Some(1 | 2)), "{what}: {refused:?}");
        let to_others = what == connect;
        assert_eq!(behind(&own) == Some(0), !to_others, "{what}");
        assert!(Command::new("sh").args(["-c", &tries(&other, what)]).status().unwrap().success(), "control: {what}");
    }
}

/// R-RECV-11
#[test]
fn what_reads_the_network_starts_no_program() {
    let walls = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("examples/behind-walls");
    let run = |walls_of: &str| Command::new(&walls).args([walls_of, "true"]).output().unwrap();
    assert!(run("recv").status.success());
    let refused = run("bare");
    assert_eq!(refused.status.code(), Some(126));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("not permitted"), "{refused:?}");
}

#[test]
fn destroying_snapshots_is_for_prune_and_releasing_for_snap() {
    assert_eq!(ioctl(Some(Role::Prune), 0x5a3b), libc::ENOTTY);
    assert_eq!(ioctl(Some(Role::Snap), 0x5a3b), libc::EPERM);
    assert_eq!(ioctl(Some(Role::Prune), 0x5a31), libc::EPERM);
    assert_eq!(ioctl(Some(Role::Snap), 0x5a31), libc::ENOTTY);
}

#[test]
fn the_upper_half_of_the_number_does_not_get_around_it() {
    for upper in [1_u64 << 32, 0x5a3b << 32, 0xffff_ffff << 32] {
        assert_eq!(ioctl(None, upper | 0x5a18), libc::ENOTTY);
        assert_eq!(ioctl(Some(Role::Prune), upper | 0x5a18), libc::EPERM);
        assert_eq!(ioctl(Some(Role::Prune), upper | 0x5a3b), libc::ENOTTY);
    }
}

#[test]
fn other_ioctls_are_untouched() {
    for request in [0x5401, 0x59ff, 0x5b00, 0x5a18 << 8, 0x1_5a18] {
        assert_eq!(ioctl(Some(Role::Snap), request), libc::ENOTTY, "{request:x}");
    }
}

#[test]
fn programs_started_behind_the_walls_have_them_too() {
    let inner = format!("open(F, '<', '/dev/null'); syscall({}, fileno(F), 0x5a18, 0); print $! + 0", libc::SYS_ioctl);
    let output = run(Some(Role::Prune), &["sh", "-c", "true; perl -e \"$0\"; true", &inner]);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "1");
}

#[test]
fn no_namespaces() {
    let user = libc::CLONE_NEWUSER;
    // clone with a bad combination of flags, so that without the wall it fails as well, but otherwise
    let clone = format!("syscall({}, {}, 0, 0, 0, 0)", libc::SYS_clone, user | libc::CLONE_FS);
    assert_eq!(errno(None, &clone), libc::EINVAL);
    assert_eq!(errno(Some(Role::Snap), &clone), libc::EPERM);
    assert_eq!(errno(Some(Role::Snap), &format!("syscall({}, {user})", libc::SYS_unshare)), libc::EPERM);
    assert_eq!(errno(Some(Role::Snap), &format!("syscall({}, 0)", libc::SYS_unshare)), libc::EPERM);
    assert_eq!(errno(Some(Role::Snap), &format!("syscall({}, fileno(F), 0)", libc::SYS_setns)), libc::EPERM);
    let clone3 = format!("syscall({}, 0, 0)", libc::SYS_clone3);
    assert_eq!(errno(None, &clone3), libc::EINVAL);
    assert_eq!(errno(Some(Role::Snap), &clone3), libc::ENOSYS);
}

#[test]
fn no_ring_no_keys_no_mounts_no_tracing() {
    for call in [
        libc::SYS_io_uring_setup,
        libc::SYS_io_uring_enter,
        libc::SYS_io_uring_register,
        libc::SYS_bpf,
        libc::SYS_ptrace,
        libc::SYS_keyctl,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_fsopen,
        libc::SYS_init_module,
        libc::SYS_clock_settime,
    ] {
        assert_eq!(errno(Some(Role::Snap), &format!("syscall({call}, 0, 0, 0, 0, 0)")), libc::EPERM, "{call}");
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_x32_calls_do_not_exist() {
    for call in [libc::SYS_ioctl, 514, libc::SYS_getpid] {
        let x32 = format!("syscall({}, fileno(F), 0x5a18, 0)", call | 0x4000_0000);
        assert_eq!(errno(Some(Role::Prune), &x32), libc::ENOSYS);
    }
}

#[test]
fn no_new_privileges_and_ordinary_life_goes_on() {
    let output = run(Some(Role::Snap), &["sh", "-c", "grep -h NoNewPrivs /proc/self/status; ls / | wc -l; exit 3"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("NoNewPrivs:\t1\n"), "{text}");
    assert_eq!(output.status.code(), Some(3));
}
