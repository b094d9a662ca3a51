//! Resume tokens (`receive_resume_token`): `1-CHECKSUM-SIZE-HEX`, where HEX is a packed nvlist, deflated.

use super::PartialFacts;
use super::nvlist::{self, Value};
use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;
use zam_names::Guid;

/// Bytes of a token, packed or not, that are looked at; a real one has some hundreds.
const LIMIT: usize = 64 << 10;

/// What a token says.
pub(crate) fn decode(token: &str) -> Result<PartialFacts, &'static str> {
    let mut words = token.splitn(4, '-');
    let mut word = || words.next().ok_or("it has too few parts");
    if word()? != "1" {
        return Err("it is of another version");
    }
    let number = |word: &str| u64::from_str_radix(word, 16).map_err(|_| "a part of it is no number");
    let (sum, size, hex) = (number(word()?)?, number(word()?)?, word()?);
    if hex.len() > 2 * LIMIT || size > LIMIT as u64 {
        return Err("it is too long");
    }
    let packed = bytes_of(hex).ok_or("its end is not hexadecimal")?;
    if checksum(&packed) != sum {
        return Err("its checksum does not fit");
    }
    let list = decompress_to_vec_zlib_with_limit(&packed, LIMIT).map_err(|_| "it cannot be unpacked")?;
    if list.len() as u64 != size {
        return Err("it unpacks to another size");
    }
    let pairs = nvlist::read(&list)?;
    let of = |key: &str| pairs.iter().find(|(name, _)| *name == key).map(|(_, value)| *value);
    let number = |key: &str| match of(key) {
        Some(Value::Number(number)) => Ok(number),
        _ => Err("a number is missing in it"),
    };
    Ok(PartialFacts {
        to: Guid(number("toguid")?),
        from: of("fromguid").map(|_| number("fromguid").map(Guid)).transpose()?,
        to_name: match of("toname") {
            Some(Value::Text(name)) => name.to_owned(),
            _ => return Err("the name is missing in it"),
        },
        object: number("object")?,
        offset: number("offset")?,
        bytes: number("bytes")?,
        raw: of("rawok").is_some(),
    })
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

/// The first word of Fletcher-4.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.as_chunks::<4>().0.iter().map(|word| u64::from(u32::from_ne_bytes(*word))).fold(0, u64::wrapping_add)
}
