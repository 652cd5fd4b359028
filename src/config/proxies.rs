//! Whose word is taken for where a request comes from.

use std::net::IpAddr;

use config::Value;
use ipnet::{IpNet, Ipv4Net};

use super::section::Section;
use super::value::{FromValue, Sink};

/// The item that stands for whoever connects to a unix socket.
const UNIX: &str = "unix:";

/// `server.trusted_proxies` and `server.trusted_proxy_header`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    networks: Vec<IpNet>,
    unix: bool,
    header: ProxyHeader,
}

/// The header in which the proxies write whom they ask for; any other may be the caller's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProxyHeader {
    /// `X-Forwarded-For`, with `X-Forwarded-Proto` beside it.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// Reads both keys of `[server]`.
pub(super) fn read_proxies(server: &mut Section<'_>) -> Proxies {
    const HEADER: &str = "trusted_proxy_header";
    let mut proxies: Proxies = server.optional("trusted_proxies").unwrap_or_default();
    let Some(header) = server.optional::<String>(HEADER) else {
        return proxies;
    };
    match header.to_ascii_lowercase().as_str() {
        "x-forwarded-for" => proxies.header = ProxyHeader::XForwardedFor,
        "forwarded" => proxies.header = ProxyHeader::Forwarded,
        _ => {
            let expected =
                "expected \"X-Forwarded-For\" or \"Forwarded\", the one that your proxies write";
            server.error(HEADER, format!("found {header:?}, {expected}"));
        }
    }
    if proxies.is_empty() {
        server.warning(
            HEADER,
            "has no effect: no proxy is believed unless trusted_proxies names it, such as trusted_proxies = [\"10.0.0.0/8\"]",
        );
    }
    proxies
}

impl Proxies {
    /// The header in which they write.
    pub fn header(&self) -> ProxyHeader {
        self.header
    }

    /// Whether nobody is trusted.
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty() && !self.unix
    }

    /// Whether the proxy at `address` is trusted; an IPv4 address that is written as IPv6 counts as what it is.
    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|net| net.contains(&address))
    }

    /// Whether whoever may open our unix sockets is trusted.
    pub fn trusts_unix(&self) -> bool {
        self.unix
    }

    /// A network in which everybody is, if there is one.
    pub(super) fn widest(&self) -> Option<IpNet> {
        let mut networks = self.networks.iter();
        networks.find(|net| net.prefix_len() == 0).copied()
    }

    fn add(&mut self, text: &str) -> bool {
        if text == UNIX {
            self.unix = true;
            return true;
        }
        let net = text.parse::<IpNet>().ok();
        let net = net.or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        self.networks.extend(net.map(|net| canonical(net).trunc()));
        net.is_some()
    }
}

/// A network of IPv4 addresses that is written as one of IPv6 as what it is: addresses are compared as such.
fn canonical(net: IpNet) -> IpNet {
    let IpNet::V6(six) = net else { return net };
    let four = six.addr().to_ipv4_mapped();
    let length = six.prefix_len().checked_sub(96);
    let four = four.zip(length);
    let four = four.and_then(|(address, length)| Ipv4Net::new(address, length).ok());
    four.map_or(net, IpNet::from)
}

impl FromValue for Proxies {
    fn read(value: Value, path: &str, sink: &mut Sink) -> Option<Self> {
        let items = Vec::<String>::read(value, path, sink)?;
        let mut proxies = Self::default();
        for (index, item) in items.iter().enumerate() {
            if !item.is_empty() && !proxies.add(item) {
                let message = format!(
                    "found {item:?}, expected a network, such as \"10.0.0.0/8\" or \"fd00::/8\", an address, or \"{UNIX}\" for the unix sockets"
                );
                sink.problems.error(format!("{path}[{index}]"), message);
            }
        }
        Some(proxies)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trusts_what_is_in_a_network_however_it_is_written() {
        let mut proxies = Proxies::default();
        for item in [
            "10.1.2.3/8",
            "192.0.2.7",
            "2001:db8::/32",
            "unix:",
            "::ffff:172.16.0.0/108",
        ] {
            assert!(proxies.add(item), "{item}");
        }
        for item in ["10.0.0.0/33", "example.com", "10.0.0.1:80", "*", "unix:/a"] {
            assert!(!proxies.add(item), "{item}");
        }
        for (address, trusted) in [
            ("10.255.0.1", true),
            ("::ffff:10.0.0.1", true),
            ("11.0.0.1", false),
            ("172.31.0.1", true),
            ("::ffff:172.31.0.1", true),
            ("172.32.0.1", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("2001:db8::1", true),
            ("2001:db9::1", false),
        ] {
            assert_eq!(
                proxies.trusts(address.parse().unwrap()),
                trusted,
                "{address}"
            );
        }
        assert!(proxies.trusts_unix());
    }
}
