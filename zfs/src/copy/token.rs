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

#[cfg(test)]
mod tests {
    use super::*;
    use miniz_oxide::deflate::compress_to_vec_zlib;
    use pretty_assertions::assert_eq;
    use proptest::prelude::*;

    /// As OpenZFS 2.3.9 wrote them.
    const STEP: &str = "1-11ddb56bb1-110-789c636064000310a501c49c50360710a715e5e7a69766a63040818988f5e7becbcdaa0a4\
        0363b92bafca4acd4e412060626a83a0cf9b4b4e2d412900c0f5c9e0d493ea9b224b5184807f0f361d55f920f7185ee9ac4b\
        f07cad2de23cb7382e5f31273534174b67ea243258304541fcc5fa9b949a929f9d96073b991c493f3730b8a528b8b8152700\
        00008ee237c";
    const RAW: &str = "1-cb3fe45d8-e8-789c636064000310a500c4ec50360710e72765a52697303030419460caa7a515a796806478e\
        0f26c48f2499525a9c5403a44820fabfe92fcf4d2cc14068619bf9755343fd9ea8e2ccf0996cf4bcc4d05d1d9faa90e1560f\
        ddc0c08f726e7e71614a51617e76743c424a0f6c3e48b12cb61520c00c6961c13";

    fn token(list: &[u8]) -> String {
        let packed = compress_to_vec_zlib(list, 6);
        let hex: String = packed.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("1-{:x}-{:x}-{hex}", checksum(&packed), list.len())
    }

    fn list_of(text: &str) -> Vec<u8> {
        let hex = text.rsplit('-').next().unwrap();
        decompress_to_vec_zlib_with_limit(&bytes_of(hex).unwrap(), LIMIT).unwrap()
    }

    #[test]
    fn tokens_are_read() {
        let step = PartialFacts {
            to: Guid(17_250_605_993_946_098_733),
            from: Some(Guid(2_703_236_812_271_981_620)),
            to_name: "tok/a@y".to_owned(),
            object: 2,
            offset: 0xc0000,
            bytes: 0xe0f50,
            raw: false,
        };
        assert_eq!(decode(STEP), Ok(step));
        let raw = PartialFacts {
            to: Guid(5_167_287_400_793_570_200),
            from: None,
            to_name: "tok/e@x".to_owned(),
            object: 2,
            offset: 0xc0000,
            bytes: 0xe1854,
            raw: true,
        };
        assert_eq!(decode(RAW), Ok(raw));
        assert_eq!(decode(&token(&list_of(STEP))), decode(STEP), "packed anew");
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for (token, why) in [
            ("", "it is of another version"),
            ("1-2-3", "it has too few parts"),
            (&STEP.replace("1-1", "2-1"), "it is of another version"),
            (&STEP.replace("-110-", "-111-"), "it unpacks to another size"),
            (&STEP.replace("-110-", "-ffffffff-"), "it is too long"),
            (&STEP.replace("-110-", "--"), "a part of it is no number"),
            (&STEP.replace("1ddb", "1ddc"), "its checksum does not fit"),
            (&format!("{STEP}f"), "its end is not hexadecimal"),
            (&format!("{STEP}ü"), "its end is not hexadecimal"),
            (&token(&vec![0; LIMIT + 1]).replace("-10001-", "-1-"), "it cannot be unpacked"),
            (&token(b""), "it is too short"),
            (&token(&list_of(STEP)[..100]), "a pair is longer than the list"),
            (&token(&list_of(STEP)[..12]), "it does not end"),
            (&token(&[&list_of(STEP)[..12], &[0; 4]].concat()), "a number is missing in it"),
        ] {
            assert_eq!(decode(token), Err(why), "{token}");
        }
    }

    proptest! {
        #[test]
        fn damage_is_no_panic_and_takes_no_memory(at in 0_usize..0x110, byte: u8, cut in 0_usize..0x110) {
            let mut list = list_of(STEP);
            list[at] = byte;
            let _ = decode(&token(&list));
            list.truncate(cut);
            let _ = decode(&token(&list));
        }

        #[test]
        fn noise_is_no_panic(list: Vec<u8>, text in "1-[0-9a-f]{0,9}-[0-9a-f]{0,9}-[0-9a-f]{0,99}") {
            let mut headed = list_of(STEP)[..12].to_vec();
            headed.extend(&list);
            for list in [list, headed] {
                let _ = decode(&token(&list));
            }
            let _ = decode(&text);
        }
    }
}
