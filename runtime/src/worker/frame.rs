//! A frame: four bytes of length, the highest first, then a value in bincode.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use serde::{Serialize, de::DeserializeOwned};
use std::io;

/// Bytes before the value.
pub const HEAD: usize = 4;

/// A value's bytes.
pub fn encode<T: Serialize>(value: &T) -> io::Result<Vec<u8>> {
    let bytes = bincode::serde::encode_to_vec(value, CONFIG).map_err(io::Error::other)?;
    if bytes.len() > MOST_BYTES { Err(too_long(bytes.len())) } else { Ok(bytes) }
}

/// The value of these bytes and of no others.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    match bincode::serde::decode_from_slice(bytes, CONFIG) {
        Ok((value, used)) if used == bytes.len() => Ok(value),
        Ok((_, used)) => Err(invalid(format!("{} bytes follow the value", bytes.len() - used))),
        Err(error) => Err(invalid(error)),
    }
}

/// The head of a value's frame.
pub fn head(value: &[u8]) -> io::Result<[u8; HEAD]> {
    u32::try_from(value.len()).map(u32::to_be_bytes).map_err(|_| too_long(value.len()))
}

/// The length that a head announces.
pub fn length(head: [u8; HEAD]) -> io::Result<usize> {
    let length = usize::try_from(u32::from_be_bytes(head)).map_err(invalid)?;
    if length > MOST_BYTES { Err(too_long(length)) } else { Ok(length) }
}

fn too_long(length: usize) -> io::Error {
    invalid(format!("a message of {length} bytes is longer than {MOST_BYTES}"))
}

fn invalid(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// A listing of a million snapshots takes about a third of it.
const MOST_BYTES: usize = 256 << 20;

const CONFIG: Configuration<LittleEndian, Varint, Limit<MOST_BYTES>> =
    bincode::config::standard().with_limit::<MOST_BYTES>();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_value_is_one() {
        let bytes = encode(&("tank", 7_u64)).unwrap();
        assert_eq!(decode::<(String, u64)>(&bytes).unwrap(), ("tank".to_owned(), 7));
        assert!(decode::<(String, u64)>(&bytes[..3]).is_err());
        assert!(decode::<(String, u64)>(&[&bytes[..], b"x"].concat()).is_err());
        // a text that claims to be longer than any
        assert!(decode::<String>(&[253, 255, 255, 255, 255, 255, 255, 255, 255]).is_err());
    }

    #[test]
    fn a_frame_has_a_bound() {
        assert_eq!(length(head(&[0; 300]).unwrap()).unwrap(), 300);
        assert!(length([255; 4]).is_err());
    }
}
