//! What kind of address an IP is, and whether it is one of our own listeners. Pure but for one bind that asks the kernel
//! whether an address is local. `policy` decides with it; ranges from the IANA special-purpose registries.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// The kinds that egress tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AddressKind {
    /// Anybody's.
    Public,
    /// Inside: the word says which range.
    Inner(&'static str),
    /// Hands out credentials of the machine.
    Metadata,
}

/// Metadata and credential services of the clouds. Most are link-local as well. They are listed because they hand out
/// the machine's credentials, so that a setting that names such a host is not enough.
const METADATA_V4: [Ipv4Addr; 9] = [
    Ipv4Addr::new(169, 254, 169, 254), // AWS, GCP, Azure, OpenStack, DigitalOcean
    Ipv4Addr::new(169, 254, 170, 2),   // AWS ECS task credentials
    Ipv4Addr::new(169, 254, 170, 23),  // AWS EKS pod identity
    Ipv4Addr::new(100, 100, 100, 200), // Alibaba
    Ipv4Addr::new(168, 63, 129, 16),   // Azure wire server, in a public range
    Ipv4Addr::new(192, 0, 0, 192),     // Oracle
    Ipv4Addr::new(169, 254, 169, 252), // GKE
    Ipv4Addr::new(169, 254, 42, 42),   // Scaleway
    Ipv4Addr::new(169, 254, 0, 23),    // Tencent
];
const METADATA_V6: [Ipv6Addr; 5] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), // AWS
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),  // AWS EKS pod identity
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),  // GCP
    Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42),   // Scaleway
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe), // OpenStack
];

/// Names of the same services. They are known by their addresses, but a proxy resolves names itself.
const METADATA_NAMES: [&str; 8] = [
    "metadata",
    "metadata.google.internal",
    "metadata.goog",
    "metadata.azure.internal",
    "metadata.tencentyun.com",
    "instance-data",
    "instance-data.ec2.internal",
    "metadata.platformequinix.com",
];

/// Whether the name is that of a metadata service. A single word means one only in a network that we do not see.
pub(super) fn is_metadata_name(name: &str, is_proxied: bool) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let mut names = METADATA_NAMES.iter();
    (is_proxied || name.contains('.')) && names.any(|known| known.eq_ignore_ascii_case(name))
}

/// The kind of an address; of the IPv4 address inside, where IPv6 only wraps one.
pub(super) fn kind(ip: IpAddr) -> AddressKind {
    match ip {
        IpAddr::V4(ip) => kind_v4(ip),
        IpAddr::V6(ip) => kind_v6(ip),
    }
}

fn kind_v4(ip: Ipv4Addr) -> AddressKind {
    if METADATA_V4.contains(&ip) {
        return AddressKind::Metadata;
    }
    AddressKind::Inner(match ip.octets() {
        [0, ..] => "unspecified",
        [127, ..] => "loopback",
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => "private",
        [100, 64..=127, ..] => "carrier-grade NAT",
        [169, 254, ..] => "link-local",
        [224..=239, ..] => "multicast",
        [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18..=19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => "reserved",
        [240..=255, ..] => "reserved",
        _ => return AddressKind::Public,
    })
}

fn kind_v6(ip: Ipv6Addr) -> AddressKind {
    if METADATA_V6.contains(&ip) {
        return AddressKind::Metadata;
    }
    if let Some(inside) = embedded_v4(ip) {
        return kind_v4(inside);
    }
    AddressKind::Inner(match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => "unspecified",
        [0, 0, 0, 0, 0, 0, 0, 1] => "loopback",
        [0xfc00..=0xfdff, ..] => "private",
        [0xfe80..=0xfebf, ..] => "link-local",
        [0xff00..=0xffff, ..] => "multicast",
        // Teredo and the other protocol assignments, documentation.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => "reserved",
        [0x2000..=0x3fff, ..] => return AddressKind::Public,
        _ => "reserved",
    })
}

/// Mapped (`::ffff:a.b.c.d`), compatible (`::a.b.c.d`), translated (`::ffff:0:a.b.c.d`), NAT64 (`64:ff9b::a.b.c.d` and
/// below `64:ff9b:1::`) and 6to4 (`2002:ab:cd::`).
fn embedded_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let join = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(join(high, low)),
        [0x64, 0xff9b, 1, .., high, low] => {
            // A network of its own may translate to anything, but never to somebody else.
            let inside = join(high, low);
            METADATA_V4.contains(&inside).then_some(inside)
        }
        [0x2002, high, low, ..] => Some(join(high, low)),
        _ => None,
    }
}

/// Whether a connection to `target` would reach one of our own listeners on this machine.
pub(super) fn is_own_listener(target: SocketAddr, listeners: &[SocketAddr]) -> bool {
    listeners
        .iter()
        .filter(|listener| listener.port() == target.port())
        .any(|listener| {
            let (target, listener) = (target.ip().to_canonical(), listener.ip().to_canonical());
            match (target.is_unspecified(), listener.is_unspecified()) {
                (false, false) => target == listener,
                // To dial `0.0.0.0` is to dial this machine's loopback.
                (true, false) => listener.is_loopback(),
                (true, true) => true,
                (false, true) => target.is_loopback() || is_local(target),
            }
        })
}

/// Only an address of this machine can be bound.
fn is_local(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(text: &str) -> AddressKind {
        kind(text.parse().unwrap())
    }

    #[test]
    fn inner_ranges_are_inner_to_their_edges() {
        let inner = [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.0",
            "10.255.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.0.1",
            "172.16.0.0",
            "172.31.255.255",
            "192.168.0.1",
            "192.0.0.1",
            "192.0.2.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "fc00::1",
            "fdff::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "3fff::1",
            "100::1",
            "64:ff9b:1::1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2002:c0a8:1::1",
        ];
        for text in inner {
            assert!(
                matches!(kind_of(text), AddressKind::Inner(_)),
                "{text}: {:?}",
                kind_of(text)
            );
        }
    }

    #[test]
    fn the_rest_is_public() {
        let public = [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "192.169.0.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "::ffff:1.1.1.1",
            "64:ff9b::808:808",
            "2002:808:808::1",
            "2001:4860::8888",
        ];
        for text in public {
            assert_eq!(kind_of(text), AddressKind::Public, "{text}");
        }
    }

    #[test]
    fn metadata_services_are_known_in_every_wrapping() {
        for text in [
            "169.254.169.254",
            "169.254.170.2",
            "168.63.129.16",
            "100.100.100.200",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::a9fe:a9fe",
            "::169.254.169.254",
            "::ffff:0:169.254.169.254",
            "2002:a9fe:a9fe::",
            "169.254.169.252",
            "fe80::a9fe:a9fe",
            "fd00:42::42",
        ] {
            assert_eq!(kind_of(text), AddressKind::Metadata, "{text}");
        }
    }

    fn is_own(target: &str, listener: &str) -> bool {
        is_own_listener(target.parse().unwrap(), &[listener.parse().unwrap()])
    }

    #[test]
    fn our_own_listener_is_known_by_every_name_of_its_address() {
        assert!(is_own("127.0.0.1:4318", "127.0.0.1:4318"));
        assert!(is_own("[::ffff:127.0.0.1]:4318", "127.0.0.1:4318"));
        assert!(is_own("0.0.0.0:4318", "127.0.0.1:4318"));
        assert!(is_own("127.0.0.1:4318", "0.0.0.0:4318"));
        assert!(is_own("127.0.0.1:4318", "[::]:4318"));
        assert!(is_own("[::1]:4318", "[::]:4318"));
    }

    #[test]
    fn another_port_or_machine_is_not_our_own() {
        assert!(!is_own("127.0.0.1:4319", "127.0.0.1:4318"));
        assert!(!is_own("127.0.0.1:4319", "0.0.0.0:4318"));
        assert!(!is_own("127.0.0.2:4318", "127.0.0.1:4318"));
        assert!(!is_own("192.0.2.1:4318", "0.0.0.0:4318"));
        assert!(!is_own("0.0.0.0:4318", "192.0.2.1:4318"));
    }
}
