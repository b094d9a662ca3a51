//! The functions that are used of the two libraries, declared by hand after their headers (`libzfs_core.h`,
//! `sys/nvpair.h`; the same in OpenZFS 2.1 to 2.4), and found by name at run time.

use crate::OpenError;
use std::ffi::{c_char, c_int, c_uint};

/// An `nvlist_t`, known by address alone.
#[repr(C)]
pub(crate) struct RawList {
    _opaque: [u8; 0],
}

/// An `nvpair_t`, likewise; it belongs to its list.
#[repr(C)]
pub(crate) struct RawPair {
    _opaque: [u8; 0],
}

/// A `dmu_replay_record_t` in the order of its bytes; as aligned as its numbers.
#[repr(C, align(8))]
pub(crate) struct RawRecord(pub(crate) [u8; 312]);

/// A struct of function pointers with a loader.
macro_rules! table {
    ($(#[$doc:meta])* $table:ident from $soname:literal {
        $($name:ident: fn($($argument:ty),*) $(-> $result:ty)?;)*
    }) => {
        $(#[$doc])*
        pub(crate) struct $table {
            $(pub(crate) $name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
            // Declared last: the functions above must not outlive the library they are in.
            _library: libloading::Library,
        }

        impl $table {
            pub(crate) fn load() -> Result<Self, OpenError> {
                let missing = |source| OpenError::Library { soname: $soname, source };
                // SAFETY: loading runs the initialisers of this library and of those it needs. The soname is OpenZFS's
                // own; its initialisers touch nothing but their own data.
                let library = unsafe { libloading::Library::new($soname) }.map_err(missing)?;
                $(
                    // SAFETY: the type is the one which the header of this soname declares for this name.
                    let $name = *unsafe {
                        library.get::<unsafe extern "C" fn($($argument),*) $(-> $result)?>(stringify!($name))
                    }
                    .map_err(missing)?;
                )*
                Ok(Self { $($name,)* _library: library })
            }
        }
    };
}

table! {
    /// libzfs_core: each function is one ioctl. All return an error number, or 0.
    Core from "libzfs_core.so.3" {
        libzfs_core_init: fn() -> c_int;
        libzfs_core_fini: fn();
        // snapshots to make, properties (may be null), where to put the errors
        lzc_snapshot: fn(*mut RawList, *mut RawList, *mut *mut RawList) -> c_int;
        // snapshots to destroy, a `boolean_t` (an enum) for "defer", where to put the errors
        lzc_destroy_snaps: fn(*mut RawList, c_int, *mut *mut RawList) -> c_int;
        // snapshot => tag, a cleanup descriptor or -1, where to put the errors
        lzc_hold: fn(*mut RawList, c_int, *mut *mut RawList) -> c_int;
        // snapshot => list of tags, where to put the errors
        lzc_release: fn(*mut RawList, *mut *mut RawList) -> c_int;
        // snapshot, where to put the tags
        lzc_get_holds: fn(*const c_char, *mut *mut RawList) -> c_int;
        // a `boolean_t`
        lzc_exists: fn(*const c_char) -> c_int;
        // snapshot, base or null, where to write, `enum lzc_send_flags`
        lzc_send: fn(*const c_char, *const c_char, c_int, c_uint) -> c_int;
        // the same, and the object and offset where to go on
        lzc_send_resume: fn(*const c_char, *const c_char, c_int, c_uint, u64, u64) -> c_int;
        // snapshot, base or null, flags, where to put the bytes
        lzc_send_space: fn(*const c_char, *const c_char, c_uint, *mut u64) -> c_int;
        // snapshot, properties (may be null), origin (may be null), three `boolean_t` for "force", "resumable" and "raw",
        // where to read, the first record, which was read already
        lzc_receive_with_header: fn(
            *const c_char, *mut RawList, *const c_char, c_int, c_int, c_int, c_int, *const RawRecord
        ) -> c_int;
        // dataset, `enum lzc_dataset_type`, properties (may be null), wrapping key (may be null) and its length
        lzc_create: fn(*const c_char, c_uint, *mut RawList, *mut u8, c_uint) -> c_int;
        // bookmark => snapshot, where to put the errors
        lzc_bookmark: fn(*mut RawList, *mut *mut RawList) -> c_int;
        // bookmark, where to put its properties
        lzc_get_bookmark_props: fn(*const c_char, *mut *mut RawList) -> c_int;
        // bookmarks to destroy, where to put the errors
        lzc_destroy_bookmarks: fn(*mut RawList, *mut *mut RawList) -> c_int;
    }
}

table! {
    /// libnvpair: the lists of named values that libzfs_core takes and gives. Those that return a number return an error
    /// number, or 0.
    Nvpair from "libnvpair.so.3" {
        nvlist_alloc: fn(*mut *mut RawList, c_uint, c_int) -> c_int;
        nvlist_free: fn(*mut RawList);
        nvlist_add_boolean: fn(*mut RawList, *const c_char) -> c_int;
        nvlist_add_string: fn(*mut RawList, *const c_char, *const c_char) -> c_int;
        nvlist_add_nvlist: fn(*mut RawList, *const c_char, *mut RawList) -> c_int;
        nvlist_next_nvpair: fn(*mut RawList, *mut RawPair) -> *mut RawPair;
        nvpair_name: fn(*mut RawPair) -> *const c_char;
        nvpair_value_int32: fn(*mut RawPair, *mut i32) -> c_int;
        nvpair_value_uint64: fn(*mut RawPair, *mut u64) -> c_int;
        nvlist_lookup_nvlist: fn(*mut RawList, *const c_char, *mut *mut RawList) -> c_int;
        nvlist_lookup_uint64: fn(*mut RawList, *const c_char, *mut u64) -> c_int;
    }
}
