//! Checks of a text's digits, checksum or inner form: what tells numbers and tokens from look-alikes.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::GeneralPurpose;
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use regex::Regex;

use super::national;
use super::words::is_words;
use crate::rules::Validator;

/// Base64 with or without its padding.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::RequireNone)
    .with_decode_allow_trailing_bits(true);
const BASE64: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::STANDARD, LENIENT);

/// A letter and a sign are mixed; so many letters without one are, too.
const LETTERS_ALONE_MIN: usize = 20;

/// What code has and a strong password hardly ever: an access to a member, a call, a line's end.
static CODE: LazyLock<Regex> = LazyLock::new(|| {
    let code = r"[A-Za-z0-9_][\])]?(?:->|\.|::)[A-Za-z_]|\(\)|[A-Za-z_]\([^()]*\)|[;,]$";
    Regex::new(code).expect("a regex of this file, which a test compiles")
});

/// Whether a value passes a check.
pub(super) fn passes(validator: Validator, value: &str) -> bool {
    match validator {
        Validator::Luhn => is_luhn(value),
        Validator::Iban => is_iban(value),
        Validator::Crc32 => is_crc32(value),
        Validator::Jwt => is_jwt(value),
        Validator::BasicAuth => is_basic_auth(value),
        Validator::Mixed => is_mixed(value),
        Validator::Password => is_password(value),
        Validator::Strong => is_strong(value),
        Validator::Ssn => is_ssn(value),
        Validator::PublicIp => is_public_ip(value),
        Validator::LuhnShort => national::is_luhn_short(value),
        Validator::Verhoeff => national::is_verhoeff(value),
        Validator::Dni => national::is_dni(value),
        Validator::Nir => national::is_nir(value),
        Validator::CnId => national::is_cn_id(value),
        Validator::Nric => national::is_nric(value),
    }
}

/// The bytes of base64 of either alphabet, with or without padding; `None` where it is none.
#[must_use]
pub fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let standard = text.replace('-', "+").replace('_', "/");
    BASE64.decode(standard.trim_end_matches('=')).ok()
}

/// The first part decodes to a JSON object that names an algorithm.
fn is_jwt(value: &str) -> bool {
    let head = value.split('.').next().and_then(decode_base64);
    let object = head.and_then(|head| serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&head).ok());
    object.is_some_and(|object| object.contains_key("alg"))
}

/// Base64 of a name, a colon and a password, nine tenths of it printable, and not both of them words.
fn is_basic_auth(value: &str) -> bool {
    let Some(bytes) = decode_base64(value) else { return false };
    let printable = bytes.iter().filter(|byte| (32..127).contains(*byte)).count();
    if printable * 10 < bytes.len() * 9 {
        return false;
    }
    let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    let Some((user, password)) = text.split_once(':') else { return false };
    password.chars().count() >= 2 && !(is_words(password) && is_words(user))
}

/// A letter, and a digit or sign that is no separator; or letters alone, if they are many.
fn is_mixed(value: &str) -> bool {
    let letters = value.chars().filter(|char| char.is_alphabetic()).count();
    let has_signs = value.chars().any(|char| !char.is_alphabetic() && !"_-./:, ".contains(char));
    let only_letters = value.bytes().all(|byte| byte.is_ascii_alphabetic());
    (letters > 0 && has_signs) || (only_letters && letters >= LETTERS_ALONE_MIN)
}

/// What somebody can have chosen for a password: two of small letters, capitals, digits and the rest, and not
/// letters alone.
fn is_password(value: &str) -> bool {
    let has = |kind: fn(char) -> bool| value.chars().any(kind);
    let kinds = [char::is_lowercase, char::is_uppercase, char::is_numeric, |char: char| !char.is_alphanumeric()];
    kinds.into_iter().filter(|kind| has(*kind)).count() >= 2 && has(|char| !char.is_alphabetic())
}

/// At least six letters and seven signs, six of them different, and no code.
fn is_strong(value: &str) -> bool {
    let letters = value.chars().filter(|char| char.is_alphabetic()).count();
    let signs: Vec<char> = value.chars().filter(|char| !char.is_alphanumeric()).collect();
    letters >= 6 && signs.len() >= 7 && signs.iter().collect::<BTreeSet<_>>().len() >= 6 && !CODE.is_match(value)
}

fn digits(value: &str) -> impl DoubleEndedIterator<Item = u32> + '_ {
    value.chars().filter_map(|char| char.to_digit(10))
}

/// Luhn's sum, over 12 to 19 digits that are not all alike.
fn is_luhn(value: &str) -> bool {
    let count = digits(value).count();
    let first = digits(value).next();
    if !(12..=19).contains(&count) || digits(value).all(|digit| Some(digit) == first) {
        return false;
    }
    let doubled = |digit: u32| if digit > 4 { 2 * digit - 9 } else { 2 * digit };
    let sum: u32 =
        digits(value).rev().enumerate().map(|(n, digit)| if n % 2 == 1 { doubled(digit) } else { digit }).sum();
    sum.is_multiple_of(10)
}

/// ISO 13616: 15 to 34 characters, and as a number in base 36 with the first four moved to the end it is
/// 1 modulo 97.
fn is_iban(value: &str) -> bool {
    let plain: String = value.chars().filter(char::is_ascii_alphanumeric).collect();
    let Some((head, rest)) = plain.split_at_checked(4) else { return false };
    if !(15..=34).contains(&plain.len()) {
        return false;
    }
    let remainder = rest.chars().chain(head.chars()).try_fold(0_u32, |remainder, char| {
        let value = char.to_digit(36)?;
        Some((remainder * if value > 9 { 100 } else { 10 } + value) % 97)
    });
    remainder == Some(1)
}

/// The last six characters are the CRC-32 (IEEE) of what is between the prefix and them, in base 62.
/// The scheme of GitHub's and npm's tokens.
fn is_crc32(value: &str) -> bool {
    let Some((_, body)) = value.split_once('_') else { return false };
    let Some((payload, check)) = body.len().checked_sub(6).and_then(|at| body.split_at_checked(at)) else {
        return false;
    };
    let wanted = check.bytes().try_fold(0_u64, |sum, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'A'..=b'Z' => byte - b'A' + 10,
            b'a'..=b'z' => byte - b'a' + 36,
            _ => return None,
        };
        Some(sum * 62 + u64::from(digit))
    });
    wanted == Some(u64::from(crc32(payload.as_bytes())))
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

/// The numbers that the Social Security Administration can have given out.
fn is_ssn(value: &str) -> bool {
    let plain: String = digits(value).filter_map(|digit| char::from_digit(digit, 10)).collect();
    let part = |range: Range<usize>| plain.get(range).and_then(|digits| digits.parse::<u32>().ok()).unwrap_or(0);
    let (area, group, serial) = (part(0..3), part(3..5), part(5..9));
    plain.len() == 9 && area > 0 && area != 666 && area < 900 && group > 0 && serial > 0
}

fn is_public_ip(value: &str) -> bool {
    match value.parse::<core::net::IpAddr>() {
        Ok(core::net::IpAddr::V4(ip)) => {
            let special = ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_broadcast();
            !(special || ip.is_documentation() || ip.is_unspecified() || ip.is_multicast())
        }
        Ok(core::net::IpAddr::V6(ip)) => !ip.is_loopback() && !ip.is_unspecified() && !ip.is_multicast(),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_tell_numbers_from_look_alikes() {
        let rows = [
            (Validator::Luhn, "4111 1111 1111 1111", true),
            (Validator::Luhn, "4111 1111 1111 1112", false),
            (Validator::Luhn, "0000 0000 0000 0000", false),
            (Validator::Iban, "DE89 3704 0044 0532 0130 00", true),
            (Validator::Iban, "DE89 3704 0044 0532 0130 01", false),
            (Validator::Ssn, "219-09-9999", true),
            (Validator::Ssn, "666-09-9999", false),
            (Validator::Ssn, "219-00-9999", false),
            (Validator::PublicIp, "8.8.8.8", true),
            (Validator::PublicIp, "10.0.0.1", false),
            (Validator::Crc32, "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", true),
            (Validator::Crc32, "ghp_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq18", false),
        ];
        for (validator, value, want) in rows {
            assert_eq!(passes(validator, value), want, "{validator:?} {value}");
        }
    }

    #[test]
    fn forms_tell_secrets_from_look_alikes() {
        let base64 = |text: &str| BASE64.encode(text);
        let rows = [
            (Validator::Jwt, format!("{}.e30.x", base64(r#"{"alg":"HS256"}"#)), true),
            (Validator::Jwt, format!("{}.e30.x", base64(r#"{"typ":"JWT"}"#)), false),
            (Validator::Jwt, "notatoken.e30.x".to_owned(), false),
            (Validator::BasicAuth, base64("deploy:q7Zt0bX4mV9c"), true),
            (Validator::BasicAuth, base64("deploy:q7Zt0bX4mV9c") + "==", true),
            (Validator::BasicAuth, base64("user:password"), false),
            (Validator::BasicAuth, base64("q7Zt0bX4mV9c:password"), true),
            (Validator::BasicAuth, base64("no colon at all"), false),
            (Validator::BasicAuth, base64("deploy:"), false),
            (Validator::BasicAuth, base64("\u{1}\u{2}:\u{3}\u{4}"), false),
            (Validator::BasicAuth, "authentication".to_owned(), false),
            (Validator::Mixed, "kx7".to_owned(), true),
            (Validator::Mixed, "letters".to_owned(), false),
            (Validator::Mixed, "let-ters".to_owned(), false),
            (Validator::Mixed, "let!ters".to_owned(), true),
            (Validator::Mixed, "918273".to_owned(), false),
            (Validator::Mixed, "qwrtzpsdfgklmvbnxchj".to_owned(), true),
            (Validator::Mixed, "qwrtzpsdfgklmvbnxch".to_owned(), false),
            (Validator::Password, "letters".to_owned(), false),
            (Validator::Password, "Letters".to_owned(), false),
            (Validator::Password, "LETTERS".to_owned(), false),
            (Validator::Password, "letter5".to_owned(), true),
            (Validator::Password, "let+ers".to_owned(), true),
            (Validator::Password, "918273".to_owned(), false),
            (Validator::Strong, "b]4{Ta(v$nX^j%w[Mz>#u_qd+Re}9".to_owned(), true),
            (Validator::Strong, "get(items[0])->first[n]==!;".to_owned(), false),
            (Validator::Strong, "Tz9!kq#7".to_owned(), false),
            (Validator::Strong, "b]4{Ta(v$nX^j%w[Mz>#u_qd+Re}9;".to_owned(), false),
        ];
        for (validator, value, want) in rows {
            assert_eq!(passes(validator, &value), want, "{validator:?} {value}");
        }
    }
}
