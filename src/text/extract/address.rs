//! IP addresses in the many ways to write them.

/// Every IPv4 address that programs read in a name of one to four numbers, in decimal, octal or hexadecimal,
/// the likeliest first; none where it is a name. Numbers with a leading zero are octal to most and decimal to
/// some; numbers that are too large are cut to size by some.
pub(super) fn v4_readings(name: &str) -> Vec<u32> {
    let mut readings = Vec::new();
    if name.split('.').count() > 4 {
        return readings;
    }
    for octal in [true, false] {
        let parts: Option<Vec<u64>> = name.split('.').map(|part| number(part, octal)).collect();
        let Some(parts) = parts else { continue };
        let address = assembled(&parts);
        if !readings.contains(&address) {
            readings.push(address);
        }
    }
    readings
}

/// The number of one part; what is too large stays congruent to what is written.
fn number(part: &str, octal: bool) -> Option<u64> {
    let hex = part.strip_prefix("0x").or_else(|| part.strip_prefix("0X"));
    let (digits, base) = match hex {
        Some(digits) => (digits, 16),
        None if octal && part.len() > 1 && part.starts_with('0') => (part, 8),
        None => (part, 10),
    };
    if digits.is_empty() && hex.is_none() {
        return None;
    }
    let mut value = 0_u64;
    for char in digits.chars() {
        value = value.wrapping_mul(u64::from(base)).wrapping_add(u64::from(char.to_digit(base)?));
    }
    Some(value)
}

/// The address of up to four numbers: the last fills what the others leave.
fn assembled(parts: &[u64]) -> u32 {
    let Some((last, firsts)) = parts.split_last() else { return 0 };
    let mut high = 0_u64;
    for (part, shift) in firsts.iter().zip([24_u32, 16, 8]) {
        high |= (part & 0xff) << shift;
    }
    let low = match firsts.len() {
        0 => last & 0xffff_ffff,
        1 => last & 0x00ff_ffff,
        2 => last & 0xffff,
        _ => last & 0xff,
    };
    u32::try_from(high | low).unwrap_or(0)
}

/// An IPv4 address in its usual form, which is the only one that a text without more context is read as.
pub(super) fn v4_plain(name: &str) -> Option<u32> {
    let mut address = 0_u32;
    for part in name.split('.') {
        if part.is_empty() || part.len() > 3 || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        address = address.checked_mul(256)?.checked_add(u32::from(part.parse::<u8>().ok()?))?;
    }
    (name.bytes().filter(|byte| *byte == b'.').count() == 3).then_some(address)
}

/// An IPv4 address in its usual form.
pub(super) fn v4_text(address: u32) -> String {
    let [a, b, c, d] = address.to_be_bytes();
    format!("{a}.{b}.{c}.{d}")
}

/// An IPv6 address without brackets; a zone is passed over.
pub(super) fn v6(text: &str) -> Option<u128> {
    let text = text.split('%').next()?;
    if text.len() > 45 || !text.contains(':') {
        return None;
    }
    let (head, tail) = match text.split_once("::") {
        Some((head, tail)) => (head, Some(tail)),
        None => (text, None),
    };
    let (high, high_bits) = groups(head, tail.is_none())?;
    let Some(tail) = tail else { return (high_bits == 128).then_some(high) };
    let (low, low_bits) = groups(tail, true)?;
    if high_bits + low_bits > 112 {
        return None;
    }
    let high = if high_bits == 0 { 0 } else { high << (128 - high_bits) };
    Some(high | low)
}

/// The bits of groups between colons, and how many they are; the last may be an IPv4 address.
fn groups(text: &str, last: bool) -> Option<(u128, u32)> {
    let (mut value, mut bits) = (0_u128, 0_u32);
    if text.is_empty() {
        return Some((0, 0));
    }
    let mut parts = text.split(':').peekable();
    while let Some(part) = parts.next() {
        let (group, width) = if part.contains('.') && parts.peek().is_none() && last {
            (u128::from(v4_plain(part)?), 32)
        } else {
            let sound = (1..=4).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_hexdigit());
            (u128::from(u16::from_str_radix(part, 16).ok().filter(|_| sound)?), 16)
        };
        bits += width;
        if bits > 128 {
            return None;
        }
        value = value << width | group;
    }
    Some((value, bits))
}

/// An IPv6 address in its usual form; one that stands for an IPv4 address is given as that.
pub(super) fn v6_text(address: u128) -> String {
    if let Some(inner) = mapped(address) {
        return v4_text(inner);
    }
    let bytes = address.to_be_bytes();
    let (pairs, _) = bytes.as_chunks::<2>();
    let groups: Vec<u16> = pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
    let (mut longest, mut run) = (0..0, 0..0);
    for (at, group) in groups.iter().enumerate() {
        run = if *group == 0 { run.start..at + 1 } else { at + 1..at + 1 };
        if run.len() > longest.len() && run.len() > 1 {
            longest = run.clone();
        }
    }
    let joined = |groups: &[u16]| groups.iter().map(|group| format!("{group:x}")).collect::<Vec<_>>().join(":");
    if longest.is_empty() {
        return joined(&groups);
    }
    let head = groups.get(..longest.start).unwrap_or_default();
    let tail = groups.get(longest.end..).unwrap_or_default();
    format!("{}::{}", joined(head), joined(tail))
}

/// The IPv4 address that an IPv6 address is another name of.
fn mapped(address: u128) -> Option<u32> {
    if address >> 32 == 0xffff { u32::try_from(address & 0xffff_ffff).ok() } else { None }
}

/// Whether an IPv4 address is one of this machine or of a network that is not reached from outside.
pub(super) fn is_private_v4(address: u32) -> bool {
    let [a, b, c, _] = address.to_be_bytes();
    match (a, b) {
        (0 | 10 | 127, _) | (169, 254) | (192, 168) => true,
        (172, b) => (16..=31).contains(&b),
        (100, b) => (64..=127).contains(&b),
        (192, 0) => c == 0,
        (255, 255) => true,
        _ => false,
    }
}

/// Whether an IPv6 address is one of this machine or of a network that is not reached from outside, or leads
/// to such an IPv4 address.
pub(super) fn is_private_v6(address: u128) -> bool {
    let low = u32::try_from(address & 0xffff_ffff).unwrap_or(0);
    let top = address >> 112;
    let inner = match address >> 32 {
        0 | 0x0064_ff9b_0000_0000_0000_0000 => Some(low),
        _ if top == 0x2002 => u32::try_from(address >> 80 & 0xffff_ffff).ok(),
        _ => mapped(address),
    };
    inner.is_some_and(is_private_v4) || top & 0xfe00 == 0xfc00 || top & 0xff80 == 0xfe80
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_ipv4_addresses() {
        let rows: [(&str, &[&str]); 20] = [
            ("127.0.0.1", &["127.0.0.1"]),
            ("2130706433", &["127.0.0.1"]),
            ("0x7f000001", &["127.0.0.1"]),
            ("0X7F.1", &["127.0.0.1"]),
            ("017700000001", &["127.0.0.1", "31.0.145.1"]),
            ("0177.0.0.1", &["127.0.0.1", "177.0.0.1"]),
            ("010.8.8.8", &["8.8.8.8", "10.8.8.8"]),
            ("127.1", &["127.0.0.1"]),
            ("127.0.1", &["127.0.0.1"]),
            ("10.65535", &["10.0.255.255"]),
            ("0", &["0.0.0.0"]),
            ("0x", &["0.0.0.0"]),
            ("425.510.425.510", &["169.254.169.254"]),
            ("6425673729", &["127.0.0.1"]),
            ("00000000000000000000000177.1", &["127.0.0.1", "177.0.0.1"]),
            ("089.1.1.1", &["89.1.1.1"]),
            ("1.2.3.4.5", &[]),
            ("1..2", &[]),
            ("a.1", &[]),
            ("", &[]),
        ];
        for (name, want) in rows {
            let read: Vec<String> = v4_readings(name).into_iter().map(v4_text).collect();
            assert_eq!(read, want, "{name}");
        }
    }

    #[test]
    fn ipv6_addresses_have_one_form() {
        let rows = [
            ("::1", Some("::1")),
            ("0:0:0:0:0:0:0:1", Some("::1")),
            ("::", Some("::")),
            ("::ffff:127.0.0.1", Some("127.0.0.1")),
            ("0:0:0:0:0:ffff:7f00:1", Some("127.0.0.1")),
            ("FE80::1%25eth0", Some("fe80::1")),
            ("2001:DB8:0:0:1:0:0:1", Some("2001:db8::1:0:0:1")),
            ("2001:0db8:0000:0000:0000:0000:0000:0001", Some("2001:db8::1")),
            ("64:ff9b::10.0.0.1", Some("64:ff9b::a00:1")),
            ("1:2:3:4:5:6:7:8", Some("1:2:3:4:5:6:7:8")),
            ("1:2:3:4:5:6:7::", Some("1:2:3:4:5:6:7:0")),
            ("1::2::3", None),
            ("1:2:3:4:5:6:7", None),
            ("1:2:3:4:5:6:7:8:9", None),
            ("12345::1", None),
            ("12:30", None),
            ("::1.2.3", None),
            ("+1::2", None),
        ];
        for (text, want) in rows {
            assert_eq!(v6(text).map(v6_text).as_deref(), want, "{text}");
        }
    }

    #[test]
    fn private_networks_are_known() {
        let rows = [
            ("10.1.2.3", true),
            ("172.16.0.1", true),
            ("172.32.0.1", false),
            ("192.168.0.1", true),
            ("192.169.0.1", false),
            ("169.254.169.254", true),
            ("127.9.9.9", true),
            ("0.0.0.0", true),
            ("100.100.100.200", true),
            ("8.8.8.8", false),
            ("::1", true),
            ("::", true),
            ("fe80::1", true),
            ("fd00:ec2::254", true),
            ("2001:db8::1", false),
            ("64:ff9b::a00:1", true),
            ("64:ff9b::808:808", false),
            ("2002:7f00:1::", true),
            ("::7f00:1", true),
        ];
        for (text, want) in rows {
            let private = match v4_plain(text) {
                Some(address) => is_private_v4(address),
                None => is_private_v6(v6(text).expect("an address")),
            };
            assert_eq!(private, want, "{text}");
        }
    }
}
