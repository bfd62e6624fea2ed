//! Networks in lists of hosts: `10.0.0.0/8`, `fc00::/7`.

use core::net::IpAddr;

/// Whether `item` is a network and `host` an address in it.
pub(super) fn holds(item: &str, host: &str) -> bool {
    let Some((network, bits)) = item.split_once('/') else { return false };
    let (Ok(network), Ok(address), Ok(bits)) = (network.parse(), host.parse(), bits.parse::<u32>()) else {
        return false;
    };
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let shift = 32_u32.saturating_sub(bits);
            same(network.to_bits().into(), address.to_bits().into(), shift)
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            same(network.to_bits(), address.to_bits(), 128_u32.saturating_sub(bits))
        }
        _ => false,
    }
}

fn same(network: u128, address: u128, shift: u32) -> bool {
    network.checked_shr(shift).unwrap_or(0) == address.checked_shr(shift).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lie_in_networks_and_names_do_not() {
        let rows = [
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("10.0.0.0/8", "10.attacker.example", false),
            ("172.16.0.0/12", "172.31.0.1", true),
            ("172.16.0.0/12", "172.32.0.1", false),
            ("127.0.0.1/32", "127.0.0.1", true),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("fc00::/7", "fd12::1", true),
            ("fc00::/7", "fe80::1", false),
            ("10.0.0.0/8", "::1", false),
            ("example/8", "10.1.2.3", false),
        ];
        for (item, host, held) in rows {
            assert_eq!(holds(item, host), held, "{item} {host}");
        }
    }
}
