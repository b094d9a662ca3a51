//! An owned nvlist.

use crate::table::{Nvpair, RawList, RawPair};
use std::ffi::{CStr, CString, c_int};
use std::ptr;

/// `NV_UNIQUE_NAME` of `sys/nvpair.h`: adding a name again replaces its value.
const UNIQUE_NAME: u32 = 1;
/// `EINVAL`, for a text with a NUL in it.
const EINVAL: c_int = 22;

/// A list that is freed when it goes out of scope. Never null, except for [`List::received`] before a call filled it.
pub(crate) struct List<'lib> {
    nvpair: &'lib Nvpair,
    raw: *mut RawList,
}

impl<'lib> List<'lib> {
    pub(crate) fn new(nvpair: &'lib Nvpair) -> Result<Self, c_int> {
        let mut raw = ptr::null_mut();
        // SAFETY: `raw` is a place for one pointer, which the call sets to a new list of ours if it returns 0.
        done(unsafe { (nvpair.nvlist_alloc)(&mut raw, UNIQUE_NAME, 0) })?;
        Ok(Self { nvpair, raw })
    }

    /// A list for a call to give us: null until then.
    pub(crate) fn received(nvpair: &'lib Nvpair) -> Self {
        Self { nvpair, raw: ptr::null_mut() }
    }

    pub(crate) fn raw(&self) -> *mut RawList {
        self.raw
    }

    /// Where a call may put a list that is ours from then on. Only for [`List::received`], and once: what it held before
    /// would be lost.
    pub(crate) fn place(&mut self) -> *mut *mut RawList {
        debug_assert!(self.raw.is_null(), "a list would be lost");
        &mut self.raw
    }

    pub(crate) fn add_flag(&mut self, name: &str) -> Result<(), c_int> {
        let name = text(name)?;
        // SAFETY: the list is alive, the name ends with NUL; the call copies it.
        done(unsafe { (self.nvpair.nvlist_add_boolean)(self.raw, name.as_ptr()) })
    }

    pub(crate) fn add_text(&mut self, name: &str, value: &str) -> Result<(), c_int> {
        let (name, value) = (text(name)?, text(value)?);
        // SAFETY: the list is alive, both texts end with NUL; the call copies them.
        done(unsafe { (self.nvpair.nvlist_add_string)(self.raw, name.as_ptr(), value.as_ptr()) })
    }

    pub(crate) fn add_list(&mut self, name: &str, value: &List<'_>) -> Result<(), c_int> {
        let name = text(name)?;
        // SAFETY: both lists are alive, the name ends with NUL; the call copies it and the inner list.
        done(unsafe { (self.nvpair.nvlist_add_nvlist)(self.raw, name.as_ptr(), value.raw) })
    }

    /// The pairs whose value is an `int32`.
    pub(crate) fn int32s(&self) -> Vec<(String, i32)> {
        self.values(|pair| {
            let mut value = 0;
            // SAFETY: `pair` is of this list and alive; the call writes `value` only if the type is right.
            done(unsafe { (self.nvpair.nvpair_value_int32)(pair, &mut value) }).ok()?;
            Some(value)
        })
    }

    /// The pairs whose value is a `uint64`.
    pub(crate) fn uint64s(&self) -> Vec<(String, u64)> {
        self.values(|pair| {
            let mut value = 0;
            // SAFETY: as in `int32s`.
            done(unsafe { (self.nvpair.nvpair_value_uint64)(pair, &mut value) }).ok()?;
            Some(value)
        })
    }

    /// The number named `value` in the list of this name: the form of a property.
    pub(crate) fn property(&self, name: &CStr) -> Option<u64> {
        let (mut inner, mut value) = (ptr::null_mut(), 0);
        if self.raw.is_null() {
            return None;
        }
        // SAFETY: the list is alive, the names end with NUL; the inner list stays the outer one's, which outlives its use.
        unsafe {
            done((self.nvpair.nvlist_lookup_nvlist)(self.raw, name.as_ptr(), &mut inner)).ok()?;
            done((self.nvpair.nvlist_lookup_uint64)(inner, c"value".as_ptr(), &mut value)).ok()?;
        }
        Some(value)
    }

    fn values<T>(&self, value: impl Fn(*mut RawPair) -> Option<T>) -> Vec<(String, T)> {
        let mut found = Vec::new();
        if self.raw.is_null() {
            return found;
        }
        let mut pair: *mut RawPair = ptr::null_mut();
        loop {
            // SAFETY: the list is alive and nobody changes it; null asks for the first pair, a pair for the next one.
            pair = unsafe { (self.nvpair.nvlist_next_nvpair)(self.raw, pair) };
            if pair.is_null() {
                return found;
            }
            // SAFETY: the name is a NUL-terminated text inside the pair, and is copied before anything else happens.
            let name = unsafe { CStr::from_ptr((self.nvpair.nvpair_name)(pair)) }.to_string_lossy().into_owned();
            found.extend(value(pair).map(|value| (name, value)));
        }
    }
}

impl Drop for List<'_> {
    fn drop(&mut self) {
        if !self.raw.is_null() {
            // SAFETY: the list is ours, from `nvlist_alloc` or from a call that gave it to us, and is not used again.
            unsafe { (self.nvpair.nvlist_free)(self.raw) }
        }
    }
}

/// A text as C wants it.
pub(crate) fn text(text: &str) -> Result<CString, c_int> {
    CString::new(text).map_err(|_| EINVAL)
}

pub(crate) fn done(error: c_int) -> Result<(), c_int> {
    if error == 0 { Ok(()) } else { Err(error) }
}
