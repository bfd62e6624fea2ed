//! Check digits of national identity numbers, each by its published scheme.

/// Luhn's sum over 8 to 11 digits that are not all alike: Canadian SIN, Swedish personnummer.
pub(super) fn is_luhn_short(value: &str) -> bool {
    let digits = digits(value);
    let sum: u32 =
        digits.iter().rev().enumerate().map(|(n, d)| if n % 2 == 1 { d * 2 / 10 + d * 2 % 10 } else { *d }).sum();
    (8..=11).contains(&digits.len()) && !all_alike(&digits) && sum.is_multiple_of(10)
}

/// Verhoeff's check over 12 digits, the first of them 2 to 9: Aadhaar. The tables are those of the
/// dihedral group of order ten.
pub(super) fn is_verhoeff(value: &str) -> bool {
    let digits = digits(value);
    if digits.len() != 12 || digits.first().is_none_or(|first| *first < 2) || all_alike(&digits) {
        return false;
    }
    let permuted = |times: usize, digit: u32| {
        const ONCE: [u32; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
        (0..times % 8).fold(digit, |digit, _| ONCE.get(digit as usize).copied().unwrap_or(0))
    };
    digits.iter().rev().enumerate().fold(0, |sum, (n, digit)| product(sum, permuted(n, *digit))) == 0
}

/// The product of two elements of the dihedral group of order ten.
fn product(a: u32, b: u32) -> u32 {
    match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => (a + b) % 5 + 5,
        (false, true) => (a + 5 - b) % 5 + 5,
        (false, false) => (a + 10 - b) % 5,
    }
}

/// Spanish DNI (eight digits and a letter) and NIE (X, Y or Z, seven digits and a letter).
pub(super) fn is_dni(value: &str) -> bool {
    const LETTERS: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";
    let plain = plain(value);
    let Some((head, letter)) = plain.split_at_checked(8) else { return false };
    let head = head.replacen('X', "0", 1).replacen('Y', "1", 1).replacen('Z', "2", 1);
    let Ok(number) = head.parse::<usize>() else { return false };
    plain.len() == 9 && LETTERS.get(number % 23) == letter.as_bytes().first()
}

/// French NIR: 13 characters and a key of two digits. The departments 2A and 2B count as 19 and 18.
pub(super) fn is_nir(value: &str) -> bool {
    let plain = plain(value);
    let number = plain.get(..13).map(|head| head.replacen("2A", "19", 1).replacen("2B", "18", 1));
    let number = number.and_then(|number| number.parse::<u64>().ok());
    let key = plain.get(13..).and_then(|key| key.parse::<u64>().ok());
    plain.len() == 15 && number.is_some_and(|number| key == Some(97 - number % 97))
}

/// Chinese resident identity number (GB 11643): ISO 7064 MOD 11-2, with a month and a day that exist.
pub(super) fn is_cn_id(value: &str) -> bool {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    const CHECKS: &[u8; 11] = b"10X98765432";
    let plain = plain(value);
    let part = |range: std::ops::Range<usize>| plain.get(range).and_then(|p| p.parse::<u32>().ok()).unwrap_or(0);
    if plain.len() != 18 || !(1..=12).contains(&part(10..12)) || !(1..=31).contains(&part(12..14)) {
        return false;
    }
    let digits: Vec<u32> = plain.chars().take(17).filter_map(|c| c.to_digit(10)).collect();
    let sum: u32 = WEIGHTS.iter().zip(&digits).map(|(weight, digit)| weight * digit).sum();
    digits.len() == 17 && CHECKS.get((sum % 11) as usize) == plain.as_bytes().last()
}

/// Singapore NRIC and FIN: a letter, seven digits and a letter.
pub(super) fn is_nric(value: &str) -> bool {
    const WEIGHTS: [u32; 7] = [2, 7, 6, 5, 4, 3, 2];
    let plain = plain(value);
    let (Some(first), Some(check)) = (plain.chars().next(), plain.as_bytes().last()) else { return false };
    let digits: Vec<u32> = plain.chars().skip(1).take(7).filter_map(|c| c.to_digit(10)).collect();
    if plain.len() != 9 || digits.len() != 7 {
        return false;
    }
    let sum: u32 = WEIGHTS.iter().zip(&digits).map(|(weight, digit)| weight * digit).sum();
    let (letters, rest): (&[u8; 11], u32) = match first {
        'S' => (b"JZIHGFEDCBA", sum % 11),
        'T' => (b"JZIHGFEDCBA", (sum + 4) % 11),
        'F' => (b"XWUTRQPNMLK", sum % 11),
        'G' => (b"XWUTRQPNMLK", (sum + 4) % 11),
        'M' => (b"KLJNPQRTUWX", 10 - (sum + 3) % 11),
        _ => return false,
    };
    letters.get(rest as usize) == Some(check)
}

fn digits(value: &str) -> Vec<u32> {
    value.chars().filter_map(|c| c.to_digit(10)).collect()
}

fn all_alike(digits: &[u32]) -> bool {
    digits.iter().all(|digit| Some(digit) == digits.first())
}

/// The ASCII letters and digits, in capitals.
fn plain(value: &str) -> String {
    value.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_digits_tell_numbers_from_look_alikes() {
        type Check = fn(&str) -> bool;
        let rows: [(Check, &str, &str); 8] = [
            (is_luhn_short, "046 454 286", "046 454 287"),
            (is_luhn_short, "811218-9876", "811218-9877"),
            (is_verhoeff, "2345 6789 0124", "2345 6789 0125"),
            (is_dni, "12345678Z", "12345678A"),
            (is_dni, "X1234567L", "X1234567A"),
            (is_nir, "2 55 08 14 168 025 38", "2 55 08 14 168 025 39"),
            (is_cn_id, "11010519491231002X", "110105194912310021"),
            (is_nric, "S1234567D", "S1234567E"),
        ];
        for (check, good, bad) in rows {
            assert!(check(good) && !check(bad), "{good}");
            assert!(!check("") && !check("1") && !check("\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}"));
        }
    }
}
