//! The first record of a stream: the gate in front of the kernel, which reads all the rest (`dmu_replay_record_t` and
//! `struct drr_begin` of OpenZFS's `sys/zfs_ioctl.h`).

use super::ReceiveStep;
use zam_names::{Guid, Kind, UnixTime};

/// Bytes of a record.
pub(crate) const LENGTH: usize = 312;
/// A record as it came.
pub(crate) type Record = [u8; LENGTH];

/// The record's own type, of which BEGIN is the first.
const BEGIN: u32 = 0;
const MAGIC: u64 = 0x0002_f5ba_cbac;
/// What the two lowest bits of the version say: one stream, or a package of several.
const SINGLE: u64 = 1;
const PACKAGE: u64 = 2;
/// `dmu_objset_type_t`
const FILESYSTEM: u32 = 2;
const VOLUME: u32 = 3;
/// `DRR_FLAG_CLONE`: the base is another dataset's.
const CLONE: u32 = 1;
/// What else a flag may say, harmlessly: case-insensitive data, with free records, with marked spill blocks.
const KNOWN_FLAGS: u32 = 1 << 1 | 1 << 2 | 1 << 3;
/// What follows the record where it must: the keys' wrapping, or where to go on.
const MAX_PAYLOAD: u32 = 64 << 10;

pub(crate) const EMBED_DATA: u64 = 1 << 16;
pub(crate) const LARGE_BLOCKS: u64 = 1 << 19;
pub(crate) const RESUMING: u64 = 1 << 20;
pub(crate) const COMPRESSED: u64 = 1 << 22;
pub(crate) const RAW: u64 = 1 << 24;
/// Besides those: SA_SPILL, LZ4, LARGE_DNODE, ZSTD, SWITCH_TO_LARGE_BLOCKS, LONGNAME, LARGE_MICROZAP. Left out are the two of
/// deduplicated streams, redaction, and holds (which only a package carries).
const KNOWN_FEATURES: u64 = EMBED_DATA
    | LARGE_BLOCKS
    | RESUMING
    | COMPRESSED
    | RAW
    | 1 << 2
    | 1 << 17
    | 1 << 23
    | 1 << 25
    | 1 << 27
    | 1 << 28
    | 1 << 29;

/// What a record says of the snapshot it starts, in the order of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Begin {
    payload: u32,
    version: u64,
    pub(crate) creation: u64,
    kind: u32,
    flags: u32,
    pub(crate) to: Guid,
    pub(crate) from: Option<Guid>,
}

impl Begin {
    /// Reads a record; says what it is instead if it does not begin a single stream of this machine's byte order.
    pub(crate) fn read(record: &Record) -> Result<Self, String> {
        let u32_at = |at: usize| u32::from_ne_bytes(std::array::from_fn(|byte| record[at + byte]));
        let u64_at = |at: usize| u64::from_ne_bytes(std::array::from_fn(|byte| record[at + byte]));
        match u64_at(8) {
            MAGIC if u32_at(0) == BEGIN => {}
            swapped if swapped.swap_bytes() == MAGIC => return Err("it comes from the other byte order".to_owned()),
            _ => return Err("it does not begin a stream".to_owned()),
        }
        let begin = Self {
            payload: u32_at(4),
            version: u64_at(16),
            creation: u64_at(24),
            kind: u32_at(32),
            flags: u32_at(36),
            to: Guid(u64_at(40)),
            from: Some(Guid(u64_at(48))).filter(|guid| guid.0 != 0),
        };
        match begin.version & 3 {
            SINGLE => {}
            PACKAGE => return Err("it is a package of several streams".to_owned()),
            other => return Err(format!("its kind of header is {other}")),
        }
        if !record[56..].contains(&0) {
            return Err("its name does not end".to_owned());
        }
        Ok(begin)
    }

    /// Says in what this is not what was announced.
    pub(crate) fn check(&self, step: &ReceiveStep) -> Result<(), String> {
        let features = self.version >> 2;
        let unknown = features & !KNOWN_FEATURES;
        let kind = match step.kind {
            Kind::Filesystem => FILESYSTEM,
            Kind::Volume => VOLUME,
        };
        let has = |feature: u64| features & feature != 0;
        let unlike = |what: &str, is: &dyn std::fmt::Display| Err(format!("{what} {is}"));
        match () {
            () if unknown != 0 => unlike("it has unknown features", &format!("{unknown:#x}")),
            () if self.flags & CLONE != 0 => Err("it makes a clone".to_owned()),
            () if self.flags & !KNOWN_FLAGS != 0 => unlike("it has unknown flags", &format!("{:#x}", self.flags)),
            () if self.to != step.guid => unlike("it brings the snapshot with GUID", &self.to),
            () if self.from != step.from => unlike("it builds on GUID", &self.from.unwrap_or(Guid(0))),
            () if self.kind != kind => unlike("it holds a dataset of type", &self.kind),
            () if has(RAW) != step.raw => Err(if step.raw { "it is not raw" } else { "it is raw" }.to_owned()),
            () if has(RESUMING) != step.resume => {
                Err(if step.resume { "it starts anew" } else { "it goes on where another ended" }.to_owned())
            }
            () if self.payload > MAX_PAYLOAD || (self.payload > 0 && !has(RAW | RESUMING)) => {
                unlike("too much follows its first record:", &self.payload)
            }
            () => Ok(()),
        }
    }

    /// The record for a stream of the simulated pool.
    pub(crate) fn new(kind: Kind, to: Guid, from: Option<Guid>, creation: u64, features: u64) -> Self {
        let kind = match kind {
            Kind::Filesystem => FILESYSTEM,
            Kind::Volume => VOLUME,
        };
        Self { payload: 0, version: SINGLE | features << 2, creation, kind, flags: 1 << 2, to, from }
    }

    /// The date that the snapshot gets, as its source says.
    pub(crate) fn created(&self) -> UnixTime {
        // What is beyond all dates is as far ahead as can be.
        UnixTime(self.creation.try_into().unwrap_or(i64::MAX))
    }

    /// Whether it says that its blocks are raw.
    pub(crate) fn is_raw(&self) -> bool {
        (self.version >> 2) & RAW != 0
    }

    /// As it stands in a stream.
    pub(crate) fn record(&self, to_name: &str) -> Record {
        let mut record = [0; LENGTH];
        let mut put = |at: usize, bytes: &[u8]| record[at..at + bytes.len()].copy_from_slice(bytes);
        put(4, &self.payload.to_ne_bytes());
        put(8, &MAGIC.to_ne_bytes());
        put(16, &self.version.to_ne_bytes());
        put(24, &self.creation.to_ne_bytes());
        put(32, &self.kind.to_ne_bytes());
        put(36, &self.flags.to_ne_bytes());
        put(40, &self.to.0.to_ne_bytes());
        put(48, &self.from.map_or(0, |guid| guid.0).to_ne_bytes());
        put(56, &to_name.as_bytes()[..to_name.len().min(LENGTH - 57)]);
        record
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;
    use proptest::prelude::*;

    const TO: Guid = Guid(0x1111_2222_3333_4444);
    const BASE: Guid = Guid(7);

    fn step() -> ReceiveStep {
        let (dataset, tag) = ("tank/a".parse().unwrap(), "x".parse().unwrap());
        ReceiveStep { dataset, tag, guid: TO, from: Some(BASE), raw: false, kind: Kind::Filesystem, resume: false }
    }

    fn begin(features: u64) -> Begin {
        Begin::new(Kind::Filesystem, TO, Some(BASE), 1_795_333_700, features)
    }

    /// What the gate says of a record with one word of it changed.
    fn verdict(change: impl Fn(&mut Record), step: &ReceiveStep) -> Result<(), String> {
        let mut record = begin(EMBED_DATA | COMPRESSED | LARGE_BLOCKS | 1 << 2 | 1 << 17).record("tank/source@x");
        change(&mut record);
        Begin::read(&record)?.check(step)
    }

    fn put(at: usize, bytes: &[u8]) -> impl Fn(&mut Record) {
        move |record| record[at..at + bytes.len()].copy_from_slice(bytes)
    }

    #[test]
    fn the_announced_stream_passes() {
        assert_eq!(verdict(|_| {}, &step()), Ok(()));
        let full = ReceiveStep { from: None, kind: Kind::Volume, ..step() };
        let record = Begin::new(Kind::Volume, TO, None, 1, 0).record("v@x");
        assert_eq!(Begin::read(&record).unwrap().check(&full), Ok(()));
        let raw = ReceiveStep { raw: true, resume: true, ..step() };
        let mut going_on = begin(RAW | RESUMING | COMPRESSED);
        going_on.payload = 1200;
        assert_eq!(Begin::read(&going_on.record("x")).unwrap().check(&raw), Ok(()));
        assert_eq!(Begin::read(&going_on.record("x")), Ok(going_on));
    }

    #[test]
    fn what_is_no_single_stream_is_refused() {
        for (at, bytes, why) in [
            (0, 1_u32.to_ne_bytes().to_vec(), "it does not begin a stream"),
            (8, (MAGIC + 1).to_ne_bytes().to_vec(), "it does not begin a stream"),
            (8, MAGIC.swap_bytes().to_ne_bytes().to_vec(), "it comes from the other byte order"),
            (16, 2_u64.to_ne_bytes().to_vec(), "it is a package of several streams"),
            (16, 3_u64.to_ne_bytes().to_vec(), "its kind of header is 3"),
            (16, 0_u64.to_ne_bytes().to_vec(), "its kind of header is 0"),
            (56, vec![b'a'; 256], "its name does not end"),
        ] {
            assert_eq!(verdict(put(at, &bytes), &step()), Err(why.to_owned()), "{at}");
        }
        assert!(verdict(|record| record.reverse(), &step()).is_err());
        assert!(Begin::read(&[0; LENGTH]).is_err() && Begin::read(&[0xff; LENGTH]).is_err());
    }

    #[test]
    fn another_stream_than_the_announced_one_is_refused() {
        let features = |bits: u64| (SINGLE | bits << 2).to_ne_bytes().to_vec();
        for (at, bytes, why) in [
            (16, features(1 << 0), "it has unknown features 0x1"),
            (16, features(1 << 21), "it has unknown features 0x200000"),
            (16, features(1 << 26), "it has unknown features 0x4000000"),
            (16, features(1 << 30), "it has unknown features 0x40000000"),
            (16, features(1 << 61), "it has unknown features 0x2000000000000000"),
            (16, features(RAW), "it is raw"),
            (16, features(RESUMING), "it goes on where another ended"),
            (36, 5_u32.to_ne_bytes().to_vec(), "it makes a clone"),
            (36, (1_u32 << 24).to_ne_bytes().to_vec(), "it has unknown flags 0x1000000"),
            (40, 9_u64.to_ne_bytes().to_vec(), "it brings the snapshot with GUID 9"),
            (48, 9_u64.to_ne_bytes().to_vec(), "it builds on GUID 9"),
            (48, 0_u64.to_ne_bytes().to_vec(), "it builds on GUID 0"),
            (32, 3_u32.to_ne_bytes().to_vec(), "it holds a dataset of type 3"),
            (32, 1_u32.to_ne_bytes().to_vec(), "it holds a dataset of type 1"),
            (4, 8_u32.to_ne_bytes().to_vec(), "too much follows its first record: 8"),
        ] {
            assert_eq!(verdict(put(at, &bytes), &step()), Err(why.to_owned()), "{at}");
        }
        let announced = |raw, resume, from| ReceiveStep { raw, resume, from, ..step() };
        assert_eq!(verdict(|_| {}, &announced(true, false, Some(BASE))), Err("it is not raw".into()));
        assert_eq!(verdict(|_| {}, &announced(false, true, Some(BASE))), Err("it starts anew".into()));
        assert_eq!(verdict(|_| {}, &announced(false, false, None)), Err("it builds on GUID 7".into()));
        let mut long = begin(RAW);
        long.payload = MAX_PAYLOAD + 1;
        assert!(long.check(&announced(true, false, Some(BASE))).unwrap_err().starts_with("too much"));
    }

    proptest! {
        #[test]
        fn what_passes_is_what_was_announced(
            changes in proptest::collection::vec((0_usize..64, any::<u8>()), 0..4),
            noise in proptest::collection::vec(any::<u8>(), LENGTH),
            bits: u64,
        ) {
            let good = begin(COMPRESSED).record("tank/source@x");
            let mut changed = good;
            changes.into_iter().for_each(|(at, byte)| changed[at] = byte);
            let mut other = good;
            other[16..24].copy_from_slice(&(SINGLE | bits << 2).to_ne_bytes());
            for record in [changed, other, Record::try_from(noise).unwrap()] {
                let Ok(begin) = Begin::read(&record) else { continue };
                if begin.check(&step()).is_ok() {
                    // Type, payload, magic; kind; both GUIDs. Of the features, none that is not known.
                    prop_assert!(record[..16] == good[..16] && record[32..36] == good[32..36]);
                    prop_assert!(record[40..56] == good[40..56] && begin.version & 3 == SINGLE);
                    prop_assert_eq!(begin.version >> 2 & !(KNOWN_FEATURES & !RAW & !RESUMING), 0);
                    prop_assert_eq!(begin.flags & CLONE, 0);
                }
            }
        }
    }
}
