//! What an operator sets: options of the command line, each of them also a variable of the environment.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use axum::http::Uri;
use clap::Parser;
use tracing::level_filters::LevelFilter;

use crate::origins::Origin;

/// Serves the Frontdesk demo, and relays /v1/chat/completions to any OpenAI-compatible upstream.
///
/// The upstream's key comes from the environment alone (FRONTDESK_UPSTREAM_KEY): options are seen by everyone who may
/// list this machine's processes.
#[allow(
    rustdoc::bare_urls,
    reason = "these words are also the help of the program, which has no markup"
)]
#[derive(Clone, Debug, Parser)]
#[command(name = "frontdesk-relay", version, args_override_self = true)]
#[non_exhaustive]
pub struct Settings {
    /// Port to listen at; 0 takes a free one.
    #[arg(long, default_value_t = 8080)]
    pub port: u16,
    /// Address to listen at. Others than the loopback addresses want --origin too.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST), env = "FRONTDESK_ADDRESS")]
    pub address: IpAddr,
    /// Folder of the built demo; without it no page is served.
    #[arg(long, env = "FRONTDESK_PAGE")]
    pub page: Option<PathBuf>,
    /// Folder of the model files, served below /models/.
    #[arg(long, env = "FRONTDESK_MODELS")]
    pub models: Option<PathBuf>,
    /// Leave out COOP and COEP, as most sites do: pages then have one thread.
    #[arg(long)]
    pub no_isolation: bool,

    /// Chat-completions address of the upstream, e.g. https://api.example.com/v1/chat/completions
    #[arg(long, env = "FRONTDESK_UPSTREAM_URL", value_parser = web_address)]
    pub upstream: Option<WebAddress>,
    /// The upstream's key, sent as a bearer token.
    #[arg(skip)]
    pub upstream_key: Option<String>,
    /// Model name to ask for; replaces that of the request.
    #[arg(long, env = "FRONTDESK_UPSTREAM_MODEL", value_parser = not_empty)]
    pub upstream_model: Option<Given>,

    /// An origin whose pages may ask, such as https://app.example.com or chrome-extension://ID; may be repeated. The server's
    /// own loopback origins always may.
    #[arg(long = "origin", env = "FRONTDESK_ORIGINS", value_delimiter = ',')]
    pub origins: Vec<Origin>,
    /// Address that is asked about each request (GET, with its Authorization and Cookie headers): 2xx lets it through and may name
    /// the client in X-Frontdesk-Client; 401 and 403 are passed on; all else is a refusal.
    #[arg(long, env = "FRONTDESK_AUTH_URL", value_parser = some_web_address)]
    pub auth: Option<Uri>,
    /// How many proxies before this server append to X-Forwarded-For; with 0 that header is not believed.
    #[arg(long, env = "FRONTDESK_TRUSTED_PROXIES", default_value_t = 0)]
    pub trusted_proxies: usize,

    /// Requests that a client may make in a minute, on average.
    #[arg(long, env = "FRONTDESK_RATE", default_value = "60", value_parser = rate)]
    pub rate: NonZeroU32,
    /// Requests that a client may make at once.
    #[arg(long, env = "FRONTDESK_BURST", default_value = "20")]
    pub burst: NonZeroU32,
    /// Tokens, read and written, that a client may spend in a day (UTC).
    #[arg(long, env = "FRONTDESK_CLIENT_BUDGET", default_value_t = 200_000, value_parser = tokens())]
    pub client_budget: u64,
    /// Tokens that all clients together may spend in a day (UTC).
    #[arg(long, env = "FRONTDESK_TOTAL_BUDGET", default_value_t = 20_000_000, value_parser = tokens())]
    pub total_budget: u64,
    /// Tokens that an answer is taken to have until it is known, where the request sets no maximum.
    #[arg(long, env = "FRONTDESK_EXPECTED_ANSWER", default_value_t = 1024, value_parser = tokens())]
    pub expected_answer: u64,
    /// Where several of these servers keep their limits together, e.g. redis://127.0.0.1/; without it each has its own.
    #[arg(long, env = "FRONTDESK_REDIS_URL", hide_env_values = true)]
    pub redis: Option<String>,

    /// Bytes that a request may have.
    #[arg(long, env = "FRONTDESK_MAX_BODY", default_value_t = 256 * 1024)]
    pub max_body: usize,
    /// Bytes that an answer may have.
    #[arg(long, env = "FRONTDESK_MAX_ANSWER", default_value_t = 4 * 1024 * 1024)]
    pub max_answer: u64,
    /// Requests that are relayed at once.
    #[arg(long, env = "FRONTDESK_MAX_REQUESTS", default_value_t = 2048)]
    pub max_requests: usize,
    /// Connections that are open at once.
    #[arg(long, env = "FRONTDESK_MAX_CONNECTIONS", default_value_t = 8192)]
    pub max_connections: usize,
    /// Seconds for a client to send its request, and for each piece of an answer to be taken.
    #[arg(long, env = "FRONTDESK_CLIENT_TIMEOUT", default_value = "30", value_parser = seconds)]
    pub client_timeout: Duration,
    /// Seconds for the upstream to begin its answer, and between two pieces of it.
    #[arg(long, env = "FRONTDESK_UPSTREAM_TIMEOUT", default_value = "60", value_parser = seconds)]
    pub upstream_timeout: Duration,
    /// Seconds for a whole answer.
    #[arg(long, env = "FRONTDESK_ANSWER_TIMEOUT", default_value = "300", value_parser = seconds)]
    pub answer_timeout: Duration,
    /// Seconds that running answers have when the server is told to end.
    #[arg(long, env = "FRONTDESK_GRACE", default_value = "30", value_parser = seconds)]
    pub grace: Duration,
    /// Where /metrics is served for Prometheus, e.g. 127.0.0.1:9464; not on the public port.
    #[arg(long, env = "FRONTDESK_METRICS")]
    pub metrics: Option<SocketAddr>,
    /// What is logged: error, warn, info (a line for each completion), or debug (a line for each file too).
    #[arg(long, env = "FRONTDESK_LOG", default_value = "info")]
    pub log: LevelFilter,
}

/// An option's value, where an empty one means that it was not given.
pub type Given = Option<String>;

/// An http or https address, or none where it was left empty.
pub type WebAddress = Option<Uri>;

impl Settings {
    /// From the command line and the environment; ends the program where they make no sense.
    pub fn from_environment() -> Self {
        let mut settings = Self::parse();
        settings.upstream_key =
            std::env::var("FRONTDESK_UPSTREAM_KEY").ok().filter(|key| !key.is_empty());
        settings
    }

    /// What `arguments` say, without the environment's key; the first is the program's name.
    ///
    /// # Errors
    /// Where an argument is unknown or has no sense.
    pub fn from_arguments<'a>(
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, clap::Error> {
        Self::try_parse_from(arguments)
    }

    /// The upstream's address, where one is set.
    pub fn upstream(&self) -> Option<&Uri> {
        self.upstream.as_ref()?.as_ref()
    }

    /// What can only be wrong of several settings together, in words for the operator.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), String> {
        if !self.address.is_loopback() && self.upstream().is_some() && self.origins.is_empty() {
            return Err(format!(
                "listening at {} means that others can reach this server: name the origins of your pages with --origin",
                self.address
            ));
        }
        for folder in [&self.page, &self.models].into_iter().flatten() {
            if !folder.is_dir() {
                return Err(format!("there is no folder {}", folder.display()));
            }
        }
        if let Some(key) = &self.upstream_key
            && !key.bytes().all(|byte| (0x21..0x7f).contains(&byte))
        {
            return Err("FRONTDESK_UPSTREAM_KEY has characters that no header can carry".to_owned());
        }
        Ok(())
    }
}

/// Budgets are exact up to here, in whatever keeps them.
pub(crate) const MOST_TOKENS: u64 = 1 << 53;

fn tokens() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(1..=MOST_TOKENS)
}

/// Redis keeps times in microseconds, so there are no shorter intervals.
fn rate(text: &str) -> Result<NonZeroU32, String> {
    match text.parse() {
        Ok(rate) if NonZeroU32::get(rate) <= 60_000_000 => Ok(rate),
        _ => Err("it is not a whole number from 1 to 60000000".to_owned()),
    }
}

fn web_address(text: &str) -> Result<WebAddress, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let address: Uri = text.parse().map_err(|_| "it cannot be read".to_owned())?;
    match (address.scheme_str(), address.authority()) {
        (Some("http" | "https"), Some(authority)) if !authority.as_str().contains('@') => {
            Ok(Some(address))
        }
        (Some("http" | "https"), Some(_)) => {
            Err("names and passwords do not belong into it".to_owned())
        }
        _ => Err("it is not an http(s) address".to_owned()),
    }
}

/// Who sets a hook and leaves it empty must not be left without one.
fn some_web_address(text: &str) -> Result<Uri, String> {
    web_address(text)?.ok_or_else(|| "it is empty".to_owned())
}

#[expect(clippy::unnecessary_wraps, reason = "the parser of an option returns a Result")]
fn not_empty(text: &str) -> Result<Given, String> {
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "it is not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| "it is not a length of time".to_owned())
        .and_then(
            |time| {
                if time.is_zero() { Err("it must be above 0".to_owned()) } else { Ok(time) }
            },
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&'static str]) -> Result<Settings, clap::Error> {
        Settings::from_arguments([&["frontdesk-relay"], arguments].concat())
    }

    #[test]
    fn others_may_reach_it_only_with_origins() {
        let reachable =
            ["--address", "0.0.0.0", "--upstream", "https://api.example.com/v1/chat/completions"];
        assert!(parse(&reachable).unwrap().check().unwrap_err().contains("--origin"));
        let named = [&reachable[..], &["--origin", "https://app.example.com"]].concat();
        assert_eq!(parse(&named).unwrap().check(), Ok(()));
        assert_eq!(parse(&[]).unwrap().check(), Ok(()));
    }

    #[test]
    fn addresses_are_of_the_web_and_hold_no_password() {
        for wrong in ["ftp://x/", "api.example.com", "https://user:secret@api.example.com/", "/v1"]
        {
            assert!(parse(&["--upstream", wrong]).is_err(), "{wrong}");
        }
        assert!(parse(&["--upstream", ""]).unwrap().upstream().is_none());
        assert!(parse(&["--auth", ""]).is_err(), "an empty hook is no hook");
    }

    #[test]
    fn a_key_that_no_header_can_carry_is_refused() {
        let mut settings = parse(&[]).unwrap();
        settings.upstream_key = Some("two\nlines".to_owned());
        assert!(settings.check().unwrap_err().contains("FRONTDESK_UPSTREAM_KEY"));
    }

    #[test]
    fn times_are_above_zero() {
        for wrong in ["0", "-1", "soon", "inf", "NaN"] {
            let argument = format!("--grace={wrong}");
            assert!(Settings::from_arguments(["frontdesk-relay", &argument]).is_err(), "{wrong}");
        }
        assert_eq!(parse(&["--grace", "0.5"]).unwrap().grace, Duration::from_millis(500));
    }
}
