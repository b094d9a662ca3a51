//! The wall of files: Landlock, for this process and all that it starts. What people keep on their pools is no role's to
//! read, whoever may read it; what is not a role's own it writes nowhere. It holds for root too.

use super::{Footing, SandboxError};
use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus,
    path_beneath_rules,
};
use std::path::{Path, PathBuf};

/// What a process may touch, with all that lies below.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// To read and to run, beside what every program needs.
    pub read: Vec<PathBuf>,
    /// To read and to change.
    pub write: Vec<PathBuf>,
    /// Whether it may connect to other machines.
    pub connects: bool,
    /// Whether others may connect to it.
    pub listens: bool,
}

impl Reach {
    /// Of what runs on `footing`: on simulated pools, which anybody may have anywhere, it reads what its user may.
    #[must_use]
    pub fn of(footing: Footing) -> Self {
        let simulated = footing == Footing::Simulated;
        let mut read = Vec::from_iter(simulated.then(|| "/".into()));
        // This program is started again for what may hang.
        read.extend(std::env::current_exe().ok().and_then(|program| Some(program.parent()?.to_owned())));
        Self { read, ..Self::default() }
    }

    /// Puts up the wall, as far as this kernel can: false where it has no Landlock.
    ///
    /// # Errors
    /// If the kernel has it and refuses.
    pub fn confine(&self) -> Result<bool, SandboxError> {
        let confined = self.rules().map_err(SandboxError::Landlock)?;
        Ok(confined != RulesetStatus::NotEnforced)
    }

    fn rules(&self) -> Result<RulesetStatus, landlock::RulesetError> {
        let (read, all) = (AccessFs::from_read(ABI_OF_FILES), AccessFs::from_all(ABI_OF_FILES));
        let mut rules = Ruleset::default().set_compatibility(CompatLevel::BestEffort).handle_access(all)?;
        for (may, access) in [(self.connects, AccessNet::ConnectTcp), (self.listens, AccessNet::BindTcp)] {
            if !may {
                rules = rules.handle_access(access)?;
            }
        }
        let own = self.read.iter().map(PathBuf::as_path).chain(SYSTEM.iter().map(Path::new));
        let devices = AccessFs::ReadFile | AccessFs::WriteFile;
        let status = rules
            .create()?
            // Paths that are not there are left out.
            .add_rules(path_beneath_rules(own, read))?
            .add_rules(path_beneath_rules(DEVICES, devices))?
            .add_rules(path_beneath_rules(&self.write, all))?
            .restrict_self()?;
        Ok(status.ruleset)
    }
}

/// Later ones know more of what is done to devices, which is the wall of verbs' to judge.
const ABI_OF_FILES: ABI = ABI::V3;

/// Programs, libraries, what the system knows of itself; on other distributions than most, where those keep them.
const SYSTEM: [&str; 15] = [
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/proc", "/sys", "/dev", "/run", "/opt",
    "/nix", "/gnu",
];
/// What is opened to be written although it is no file.
const DEVICES: [&str; 3] = ["/dev/zfs", "/dev/null", "/dev/tty"];
