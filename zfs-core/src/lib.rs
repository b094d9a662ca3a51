//! libzfs_core and libnvpair, loaded at run time: the one crate with unsafe code. It knows the verbs of the roles, each of
//! which is one ioctl, whatever the number of names. It has no way to destroy anything but snapshots and bookmarks, none to
//! mark a snapshot for a later, deferred destroy, and none to receive by force or with properties.
//!
//! The names must be of one pool per call; the callers' name types see to it that they are names.
#![allow(unsafe_code)]
#![deny(unsafe_op_in_unsafe_fn)]

mod copy;
mod list;
mod table;

pub use copy::{RECORD, SendFlags};

use list::List;
use std::ptr;
use table::{Core, Nvpair};

/// Why the libraries cannot be used; the caller then goes by way of the command line.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A library is not installed, or lacks a function that every known OpenZFS has.
    #[error("cannot load {soname}")]
    Library {
        /// Which library.
        soname: &'static str,
        /// What the dynamic linker said.
        #[source]
        source: libloading::Error,
    },
    /// `/dev/zfs` cannot be opened: no kernel module, or no permission.
    #[error("cannot open /dev/zfs")]
    Device(#[source] std::io::Error),
}

/// What a call reported besides plain success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What the call as a whole returned. It may be 0: then every name that is not in `each` was done. Otherwise none was
    /// (except that OpenZFS after 2.4 may destroy a part of a batch).
    pub errno: i32,
    /// Error numbers of single names; may be empty, and may be incomplete, since most verbs stop at the first bad name.
    pub each: Vec<(String, i32)>,
}

/// `ENOENT`
const ENOENT: i32 = 2;
/// `ESRCH`, which ZFS itself does not use here: see [`Library::release`].
const ESRCH: i32 = 3;
/// The entry that says how many more errors there were than fit into the answer; not a name.
const MORE_ERRORS: &str = "N_MORE_ERRORS";

/// The two libraries, with `/dev/zfs` open (close-on-exec).
///
/// Several threads may use one at once: libzfs_core keeps nothing between calls but that descriptor, guards opening and
/// closing it with a lock, and promises as much in its head comment; the lists that it takes and gives are never shared.
pub struct Library {
    core: Core,
    nvpair: Nvpair,
}

impl Library {
    /// Loads the libraries and opens `/dev/zfs`.
    ///
    /// # Errors
    /// If a library or a function is missing, or the device cannot be opened.
    pub fn open() -> Result<Self, OpenError> {
        let nvpair = Nvpair::load()?;
        let core = Core::load()?;
        // SAFETY: takes nothing; counts its users, so that each call here is paired with one of `libzfs_core_fini`.
        match unsafe { (core.libzfs_core_init)() } {
            0 => Ok(Self { core, nvpair }),
            errno => Err(OpenError::Device(std::io::Error::from_raw_os_error(errno))),
        }
    }

    /// Takes all these snapshots in one transaction, or none.
    ///
    /// # Errors
    /// With an error number per name where ZFS got so far as to look at each (not if permission is missing).
    pub fn snapshot(&self, names: &[&str]) -> Result<(), Failure> {
        let names = self.flags(names)?;
        let mut errors = List::received(&self.nvpair);
        // SAFETY: the list of names is alive and only read; no properties; the list of errors becomes ours.
        let errno = unsafe { (self.core.lzc_snapshot)(names.raw(), ptr::null_mut(), errors.place()) };
        result(errno, errors.int32s())
    }

    /// Destroys all these snapshots, or none (OpenZFS after 2.4: or some of them). A missing one is passed over in silence.
    ///
    /// # Errors
    /// With an error number per name where ZFS got so far as to look at each: `EBUSY` for held, `EEXIST` for cloned.
    pub fn destroy_snaps(&self, names: &[&str]) -> Result<(), Failure> {
        const DEFER: i32 = 0;
        // A name without `@` is refused by the kernel too; there is no reason to ask it.
        if let Some(name) = names.iter().find(|name| !name.contains('@')) {
            return Err(Failure { errno: 22, each: vec![((*name).to_owned(), 22)] });
        }
        let names = self.flags(names)?;
        let mut errors = List::received(&self.nvpair);
        // SAFETY: the list of names is alive and only read; the list of errors becomes ours.
        let errno = unsafe { (self.core.lzc_destroy_snaps)(names.raw(), DEFER, errors.place()) };
        result(errno, errors.int32s())
    }

    /// Puts a hold on all these snapshots, in one transaction.
    ///
    /// # Errors
    /// With `errno` 0 (or `ENOENT` if none is left) and `ENOENT` for each missing snapshot, the others then being held;
    /// with another `errno` and the first name that it concerns (`EEXIST`: it has this tag already), none then being held.
    pub fn hold(&self, tag: &str, names: &[&str]) -> Result<(), Failure> {
        // No descriptor at whose closing the holds would go: they stay.
        const CLEANUP_FD: i32 = -1;
        let mut holds = self.list()?;
        for name in names {
            holds.add_text(name, tag).map_err(whole)?;
        }
        let mut errors = List::received(&self.nvpair);
        // SAFETY: the list of holds is alive and only read; the list of errors becomes ours.
        let errno = unsafe { (self.core.lzc_hold)(holds.raw(), CLEANUP_FD, errors.place()) };
        result(errno, errors.int32s())
    }

    /// Takes a hold off all these snapshots, in one transaction.
    ///
    /// # Errors
    /// With `errno` 0 (or `ENOENT` if none is left) and, of those that could not be released, `ENOENT` where the snapshot
    /// is missing and `ESRCH` where only the tag is; the others then are released.
    pub fn release(&self, tag: &str, names: &[&str]) -> Result<(), Failure> {
        let tags = self.flags(&[tag])?;
        let mut holds = self.list()?;
        for name in names {
            holds.add_list(name, &tags).map_err(whole)?;
        }
        let mut errors = List::received(&self.nvpair);
        // SAFETY: the list of holds is alive and only read; the list of errors becomes ours.
        let errno = unsafe { (self.core.lzc_release)(holds.raw(), errors.place()) };
        result(errno, errors.int32s().into_iter().map(|(key, errno)| told_apart(key, errno)).collect())
    }

    /// The tags on a snapshot, with the time when each was put there. One ioctl, no right needed.
    ///
    /// # Errors
    /// The error number: `ENOENT` if the snapshot is missing.
    pub fn get_holds(&self, name: &str) -> Result<Vec<(String, u64)>, i32> {
        let name = list::text(name)?;
        let mut holds = List::received(&self.nvpair);
        // SAFETY: the name ends with NUL and is only read; the list of holds becomes ours.
        match unsafe { (self.core.lzc_get_holds)(name.as_ptr(), holds.place()) } {
            0 => Ok(holds.uint64s()),
            errno => Err(errno),
        }
    }

    /// Whether a dataset or snapshot of this name is there, as far as the caller may see. One ioctl, no right needed.
    #[must_use]
    pub fn exists(&self, name: &str) -> bool {
        // SAFETY: the name ends with NUL and is only read.
        list::text(name).is_ok_and(|name| unsafe { (self.core.lzc_exists)(name.as_ptr()) } != 0)
    }

    fn list(&self) -> Result<List<'_>, Failure> {
        List::new(&self.nvpair).map_err(whole)
    }

    fn flags(&self, names: &[&str]) -> Result<List<'_>, Failure> {
        let mut list = self.list()?;
        names.iter().try_for_each(|name| list.add_flag(name)).map_err(whole)?;
        Ok(list)
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        // SAFETY: pairs the call of `libzfs_core_init` in `open`; the functions are not used after it.
        unsafe { (self.core.libzfs_core_fini)() }
    }
}

fn whole(errno: i32) -> Failure {
    Failure { errno, each: Vec::new() }
}

fn result(errno: i32, mut each: Vec<(String, i32)>) -> Result<(), Failure> {
    each.retain(|(name, errno)| *errno != 0 && name != MORE_ERRORS);
    if errno == 0 && each.is_empty() { Ok(()) } else { Err(Failure { errno, each }) }
}

/// `lzc_release` names a missing tag `snapshot#tag`, with the same number as a missing snapshot.
fn told_apart(key: String, errno: i32) -> (String, i32) {
    match key.split_once('#') {
        Some((name, _)) => (name.to_owned(), if errno == ENOENT { ESRCH } else { errno }),
        None => (key, errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_success_with_errors_for_some_is_told() {
        assert_eq!(result(0, vec![]), Ok(()));
        let some = result(0, vec![("p@a".into(), 2), (MORE_ERRORS.into(), 7)]);
        assert_eq!(some, Err(Failure { errno: 0, each: vec![("p@a".into(), 2)] }));
        assert_eq!(result(1, vec![]), Err(whole(1)));
    }

    #[test]
    fn a_missing_tag_is_not_a_missing_snapshot() {
        assert_eq!(told_apart("p@a#zam".into(), 2), ("p@a".to_owned(), 3));
        assert_eq!(told_apart("p@a".into(), 2), ("p@a".to_owned(), 2));
    }

    #[test]
    fn without_zfs_the_failure_names_the_library_or_the_device() {
        if let Err(error) = Library::open() {
            let text = error.to_string();
            assert!(text.contains("libnvpair.so.3") || text.contains("libzfs_core.so.3") || text.contains("/dev/zfs"));
        }
    }
}
