//! The walls in the process, which every daemon puts around itself, and around all that it starts, before it serves anything.
//! They hold for root too.
//!
//! The wall of verbs is a seccomp filter: the calls that are known to be needed (`calls`), of ZFS's ioctls those of the role,
//! and sockets of the role's families. The wall of files is Landlock (`files`).

mod calls;
mod files;

pub use files::Reach;

use crate::{
    Role,
    role::{self, Verb},
};
use nix::{libc, sys::prctl, unistd};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};
use std::{collections::BTreeMap, fs, io, os::unix::process::CommandExt, process::Command};

/// Why the walls do not stand. A daemon that gets one ends.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// A filter holds for the thread that installs it and what that starts later.
    #[error("the sandbox must be there before the first thread: {0} threads run")]
    Threads(usize),
    /// The process cannot be looked at or changed.
    #[error("cannot {what}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The filter cannot be made on this machine.
    #[error("cannot make the seccomp filter")]
    Build(#[source] BackendError),
    /// The kernel does not take the filter.
    #[error("cannot install the seccomp filter")]
    Install(#[source] seccompiler::Error),
    /// The kernel has Landlock and does not take the rules.
    #[error("cannot put up the wall of files")]
    Landlock(#[source] landlock::RulesetError),
    /// This process has, or can get, more than a role may have.
    #[error("{0}")]
    TooMighty(String),
}

/// Where a daemon runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Footing {
    /// On this machine's ZFS, as the role's own user.
    Real,
    /// On simulated pools, as whoever tries it out.
    Simulated,
}

/// Puts up the wall of verbs for this process and all that it starts. To be called before any thread exists.
///
/// # Errors
/// If a thread exists already or the kernel refuses; then the daemon must not go on.
pub fn install(role: Role) -> Result<(), SandboxError> {
    put_up(&role::ioctls(role), &[], role::families(role))
}

/// The same for the process that clears what a receive left.
///
/// # Errors
/// Likewise.
pub fn install_for_clearing() -> Result<(), SandboxError> {
    put_up(&role::clearing(), &[], &[libc::AF_UNIX])
}

/// The same for a program that has no business with ZFS, and starts no other.
///
/// # Errors
/// Likewise.
pub fn install_bare() -> Result<(), SandboxError> {
    put_up(&[], &[libc::SYS_execve, libc::SYS_execveat], &[libc::AF_UNIX])
}

fn put_up(verbs: &[Verb], refused: &[i64], families: &[i32]) -> Result<(), SandboxError> {
    let threads = fs::read_dir("/proc/self/task").map_err(system("count the threads"))?.count();
    if threads != 1 {
        return Err(SandboxError::Threads(threads));
    }
    prctl::set_no_new_privs().map_err(|error| system("give up new privileges")(error.into()))?;
    for filter in filters(verbs, refused, families).map_err(SandboxError::Build)? {
        apply_filter(&filter).map_err(SandboxError::Install)?;
    }
    Ok(())
}

/// Checks that this process is not root and cannot become it. Not on simulated pools: there anybody may play any role.
///
/// # Errors
/// If it is, or could.
pub fn assert_lowly(role: Role, footing: Footing) -> Result<(), SandboxError> {
    let uid = unistd::geteuid();
    let (daemon, user) = (role.daemon(), role::user(role));
    if footing == Footing::Simulated {
        tracing::warn!(uid = uid.as_raw(), "simulated pools: {daemon} runs as whoever started it, not as {user}");
        return Ok(());
    }
    if uid.is_root() || unistd::getuid().is_root() {
        return Err(SandboxError::TooMighty(format!(
            "{daemon} does not run as root: its unit starts it as {user}; by hand: `setpriv --reuid={user} --regid={user} --clear-groups {daemon}`"
        )));
    }
    for set in [caps::CapSet::Permitted, caps::CapSet::Effective, caps::CapSet::Inheritable, caps::CapSet::Ambient] {
        let has = caps::read(None, set)
            .map_err(|error| system("read the capabilities")(io::Error::other(error.to_string())))?;
        if !has.is_empty() {
            return Err(SandboxError::TooMighty(format!(
                "{daemon} runs without capabilities, but has {has:?} ({set:?})"
            )));
        }
    }
    // By hand it is what the shell has, and no_new_privs, which comes next, keeps this process from all of it.
    let bounding = caps::read(None, caps::CapSet::Bounding)
        .map_err(|error| system("read the capabilities")(io::Error::other(error.to_string())))?;
    if std::env::var_os("NOTIFY_SOCKET").is_some() && !bounding.is_empty() {
        return Err(SandboxError::TooMighty(format!(
            "{daemon} runs under a unit that lets it regain {bounding:?}: the unit needs `CapabilityBoundingSet=`"
        )));
    }
    if unistd::setuid(unistd::Uid::from_raw(0)).is_ok() {
        return Err(SandboxError::TooMighty(format!("{daemon} could become root again")));
    }
    Ok(())
}

/// Runs a command behind the role's wall of verbs, in place of this process; for showing what they hold off.
/// Comes back only if that fails.
pub fn exec(role: Role, command: &[std::ffi::OsString]) -> SandboxError {
    let Some((program, args)) = command.split_first() else {
        return system("run nothing: name a command behind `--`")(io::ErrorKind::InvalidInput.into());
    };
    match install(role) {
        Ok(()) => system("run the command")(Command::new(program).args(args).exec()),
        Err(error) => error,
    }
}

fn system(what: &'static str) -> impl FnOnce(io::Error) -> SandboxError {
    move |source| SandboxError::System { what, source }
}

/// In the order in which they are installed: where two refuse, the later one says how.
fn filters(verbs: &[Verb], more: &[i64], families: &[i32]) -> Result<[BpfProgram; 2], BackendError> {
    let mut refused: BTreeMap<i64, Vec<SeccompRule>> =
        REFUSED.iter().chain(more).map(|&call| (call, Vec::new())).collect();
    refused.insert(libc::SYS_ioctl, vec![SeccompRule::new(ioctl_of_another(verbs)?)?]);
    refused.insert(libc::SYS_socket, vec![SeccompRule::new(family_of_another(families)?)?]);
    refused.insert(libc::SYS_clone, NAMESPACES.iter().map(|&flag| with_flag(flag)).collect::<Result<_, _>>()?);
    let known = compile(calls::known().map(|call| (call, Vec::new())).collect(), None)?;
    let refused = compile(refused, Some(libc::EPERM))?;
    Ok([known, refused])
}

/// A filter that refuses these so; or that lets these pass, and no others exist.
fn compile(rules: BTreeMap<i64, Vec<SeccompRule>>, errno: Option<i32>) -> Result<BpfProgram, BackendError> {
    // Another architecture than this one (32 bit programs) ends the process: seccompiler puts that test in front.
    let arch = std::env::consts::ARCH.try_into()?;
    let refuse = |errno: i32| SeccompAction::Errno(errno.unsigned_abs());
    let (others, these) = match errno {
        Some(errno) => (SeccompAction::Allow, refuse(errno)),
        None => (refuse(libc::ENOSYS), SeccompAction::Allow),
    };
    SeccompFilter::new(rules, others, these, arch)?.try_into()
}

/// A socket of a family that is none of these.
fn family_of_another(families: &[i32]) -> Result<Vec<SeccompCondition>, BackendError> {
    let other = |family: &i32| {
        SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, u64::from(family.unsigned_abs()))
    };
    families.iter().map(other).collect()
}

/// An ioctl of ZFS, `0x5a00` to `0x5aff`, that is none of these. Like the kernel, it looks at the low 32 bits only.
fn ioctl_of_another(verbs: &[Verb]) -> Result<Vec<SeccompCondition>, BackendError> {
    let low = |op, value| SeccompCondition::new(1, SeccompCmpArgLen::Dword, op, value);
    let of_zfs = low(SeccompCmpOp::MaskedEq(0xffff_ff00), ZFS_IOC_FIRST);
    let others = verbs.iter().map(|verb| low(SeccompCmpOp::Ne, ZFS_IOC_FIRST | u64::from(verb.0)));
    std::iter::once(of_zfs).chain(others).collect()
}

fn with_flag(flag: i32) -> Result<SeccompRule, BackendError> {
    let flag = u64::from(flag.unsigned_abs());
    SeccompRule::new(vec![SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(flag), flag)?])
}

const ZFS_IOC_FIRST: u64 = 0x5a00;

/// The kinds of namespaces that clone can make. (Time namespaces come from unshare and clone3 only.)
const NAMESPACES: [i32; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

/// What no role and no program that a role starts has any business with. None of it is among the known calls; these answer as
/// a refusal, and not as something that is missing.
const REFUSED: [i64; 46] = [
    // other namespaces, where this user would be root
    libc::SYS_unshare,
    libc::SYS_setns,
    // requests that no filter sees
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    // other processes
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // the kernel itself
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    // keys
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // the tree of files
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel makes of a call: runs the filter as it would.
    fn verdict(program: &BpfProgram, call: i64, second: u64) -> u32 {
        const ARCH: u32 = if cfg!(target_arch = "x86_64") { 0xc000_003e } else { 0xc000_00b7 };
        // seccomp_data: number, architecture, instruction pointer, six arguments.
        let mut data = [0_u32; 16];
        data[0] = u32::try_from(call).unwrap();
        data[1] = ARCH;
        data[6] = u32::try_from(second & 0xffff_ffff).unwrap();
        data[7] = u32::try_from(second >> 32).unwrap();
        let (mut at, mut a) = (0, 0);
        loop {
            let step = &program[at];
            let jump = |yes: bool| usize::from(if yes { step.jt } else { step.jf });
            at += 1 + match step.code {
                0x20 => {
                    a = data[step.k as usize / 4];
                    0
                }
                0x54 => {
                    a &= step.k;
                    0
                }
                0x05 => step.k as usize,
                0x15 => jump(a == step.k),
                0x25 => jump(a > step.k),
                0x35 => jump(a >= step.k),
                0x06 => return step.k,
                code => panic!("an instruction that is new here: {code:#x}"),
            };
        }
    }

    /// R-RECV-11: from inside it cannot be tried, since nothing is to be started there.
    #[test]
    fn what_reads_the_network_has_no_ioctl_of_zfs() {
        let bare = filters(&[], &[libc::SYS_execve, libc::SYS_execveat], &[libc::AF_UNIX]).unwrap();
        let snap = filters(&role::ioctls(Role::Snap), &[], &[libc::AF_UNIX]).unwrap();
        let passes = |filters: &[BpfProgram; 2], call, second| {
            filters.iter().all(|program| verdict(program, call, second) == libc::SECCOMP_RET_ALLOW)
        };
        for low in 0..256 {
            assert!(!passes(&bare, libc::SYS_ioctl, ZFS_IOC_FIRST | low), "{low:x}");
            assert!(!passes(&bare, libc::SYS_ioctl, 1 << 32 | ZFS_IOC_FIRST | low), "{low:x}");
        }
        // SNAPSHOT; and FIONREAD, which is not ZFS's.
        assert!(passes(&snap, libc::SYS_ioctl, 0x5a23) && !passes(&snap, libc::SYS_ioctl, 0x5a18));
        assert!(passes(&bare, libc::SYS_ioctl, 0x541b) && passes(&bare, libc::SYS_read, 0));
        for call in [libc::SYS_execve, libc::SYS_execveat, libc::SYS_unshare, libc::SYS_ptrace, libc::SYS_mq_open] {
            assert!(!passes(&bare, call, 0), "{call}");
        }
        assert!(passes(&snap, libc::SYS_execve, 0));
    }
}
