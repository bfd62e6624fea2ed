//! Keywords that are no words: what must be in a text before a rule for numbers or addresses looks at it.

use memchr::memchr_iter;

/// Digits in a row, separators between them left out, that make a number worth a look.
const DIGITS_MIN: u32 = 7;

/// A shape that stands for a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// `#digits`: at least seven digits with at most one separator between two of them.
    Digits,
    /// `#at`: an `@` between two characters that are no spaces.
    At,
}

impl Shape {
    pub(super) const ALL: [Self; 2] = [Self::Digits, Self::At];

    /// The shape that a keyword stands for; `None` for a word.
    pub(super) fn of(keyword: &str) -> Option<Self> {
        match keyword {
            "#digits" => Some(Self::Digits),
            "#at" => Some(Self::At),
            _ => None,
        }
    }

    /// Whether it is anywhere in the text.
    pub(super) fn is_in(self, text: &str) -> bool {
        match self {
            Self::Digits => has_digits(text.as_bytes()),
            Self::At => memchr_iter(b'@', text.as_bytes()).any(|at| is_between(text.as_bytes(), at)),
        }
    }
}

fn is_between(bytes: &[u8], at: usize) -> bool {
    let solid = |byte: Option<&u8>| byte.is_some_and(|byte| !byte.is_ascii_whitespace());
    solid(at.checked_sub(1).and_then(|before| bytes.get(before))) && solid(bytes.get(at + 1))
}

fn has_digits(bytes: &[u8]) -> bool {
    let (mut digits, mut separators) = (0_u32, 0_u32);
    for byte in bytes {
        if byte.is_ascii_digit() {
            digits += 1;
            separators = 0;
            if digits >= DIGITS_MIN {
                return true;
            }
        } else if digits > 0 {
            // Brackets come with a space: `(040) 123`.
            separators += 1;
            if separators > 2 || !matches!(byte, b' ' | b'-' | b'.' | b'(' | b')' | b'/' | b'+') {
                digits = 0;
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_found() {
        let rows = [
            (Shape::Digits, "call +49 (40) 123-456", true),
            (Shape::Digits, "4111 1111 1111 1111", true),
            (Shape::Digits, "1, 2, 3, 4, 5, 6, 7, 8", false),
            (Shape::Digits, "in 2024 and 2025", false),
            (Shape::At, "a@b", true),
            (Shape::At, "@here, look @ this", false),
        ];
        for (shape, text, want) in rows {
            assert_eq!(shape.is_in(text), want, "{text}");
        }
    }
}
