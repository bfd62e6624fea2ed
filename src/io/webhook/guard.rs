//! Which addresses an endpoint may be reached at: the guard against server-side request forgery.
//!
//! Names are resolved here, for every attempt anew, and the connection goes to an address that was
//! checked, never to a second look-up: a name that is rebound between check and use gains nothing.
//! Addresses that stand in the URL itself are checked before the request, since no resolver sees them.
//!
//! Where an IPv6 address carries an IPv4 one (mapped, NAT64, 6to4), both are checked.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use serde::Deserialize;

/// How far an endpoint's requests may go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Networks {
    /// Anywhere but link-local addresses, metadata services of clouds, multicast and the unspecified
    /// address: the operator wrote the URL.
    #[default]
    Any,
    /// Only addresses of the public internet.
    Public,
}

impl Networks {
    fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Public => "public",
        }
    }
}

/// A network, such as `10.1.0.0/16`; an address alone is a network of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network {
    /// IPv4 in the low 32 bits.
    bits: u128,
    is_v4: bool,
    /// Bits of an address that are not compared.
    free: u32,
}

impl Network {
    const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u32) -> Self {
        Self { bits: Ipv4Addr::new(a, b, c, d).to_bits() as u128, is_v4: true, free: 32 - prefix }
    }

    const fn v6(segments: [u16; 8], prefix: u32) -> Self {
        Self { bits: Ipv6Addr::from_segments(segments).to_bits(), is_v4: false, free: 128 - prefix }
    }

    fn holds(&self, address: IpAddr) -> bool {
        let (bits, is_v4) = bits(address);
        let shifted = |bits: u128| bits.checked_shr(self.free).unwrap_or(0);
        is_v4 == self.is_v4 && shifted(bits) == shifted(self.bits)
    }
}

fn bits(address: IpAddr) -> (u128, bool) {
    match address {
        IpAddr::V4(v4) => (v4.to_bits().into(), true),
        IpAddr::V6(v6) => (v6.to_bits(), false),
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("expected a network such as `10.1.0.0/16`, got `{text}`");
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| expected())?;
        let (bits, is_v4) = bits(address);
        let length = if is_v4 { 32 } else { 128 };
        let prefix = match prefix {
            None => length,
            Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().ok().filter(|prefix| *prefix <= length).ok_or_else(expected)?
            }
            Some(_) => return Err(expected()),
        };
        let free = length - prefix;
        let host = 1_u128.checked_shl(free).map_or(u128::MAX, |size| size - 1);
        if bits & host != 0 {
            return Err(format!("expected zeros after the first {prefix} bits of a network, got `{text}`"));
        }
        Ok(Self { bits, is_v4, free })
    }
}

/// Refused everywhere: nothing that takes webhooks lives there, and what does live there gives away keys.
const NEVER: [Network; 13] = [
    Network::v4(0, 0, 0, 0, 8),
    Network::v4(169, 254, 0, 0, 16),
    Network::v4(224, 0, 0, 0, 4),
    Network::v4(255, 255, 255, 255, 32),
    // Metadata services outside 169.254.0.0/16: Alibaba, Azure, Oracle; then AWS, Google, Scaleway.
    Network::v4(100, 100, 100, 200, 32),
    Network::v4(168, 63, 129, 16, 32),
    Network::v4(192, 0, 0, 192, 32),
    Network::v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], 128),
    Network::v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128),
    Network::v6([0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42], 128),
    Network::v6([0; 8], 128),
    Network::v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10),
    Network::v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8),
];

/// Not of the public internet: private, loopback, carrier-grade NAT, for documentation and tests, reserved.
const NOT_PUBLIC: [Network; 16] = [
    Network::v4(10, 0, 0, 0, 8),
    Network::v4(100, 64, 0, 0, 10),
    Network::v4(127, 0, 0, 0, 8),
    Network::v4(172, 16, 0, 0, 12),
    Network::v4(192, 0, 0, 0, 24),
    Network::v4(192, 0, 2, 0, 24),
    Network::v4(192, 88, 99, 0, 24),
    Network::v4(192, 168, 0, 0, 16),
    Network::v4(198, 18, 0, 0, 15),
    Network::v4(198, 51, 100, 0, 24),
    Network::v4(203, 0, 113, 0, 24),
    Network::v4(240, 0, 0, 0, 4),
    // Of 2000::/3, outside of which nothing is public: protocol assignments with Teredo, documentation.
    Network::v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23),
    Network::v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32),
    Network::v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20),
    Network::v6([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48),
];

const GLOBAL_V6: Network = Network::v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);
const MAPPED: Network = Network::v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96);
const NAT64: Network = Network::v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96);
const NAT64_LOCAL: Network = Network::v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48);
const COMPATIBLE: Network = Network::v6([0; 8], 96);
const SIX_TO_FOUR: Network = Network::v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16);

/// The IPv4 address that an IPv6 address leads to.
fn carried(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let bits = v6.to_bits();
    let [.., a, b, c, d] = v6.octets();
    let last = Ipv4Addr::new(a, b, c, d);
    let lies_in = |network: &Network| network.holds(IpAddr::V6(v6));
    if [MAPPED, NAT64, NAT64_LOCAL].iter().any(lies_in) {
        Some(last)
    } else if lies_in(&SIX_TO_FOUR) {
        u32::try_from(bits >> 80 & 0xffff_ffff).ok().map(Ipv4Addr::from_bits)
    } else {
        // `::` and `::1` are addresses of their own.
        Some(last).filter(|_| lies_in(&COMPATIBLE) && bits > 1)
    }
}

/// What one endpoint may reach.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Guard {
    networks: Networks,
    allow: Arc<[Network]>,
    lookup: Lookup,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("networks", &self.networks).field("allow", &self.allow).finish_non_exhaustive()
    }
}

/// Who resolves names.
#[derive(Clone)]
enum Lookup {
    /// The system.
    System,
    /// A test: the answers, in order.
    #[cfg(test)]
    Scripted(Arc<std::sync::Mutex<std::collections::VecDeque<Vec<IpAddr>>>>),
}

impl PartialEq for Lookup {
    fn eq(&self, other: &Self) -> bool {
        matches!((self, other), (Self::System, Self::System))
    }
}

impl Eq for Lookup {}

impl Guard {
    /// `allow` is stronger than everything else.
    pub(super) fn new(networks: Networks, allow: &[String]) -> Result<Self, String> {
        let allow = allow.iter().map(|text| text.parse()).collect::<Result<Vec<Network>, _>>()?;
        Ok(Self { networks, allow: allow.into(), lookup: Lookup::System })
    }

    #[cfg(test)]
    pub(super) fn scripted(mut self, answers: &[&[&str]]) -> Self {
        let parse = |answer: &&[&str]| answer.iter().map(|ip| ip.parse().expect("an address")).collect();
        self.lookup = Lookup::Scripted(Arc::new(std::sync::Mutex::new(answers.iter().map(parse).collect())));
        self
    }

    /// Whether a connection may go to this address.
    pub(super) fn permits(&self, address: IpAddr) -> bool {
        let inner = match address {
            IpAddr::V6(v6) => carried(v6).map(IpAddr::V4),
            IpAddr::V4(_) => None,
        };
        let forms = [Some(address), inner];
        let forms = || forms.iter().flatten();
        if forms().any(|form| self.allow.iter().any(|network| network.holds(*form))) {
            return true;
        }
        let refused = |form: &IpAddr| match self.networks {
            _ if NEVER.iter().any(|network| network.holds(*form)) => true,
            Networks::Any => false,
            Networks::Public => is_not_public(*form),
        };
        !forms().any(refused)
    }

    /// Checks the host of a URL where it is an address.
    pub(super) fn check(&self, url: &Url) -> Result<(), String> {
        let host = url.host_str().unwrap_or_default();
        match host.trim_start_matches('[').trim_end_matches(']').parse() {
            Ok(address) if !self.permits(address) => Err(self.refusal(&address)),
            _ => Ok(()),
        }
    }

    fn refusal(&self, address: &dyn fmt::Display) -> String {
        let networks = self.networks.name();
        format!(
            "the address {address} is refused by networks = \"{networks}\"; list it in allow_networks if it is meant"
        )
    }

    async fn lookup(&self, name: &str) -> std::io::Result<Vec<SocketAddr>> {
        match &self.lookup {
            Lookup::System => Ok(tokio::net::lookup_host((name, 0)).await?.collect()),
            #[cfg(test)]
            Lookup::Scripted(answers) => {
                let answer = answers.lock().expect("not poisoned").pop_front().expect("a look-up more than expected");
                Ok(answer.into_iter().map(|ip| SocketAddr::new(ip, 0)).collect())
            }
        }
    }

    /// The addresses of a name that may be connected to.
    async fn resolved(&self, name: &str) -> Result<Vec<SocketAddr>, String> {
        let found = self.lookup(name).await.map_err(|error| format!("cannot resolve {name}: {error}"))?;
        let (good, bad): (Vec<_>, Vec<_>) = found.into_iter().partition(|address| self.permits(address.ip()));
        match bad.first() {
            Some(refused) if good.is_empty() => Err(format!("{name}: {}", self.refusal(&refused.ip()))),
            None if good.is_empty() => Err(format!("cannot resolve {name}: it has no addresses")),
            _ => Ok(good),
        }
    }
}

/// NAT64 and mapped addresses are judged by the IPv4 address that they carry.
fn is_not_public(address: IpAddr) -> bool {
    let is_special = || NOT_PUBLIC.iter().any(|network| network.holds(address));
    let is_a_form = || [MAPPED, NAT64].iter().any(|network| network.holds(address));
    is_special() || (address.is_ipv6() && !GLOBAL_V6.holds(address) && !is_a_form())
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let addresses = guard.resolved(name.as_str()).await?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(networks: Networks, allow: &[&str]) -> Guard {
        let allow: Vec<String> = allow.iter().map(ToString::to_string).collect();
        Guard::new(networks, &allow).expect("networks")
    }

    #[test]
    fn some_addresses_are_refused_everywhere_and_others_where_only_the_public_is_meant() {
        let (any, public) = (guard(Networks::Any, &[]), guard(Networks::Public, &[]));
        // Address, permitted by any, permitted by public.
        let rows = [
            ("8.8.8.8 1.0.0.1 172.15.0.1 172.32.0.1 100.63.0.1 100.128.0.1 2606:4700::1 64:ff9b::808:808", true, true),
            ("::ffff:8.8.8.8 2002:808:808::1 11.0.0.1 192.0.1.1 223.255.255.255", true, true),
            (
                "10.1.2.3 172.16.0.1 172.31.255.255 192.168.1.1 127.0.0.1 127.9.9.9 ::1 100.64.0.1 100.127.0.1",
                true,
                false,
            ),
            (
                "fc00::1 fd12:3456::1 fec0::1 192.0.0.8 192.0.2.1 198.18.0.1 198.19.0.1 198.51.100.7 203.0.113.7",
                true,
                false,
            ),
            ("240.0.0.1 2001:db8::1 3fff::1 2001::1 100::1 5f00::1 ::ffff:10.0.0.1 ::ffff:127.0.0.1", true, false),
            ("64:ff9b::a00:1 64:ff9b:1::808:808 2002:a00:1::1 2002:7f00:1::1 ::8.8.8.8 4000::1", true, false),
            ("0.0.0.0 0.1.2.3 169.254.169.254 169.254.0.1 224.0.0.1 239.1.1.1 255.255.255.255", false, false),
            ("100.100.100.200 168.63.129.16 192.0.0.192 fd00:ec2::254 fd20:ce::254 fd00:42::42", false, false),
            (
                ":: fe80::1 febf::1 ff02::1 ff05::2 ::ffff:169.254.169.254 ::ffff:0.0.0.0 ::169.254.169.254",
                false,
                false,
            ),
            ("64:ff9b::a9fe:a9fe 64:ff9b:1::a9fe:a9fe 2002:a9fe:a9fe::1 ::ffff:224.0.0.1", false, false),
        ];
        for (addresses, by_any, by_public) in rows {
            for address in addresses.split(' ') {
                let ip: IpAddr = address.parse().expect(address);
                assert_eq!((any.permits(ip), public.permits(ip)), (by_any, by_public), "{address}");
            }
        }
    }

    #[test]
    fn what_is_listed_is_permitted_and_its_neighbour_is_not() {
        let guard = guard(Networks::Public, &["10.1.0.0/16", "169.254.169.254", "fd12::/16"]);
        let rows = [
            ("10.1.255.255", true),
            ("10.2.0.0", false),
            ("::ffff:10.1.0.1", true),
            ("64:ff9b::a01:1", true),
            ("169.254.169.254", true),
            ("169.254.169.253", false),
            ("fd12:1::1", true),
            ("fd13::1", false),
        ];
        for (address, permitted) in rows {
            assert_eq!(guard.permits(address.parse().expect("an address")), permitted, "{address}");
        }
    }

    #[test]
    fn networks_are_read_strictly() {
        for text in ["0.0.0.0/0", "::/0", "10.0.0.0/8", "10.1.2.3", "10.1.2.3/32", "fe80::/10", "::1/128"] {
            assert!(text.parse::<Network>().is_ok(), "{text}");
        }
        let rows = [
            ("10.1.0.0/8", "expected zeros after the first 8 bits"),
            ("fe80::1/64", "expected zeros after the first 64 bits"),
            ("10.0.0.0/33", "expected a network such as"),
            ("::/129", "expected a network such as"),
            ("10.0.0.0/", "expected a network such as"),
            ("10.0.0.0/+8", "expected a network such as"),
            ("10.0.0/8", "expected a network such as"),
            ("internal", "expected a network such as"),
            ("", "expected a network such as"),
        ];
        for (text, expected) in rows {
            let error = text.parse::<Network>().expect_err(text);
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn addresses_in_a_url_are_checked_however_they_are_written() {
        let guard = guard(Networks::Public, &[]);
        let refused = ["http://127.0.0.1/", "http://0x7f.1/", "http://2130706433:80/", "http://[::ffff:7f00:1]/"];
        for url in refused.iter().chain(&["http://0/", "http://169.254.169.254./", "http://[fe80::1]:8080/x"]) {
            let error = guard.check(&Url::parse(url).expect("a URL")).expect_err(url);
            assert!(error.contains("refused by networks = \"public\""), "{error}");
        }
        for url in ["http://8.8.8.8/", "https://example.org/127.0.0.1", "http://[2606:4700::1]/"] {
            assert_eq!(guard.check(&Url::parse(url).expect("a URL")), Ok(()), "{url}");
        }
    }

    #[tokio::test]
    async fn only_checked_addresses_of_a_name_are_given_out_and_each_look_up_is_checked() {
        let answers: &[&[&str]] = &[&["8.8.8.8", "10.0.0.1"], &["169.254.169.254"], &["10.0.0.1", "::1"], &[]];
        let guard = guard(Networks::Public, &[]).scripted(answers);
        let good = guard.resolved("a.example").await.expect("one is public");
        assert_eq!(good, ["8.8.8.8:0".parse().expect("an address")]);
        for expected in ["a.example: the address 169.254.169.254 is refused", "10.0.0.1 is refused", "no addresses"] {
            let error = guard.resolved("a.example").await.expect_err(expected);
            assert!(error.contains(expected), "{error}");
        }
    }
}
