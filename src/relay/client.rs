//! Who a request is from: the name that the authentication hook gives, or else the network address.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use tokio::time::{Duration, timeout};

use crate::problem::Problem;
use crate::upstream::Web;

const NAME_HEADER: &str = "x-frontdesk-client";
const MAX_NAME_BYTES: usize = 128;
const HOOK_TIMEOUT: Duration = Duration::from_secs(5);

/// Whose limits a request counts against.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Client {
    /// As the authentication hook named it.
    Named(String),
    /// Everyone behind one IPv4 address.
    V4(Ipv4Addr),
    /// Everyone in one network of 2^64 addresses: that is what a household or a server is given.
    V6(Ipv6Addr),
}

impl Client {
    pub(crate) fn of_address(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => Self::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        }
    }

    /// What stands for it in Redis; different for different clients.
    pub(crate) fn key(&self) -> String {
        match self {
            Self::Named(name) => format!("name:{name}"),
            Self::V4(address) => format!("address:{address}"),
            Self::V6(network) => format!("address:{network}"),
        }
    }
}

/// For the log: addresses are cut to networks of many, so that a line does not tell who somebody is.
impl fmt::Display for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => formatter.write_str(name),
            Self::V4(address) => {
                write!(formatter, "{}/24", Ipv4Addr::from_bits(address.to_bits() >> 8 << 8))
            }
            Self::V6(network) => {
                write!(formatter, "{}/48", Ipv6Addr::from_bits(network.to_bits() >> 80 << 80))
            }
        }
    }
}

/// The address that a request came from: the peer's, or what the outermost of the operator's own proxies saw. Each proxy appends
/// the address that it was called from to X-Forwarded-For; what stands before that is the client's own claim.
pub(crate) fn address_of(peer: IpAddr, headers: &HeaderMap, trusted_proxies: usize) -> IpAddr {
    let Some(back) = trusted_proxies.checked_sub(1) else { return peer };
    // Only what own proxies wrote is decoded: what a client wrote before that may be anything.
    let seen: Vec<&[u8]> = headers
        .get_all("x-forwarded-for")
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .collect();
    let written = seen
        .iter()
        .rev()
        .nth(back)
        .and_then(|entry| std::str::from_utf8(entry).ok())
        .map(str::trim);
    written
        .and_then(|entry| {
            entry
                .parse()
                .ok()
                .or_else(|| entry.parse::<SocketAddr>().ok().map(|address| address.ip()))
        })
        .unwrap_or(peer)
}

/// Asks the operator's own service whether a request may pass, as `auth_request` of nginx and `forwardAuth` of Traefik do.
#[derive(Clone, Debug)]
pub(crate) struct Hook {
    pub(crate) address: Uri,
}

impl Hook {
    /// # Errors
    /// Where the answer is not 2xx, or there is none: nobody is let through by a service that is down.
    pub(crate) async fn ask(
        &self,
        web: &Web,
        headers: &HeaderMap,
        from: IpAddr,
    ) -> Result<Client, Problem> {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = self.address.clone();
        let sent = request.headers_mut();
        for name in [header::AUTHORIZATION, header::COOKIE, header::ORIGIN] {
            for value in headers.get_all(&name) {
                sent.append(&name, value.clone());
            }
        }
        if let Ok(from) = HeaderValue::from_str(&from.to_string()) {
            sent.insert("x-forwarded-for", from);
        }
        sent.insert("x-forwarded-method", HeaderValue::from_static("POST"));
        sent.insert("x-forwarded-uri", HeaderValue::from_static(crate::COMPLETIONS));

        let answer = match timeout(HOOK_TIMEOUT, web.send(request)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => return Err(unavailable()),
        };
        match answer.status() {
            status if status.is_success() => name_in(answer.headers(), from),
            StatusCode::UNAUTHORIZED => {
                let how = answer.headers().get(header::WWW_AUTHENTICATE).cloned();
                Err(Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "Sign in first.")
                    .authenticate(how))
            }
            StatusCode::FORBIDDEN => {
                Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", "You may not ask here."))
            }
            _ => Err(unavailable()),
        }
    }
}

/// A name that makes no sense would give its client the limits of somebody else.
fn name_in(headers: &HeaderMap, from: IpAddr) -> Result<Client, Problem> {
    let Some(name) = headers.get(NAME_HEADER) else { return Ok(Client::of_address(from)) };
    match name.to_str() {
        Ok(name) if !name.is_empty() && name.len() <= MAX_NAME_BYTES => {
            Ok(Client::Named(name.to_owned()))
        }
        _ => Err(unavailable()),
    }
}

fn unavailable() -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "auth_unavailable",
        "Who may ask cannot be checked at the moment.",
    )
    .after(Duration::from_secs(5))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn forwarded_addresses_are_believed_as_far_as_own_proxies_wrote_them() {
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", HeaderValue::from_static("6.6.6.6, 1.2.3.4"));
        headers.append("x-forwarded-for", HeaderValue::from_static("10.0.0.1"));
        let peer = address("10.0.0.2");
        assert_eq!(address_of(peer, &headers, 0), peer);
        assert_eq!(address_of(peer, &headers, 1), address("10.0.0.1"));
        assert_eq!(address_of(peer, &headers, 2), address("1.2.3.4"));
        assert_eq!(address_of(peer, &headers, 9), peer);
        headers.append("x-forwarded-for", HeaderValue::from_bytes(b"\xff, 1.2.3.5:4711").unwrap());
        assert_eq!(address_of(peer, &headers, 1), address("1.2.3.5"));
        headers.append("x-forwarded-for", HeaderValue::from_static("nonsense"));
        assert_eq!(address_of(peer, &headers, 1), peer);
    }

    #[test]
    fn one_household_is_one_client() {
        let client = |text| Client::of_address(address(text));
        assert_eq!(client("2001:db8:1:2::1"), client("2001:db8:1:2:ffff::9"));
        assert_ne!(client("2001:db8:1:2::1"), client("2001:db8:1:3::1"));
        assert_eq!(client("::ffff:1.2.3.4"), client("1.2.3.4"));
        assert_ne!(client("1.2.3.4"), client("1.2.3.5"));
    }

    #[test]
    fn the_log_tells_networks_and_no_addresses() {
        assert_eq!(Client::of_address(address("1.2.3.4")).to_string(), "1.2.3.0/24");
        assert_eq!(Client::of_address(address("2001:db8:1:2::1")).to_string(), "2001:db8:1::/48");
    }

    #[test]
    fn a_name_cannot_pass_for_an_address() {
        assert_ne!(
            Client::Named("1.2.3.4".to_owned()).key(),
            Client::of_address(address("1.2.3.4")).key()
        );
    }

    #[test]
    fn names_without_sense_are_refused() {
        let named = |value: &[u8]| {
            name_in(
                &HeaderMap::from_iter([(
                    NAME_HEADER.parse().unwrap(),
                    HeaderValue::from_bytes(value).unwrap(),
                )]),
                address("1.2.3.4"),
            )
        };
        assert_eq!(named(b"ada").unwrap(), Client::Named("ada".to_owned()));
        assert!(named(b"").is_err());
        assert!(named(&[b'x'; 129]).is_err());
        assert!(named(b"\xff").is_err());
    }
}
