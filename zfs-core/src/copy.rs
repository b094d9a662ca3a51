//! Streams, bookmarks, and the filesystems that streams are received below.

use crate::list::{self, List};
use crate::table::RawRecord;
use crate::{Failure, Library, result, whole};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

/// Bytes of a stream's first record.
pub const RECORD: usize = 312;

/// How a stream is made (`enum lzc_send_flags`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendFlags {
    /// Blocks that lie in their pointer as they are.
    pub embedded: bool,
    /// Blocks above 128 KiB as they are.
    pub large_blocks: bool,
    /// Compressed blocks as they are.
    pub compressed: bool,
    /// Encrypted blocks as they are.
    pub raw: bool,
}

impl SendFlags {
    fn bits(self) -> u32 {
        let bits = [self.embedded, self.large_blocks, self.compressed, self.raw];
        bits.iter().enumerate().map(|(at, set)| u32::from(*set) << at).sum()
    }
}

impl Library {
    /// Writes the stream of a snapshot, from a snapshot or bookmark or from nothing, until its end; from where a cut one
    /// goes on (object and offset) if that is said. Blocks for as long as it takes.
    ///
    /// # Errors
    /// The error number: `EXDEV` if the base is no earlier one of the same line, `EACCES` if a key is missing, `EPIPE` if
    /// nobody reads any more.
    pub fn send(
        &self,
        name: &str,
        from: Option<&str>,
        out: BorrowedFd<'_>,
        flags: SendFlags,
        resume: Option<(u64, u64)>,
    ) -> Result<(), i32> {
        let (name, from) = (list::text(name)?, from.map(list::text).transpose()?);
        let from = from.as_ref().map_or(ptr::null(), |from| from.as_ptr());
        let (fd, flags) = (out.as_raw_fd(), flags.bits());
        // SAFETY: both names end with NUL (or the base is null) and are only read; the descriptor is open all the time.
        list::done(unsafe {
            match resume {
                None => (self.core.lzc_send)(name.as_ptr(), from, fd, flags),
                Some((object, offset)) => (self.core.lzc_send_resume)(name.as_ptr(), from, fd, flags, object, offset),
            }
        })
    }

    /// About how many bytes that stream will have. No right needed.
    ///
    /// # Errors
    /// The error number.
    pub fn send_space(&self, name: &str, from: Option<&str>, flags: SendFlags) -> Result<u64, i32> {
        let (name, from) = (list::text(name)?, from.map(list::text).transpose()?);
        let from = from.as_ref().map_or(ptr::null(), |from| from.as_ptr());
        let mut bytes = 0;
        // SAFETY: both names end with NUL (or the base is null) and are only read; `bytes` is a place for the answer.
        list::done(unsafe { (self.core.lzc_send_space)(name.as_ptr(), from, flags.bits(), &mut bytes) })?;
        Ok(bytes)
    }

    /// Receives the stream whose first record was read already, and what follows it comes from a pipe, as this snapshot:
    /// never by force, without properties, so that it can go on when it is cut. Blocks for as long as it takes.
    ///
    /// # Errors
    /// The error number: `ETXTBSY` if the dataset has changed, `ENODEV` if the base is missing, `EBADE` for a wrong checksum.
    pub fn receive(&self, name: &str, raw: bool, record: &[u8; RECORD], from: BorrowedFd<'_>) -> Result<(), i32> {
        const NO_FORCE: i32 = 0;
        const RESUMABLE: i32 = 1;
        let (name, record, fd) = (list::text(name)?, RawRecord(*record), from.as_raw_fd());
        // SAFETY: the name ends with NUL and the record has the length and alignment of a `dmu_replay_record_t`; both are
        // only read. No properties, no origin. The descriptor is open all the time.
        list::done(unsafe {
            (self.core.lzc_receive_with_header)(
                name.as_ptr(),
                ptr::null_mut(),
                ptr::null(),
                NO_FORCE,
                RESUMABLE,
                raw.into(),
                fd,
                &record,
            )
        })
    }

    /// Makes an empty filesystem. It is not mounted.
    ///
    /// # Errors
    /// The error number: `EEXIST` if it is there, `ENOENT` if its parent is not.
    pub fn create_filesystem(&self, name: &str) -> Result<(), i32> {
        const FILESYSTEM: u32 = 2;
        let name = list::text(name)?;
        // SAFETY: the name ends with NUL and is only read; no properties, no key.
        list::done(unsafe { (self.core.lzc_create)(name.as_ptr(), FILESYSTEM, ptr::null_mut(), ptr::null_mut(), 0) })
    }

    /// Makes all these bookmarks, each of its snapshot, in one transaction.
    ///
    /// # Errors
    /// With an error number per bookmark where ZFS got so far as to look at each: `EEXIST` where one is there.
    pub fn bookmark(&self, marks: &[(&str, &str)]) -> Result<(), Failure> {
        let mut list = self.list()?;
        marks.iter().try_for_each(|(mark, snapshot)| list.add_text(mark, snapshot)).map_err(whole)?;
        let mut errors = List::received(&self.nvpair);
        // SAFETY: the list of bookmarks is alive and only read; the list of errors becomes ours.
        let errno = unsafe { (self.core.lzc_bookmark)(list.raw(), errors.place()) };
        result(errno, errors.int32s())
    }

    /// Whose bookmark this is. No right needed.
    ///
    /// # Errors
    /// The error number: `ENOENT` if it is missing.
    pub fn bookmark_guid(&self, name: &str) -> Result<u64, i32> {
        const EINVAL: i32 = 22;
        let name = list::text(name)?;
        let mut props = List::received(&self.nvpair);
        // SAFETY: the name ends with NUL and is only read; the list of properties becomes ours.
        list::done(unsafe { (self.core.lzc_get_bookmark_props)(name.as_ptr(), props.place()) })?;
        props.property(c"guid").ok_or(EINVAL)
    }

    /// Destroys all these bookmarks in one transaction. A missing one is passed over in silence.
    ///
    /// # Errors
    /// With an error number per bookmark where ZFS got so far as to look at each.
    pub fn destroy_bookmarks(&self, names: &[&str]) -> Result<(), Failure> {
        let names = self.flags(names)?;
        let mut errors = List::received(&self.nvpair);
        // SAFETY: the list of names is alive and only read; the list of errors becomes ours.
        let errno = unsafe { (self.core.lzc_destroy_bookmarks)(names.raw(), errors.place()) };
        result(errno, errors.int32s())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_are_those_of_the_header() {
        let none = SendFlags::default();
        assert_eq!(none.bits(), 0);
        assert_eq!(SendFlags { embedded: true, ..none }.bits(), 1);
        assert_eq!(SendFlags { large_blocks: true, ..none }.bits(), 2);
        assert_eq!(SendFlags { compressed: true, ..none }.bits(), 4);
        assert_eq!(SendFlags { raw: true, ..none }.bits(), 8);
        assert_eq!((size_of::<RawRecord>(), align_of::<RawRecord>()), (RECORD, 8));
    }
}
