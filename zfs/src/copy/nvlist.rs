//! A reader of packed nvlists in the native encoding, flat ones alone: what the kernel packs a resume token in. The bytes are
//! a stranger's: every length is checked, nothing is allocated by what they say.

/// A value of a kind that tokens have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// `DATA_TYPE_BOOLEAN`: there or not there.
    Flag,
    /// `DATA_TYPE_UINT64`
    Number(u64),
    /// `DATA_TYPE_STRING`
    Text(&'a str),
    /// Anything else, passed over.
    Other,
}

/// The pairs in their order.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<(&str, Value<'_>)>, &'static str> {
    // How it is encoded, in which byte order, two bytes in reserve; version and flags.
    let (head, mut rest) = bytes.split_at_checked(12).ok_or("it is too short")?;
    if head[0] != NATIVE || head[1] != u8::from(cfg!(target_endian = "little")) || u32_at(head, 4) != Some(0) {
        return Err("it is encoded in another way");
    }
    let mut pairs = Vec::new();
    loop {
        let size = u32_at(rest, 0).ok_or("it does not end")?;
        if size == 0 {
            return Ok(pairs);
        }
        let size = usize::try_from(size).map_err(|_| "a pair is too long")?;
        let (pair, others) = rest.split_at_checked(size).ok_or("a pair is longer than the list")?;
        pairs.push(one(pair).ok_or("a pair is broken")?);
        rest = others;
    }
}

/// `nvpair_t`: size, length of the name with its NUL, reserve, number of elements, type; then name and value, each padded
/// to 8 bytes.
fn one(pair: &[u8]) -> Option<(&str, Value<'_>)> {
    let name_length = usize::from(u16::from_ne_bytes(pair.get(4..6)?.try_into().ok()?));
    let (elements, kind) = (u32_at(pair, 8)?, u32_at(pair, 12)?);
    let name = text(pair.get(16..16 + name_length)?)?;
    let value = pair.get((16 + name_length).next_multiple_of(8)..)?;
    let value = match (kind, elements) {
        (1, 0) => Value::Flag,
        (8, 1) => Value::Number(u64::from_ne_bytes(value.get(..8)?.try_into().ok()?)),
        (9, 1) => Value::Text(text(value)?),
        _ => Value::Other,
    };
    Some((name, value))
}

/// Up to the NUL, which must be there.
fn text(bytes: &[u8]) -> Option<&str> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    std::str::from_utf8(&bytes[..end]).ok()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

const NATIVE: u8 = 0;
