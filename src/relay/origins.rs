//! Whose pages may ask: origins as browsers name them, and what a request says about where it comes from.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use axum::http::{HeaderMap, HeaderValue, Uri, header};

use crate::problem::Problem;

/// Scheme, host and perhaps port, written as browsers write them in the Origin header.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Origin(String);

impl Origin {
    /// As browsers write it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let address: Uri =
            text.trim_end_matches('/').parse().map_err(|_| "it cannot be read".to_owned())?;
        let (Some(scheme), Some(authority)) = (address.scheme_str(), address.authority()) else {
            return Err(
                "an origin has a scheme and a host, as in https://app.example.com".to_owned()
            );
        };
        if !matches!(address.path(), "" | "/")
            || address.query().is_some()
            || authority.as_str().contains('@')
        {
            return Err("an origin has no path: scheme, host and port only".to_owned());
        }
        let port = match (scheme, authority.port_u16()) {
            ("https", Some(443)) | ("http", Some(80)) | (_, None) => String::new(),
            (_, Some(port)) => format!(":{port}"),
        };
        Ok(Self(format!("{scheme}://{}{port}", authority.host()).to_ascii_lowercase()))
    }
}

/// Who may ask.
#[derive(Clone, Debug)]
pub(crate) struct Allowed {
    origins: Vec<Origin>,
    /// The names that it answers to, where nobody else can reach it: its own, and those of the origins, for a web server before it.
    hosts: Option<Vec<String>>,
}

impl Allowed {
    pub(crate) fn new(mut origins: Vec<Origin>, address: IpAddr, port: u16) -> Self {
        if !address.is_loopback() {
            return Self { origins, hosts: None };
        }
        let own = [
            SocketAddr::new(address, port).to_string(),
            format!("localhost:{port}"),
            format!("127.0.0.1:{port}"),
            format!("[::1]:{port}"),
        ];
        // A port that browsers leave out is left out here too.
        origins.extend(own.iter().filter_map(|host| format!("http://{host}").parse().ok()));
        let names = origins
            .iter()
            .filter_map(|origin| Some(host_of(origin.as_str().split_once("://")?.1)?.to_owned()));
        let hosts = Some(names.collect());
        Self { origins, hosts }
    }

    /// The value for Access-Control-Allow-Origin, where this origin may ask.
    pub(crate) fn allows(&self, origin: &HeaderValue) -> bool {
        self.origins.iter().any(|allowed| allowed.as_str().as_bytes() == origin.as_bytes())
    }

    /// A foreign name that resolves to this machine must not make this server that name's own.
    pub(crate) fn check_host(
        &self,
        headers: &HeaderMap,
        of_uri: Option<&str>,
    ) -> Result<(), Problem> {
        let Some(hosts) = &self.hosts else { return Ok(()) };
        let host = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok())
            .or(of_uri)
            .and_then(host_of);
        let is_known =
            host.is_some_and(|host| hosts.iter().any(|known| known.eq_ignore_ascii_case(host)));
        if is_known { Ok(()) } else { Err(Problem::wrong_host()) }
    }

    /// The key is spent on behalf of known pages only. Browsers name the origin of every POST; programs name none, and are
    /// stopped by authentication and limits.
    pub(crate) fn check_origin(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let allowed = match headers.get(header::ORIGIN) {
            Some(origin) => self.allows(origin),
            None => headers
                .get("sec-fetch-site")
                .is_none_or(|site| site == "same-origin" || site == "none"),
        };
        if allowed { Ok(()) } else { Err(Problem::foreign_origin()) }
    }
}

/// Without the port.
fn host_of(authority: &str) -> Option<&str> {
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let host = authority
        .rsplit_once(':')
        .filter(|(_, port)| is_port(port))
        .map_or(authority, |(host, _)| host);
    (!host.is_empty()).then_some(host)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn with(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().unwrap(), HeaderValue::from_static(value))])
    }

    #[test]
    fn origins_are_read_as_browsers_write_them() {
        for (given, written) in [
            ("https://App.Example.com/", "https://app.example.com"),
            ("https://app.example.com:443", "https://app.example.com"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("chrome-extension://abcdefghijklmnop", "chrome-extension://abcdefghijklmnop"),
        ] {
            assert_eq!(given.parse::<Origin>().unwrap().as_str(), written);
        }
        for wrong in
            ["*", "null", "app.example.com", "https://a.example/path", "https://user@a.example", ""]
        {
            assert!(wrong.parse::<Origin>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_listed_origins_and_the_own_ones_may_ask() {
        let allowed = Allowed::new(
            vec!["https://app.example.com".parse().unwrap()],
            Ipv4Addr::LOCALHOST.into(),
            8080,
        );
        for origin in ["https://app.example.com", "http://127.0.0.1:8080", "http://localhost:8080"]
        {
            assert!(allowed.check_origin(&with("origin", origin)).is_ok(), "{origin}");
        }
        for origin in [
            "https://evil.example",
            "http://app.example.com",
            "null",
            "http://127.0.0.1:9",
            "https://app.example.com.evil.example",
        ] {
            assert!(allowed.check_origin(&with("origin", origin)).is_err(), "{origin}");
        }
        assert!(allowed.check_origin(&HeaderMap::new()).is_ok());
        assert!(allowed.check_origin(&with("sec-fetch-site", "cross-site")).is_err());
        let reachable = Allowed::new(Vec::new(), Ipv4Addr::UNSPECIFIED.into(), 8080);
        assert!(reachable.check_origin(&with("origin", "http://127.0.0.1:8080")).is_err());
    }

    #[test]
    fn a_foreign_name_for_this_machine_is_refused() {
        let own = Allowed::new(Vec::new(), Ipv4Addr::LOCALHOST.into(), 8080);
        for host in ["127.0.0.1:8080", "LOCALHOST:8080", "localhost", "[::1]:8080"] {
            assert!(own.check_host(&with("host", host), None).is_ok(), "{host}");
        }
        for host in ["evil.example:8080", "127.0.0.1.evil.example", "", "[::2]:8080"] {
            assert!(own.check_host(&with("host", host), None).is_err(), "{host}");
        }
        let behind = Allowed::new(
            vec!["https://app.example.com".parse().unwrap()],
            Ipv4Addr::LOCALHOST.into(),
            8080,
        );
        assert!(behind.check_host(&with("host", "app.example.com"), None).is_ok());
        assert!(behind.check_host(&with("host", "evil.example"), None).is_err());
        let reachable = Allowed::new(Vec::new(), Ipv4Addr::UNSPECIFIED.into(), 8080);
        assert!(reachable.check_host(&with("host", "app.example.com"), None).is_ok());
    }
}
