//! The upstream: how it is asked, and what of its answers a client may see.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;

use crate::problem::Problem;
use crate::settings::Settings;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
const KEEPALIVE: Duration = Duration::from_secs(15);
/// Connections to the upstream that are kept for the next request.
const MAX_IDLE: usize = 64;
const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("frontdesk-relay/", env!("CARGO_PKG_VERSION")));
/// No explanation of an error is longer.
const MAX_ERROR_BYTES: usize = 64 * 1024;
const MAX_RETRY_AFTER_BYTES: usize = 64;

/// Asks over HTTP and HTTPS, with the roots that this machine trusts; follows no redirects.
#[derive(Clone, Debug)]
pub(crate) struct Web(Client<HttpsConnector<HttpConnector>, Body>);

impl Web {
    /// # Errors
    /// In words, where this machine trusts nobody.
    pub(crate) fn new() -> Result<Self, String> {
        let mut sockets = HttpConnector::new();
        sockets.set_connect_timeout(Some(CONNECT_TIMEOUT));
        sockets.set_nodelay(true);
        // A connection whose other end is gone without a word is not kept for the next request.
        sockets.set_keepalive(Some(KEEPALIVE));
        sockets.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(Arc::new(rustls::crypto::ring::default_provider()))
            .map_err(|error| format!("this machine's root certificates cannot be read: {error}"))?
            .https_or_http()
            // Connections of HTTP/2 are shared: one client that takes nothing would hold up all others.
            .enable_http1()
            .wrap_connector(sockets);
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE)
            .build(connector);
        Ok(Self(client))
    }

    pub(crate) async fn send(
        &self,
        mut request: Request<Body>,
    ) -> Result<Response<Incoming>, Error> {
        request.headers_mut().insert(header::USER_AGENT, AGENT);
        self.0.request(request).await
    }
}

/// The back office that requests are relayed to.
#[derive(Debug)]
pub(crate) struct Upstream {
    web: Web,
    address: Uri,
    /// With "Bearer"; marked as sensitive, so that it is not printed.
    authorization: Option<HeaderValue>,
    timeout: Duration,
}

/// A good answer, whose body is still to come.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) kind: Kind,
    pub(crate) body: Incoming,
}

/// No good answer.
#[derive(Debug)]
pub(crate) struct Unanswered {
    pub(crate) problem: Problem,
    /// The upstream did not hear of the request, or refused it; else it may have worked, and be paid.
    pub(crate) is_free: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// One JSON document.
    Whole,
    /// Server-sent events.
    Stream,
}

impl Upstream {
    /// None where no upstream is set.
    pub(crate) fn new(settings: &Settings, web: &Web) -> Result<Option<Self>, String> {
        let Some(address) = settings.upstream() else { return Ok(None) };
        let authorization = match &settings.upstream_key {
            None => None,
            Some(key) => {
                let mut value = HeaderValue::from_str(&format!("Bearer {key}"))
                    .map_err(|_| "the upstream's key cannot be sent".to_owned())?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        Ok(Some(Self {
            web: web.clone(),
            address: address.clone(),
            authorization,
            timeout: settings.upstream_timeout,
        }))
    }

    /// # Errors
    /// What a client may know of an answer that is not good, or did not come, and whether it costs nothing.
    pub(crate) async fn ask(
        &self,
        body: Vec<u8>,
        accept: Option<&HeaderValue>,
    ) -> Result<Answer, Unanswered> {
        let mut request = Request::new(Body::from(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.address.clone();
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(
            header::ACCEPT,
            accept.cloned().unwrap_or(HeaderValue::from_static("application/json")),
        );
        if let Some(authorization) = &self.authorization {
            headers.insert(header::AUTHORIZATION, authorization.clone());
        }
        match timeout(self.timeout, self.web.send(request)).await {
            Err(_) => Err(Unanswered { problem: too_late(), is_free: false }),
            Ok(Err(error)) => {
                tracing::warn!(error = %causes(&error), "the upstream could not be reached");
                let problem = Problem::new(
                    StatusCode::BAD_GATEWAY,
                    "upstream_unreachable",
                    "The back office could not be reached.",
                );
                Err(Unanswered { problem, is_free: error.is_connect() })
            }
            Ok(Ok(response)) => {
                let is_free = !response.status().is_success();
                self.judge(response).await.map_err(|problem| Unanswered { problem, is_free })
            }
        }
    }

    async fn judge(&self, response: Response<Incoming>) -> Result<Answer, Problem> {
        let (parts, body) = response.into_parts();
        let kind = kind_of(&parts.headers);
        if parts.status.is_success() {
            return kind.map(|kind| Answer { kind, body }).ok_or_else(malformed);
        }
        tracing::warn!(status = parts.status.as_u16(), "the upstream answered with an error");
        match parts.status {
            // Its words may hold parts of the key.
            StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN
            | StatusCode::PROXY_AUTHENTICATION_REQUIRED => Err(Problem::new(
                StatusCode::BAD_GATEWAY,
                "upstream_refused_key",
                "The back office does not let this server in.",
            )),
            StatusCode::TOO_MANY_REQUESTS => {
                let problem = Problem::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    "upstream_rate_limited",
                    "The back office has too much to do.",
                );
                Err(problem.retry_after_of(&parts.headers))
            }
            status if status.is_server_error() => {
                let problem = Problem::new(status, "upstream_failed", "The back office failed.");
                Err(problem.retry_after_of(&parts.headers))
            }
            status if status.is_client_error() => {
                let explained =
                    if kind == Some(Kind::Whole) { self.explanation(body).await } else { None };
                Err(Problem::new(
                    status,
                    "upstream_refused",
                    explained.unwrap_or_else(|| "The back office refuses this request.".to_owned()),
                ))
            }
            _ => Err(Problem::new(
                StatusCode::BAD_GATEWAY,
                "upstream_malformed",
                "The back office points elsewhere, where this server does not go.",
            )),
        }
    }

    /// What the upstream says is wrong with the request, such as a text that is too long for the model.
    async fn explanation(&self, body: Incoming) -> Option<String> {
        #[derive(serde::Deserialize)]
        struct Document {
            error: Explanation,
        }
        #[derive(serde::Deserialize)]
        struct Explanation {
            message: String,
        }
        let bytes = timeout(self.timeout, Limited::new(body, MAX_ERROR_BYTES).collect())
            .await
            .ok()?
            .ok()?
            .to_bytes();
        serde_json::from_slice::<Document>(&bytes).ok().map(|document| document.error.message)
    }
}

impl Problem {
    fn retry_after_of(self, headers: &HeaderMap) -> Self {
        let seconds = headers
            .get(header::RETRY_AFTER)
            .filter(|value| value.len() <= MAX_RETRY_AFTER_BYTES)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok());
        match seconds {
            Some(seconds) => self.after(Duration::from_secs(seconds)),
            None => self,
        }
    }
}

pub(crate) fn malformed() -> Problem {
    Problem::new(
        StatusCode::BAD_GATEWAY,
        "upstream_malformed",
        "The back office’s answer made no sense.",
    )
}

pub(crate) fn too_late() -> Problem {
    Problem::new(
        StatusCode::GATEWAY_TIMEOUT,
        "upstream_timeout",
        "The back office did not answer in time.",
    )
}

/// Other types, or compressed ones, are none that a chat completion has; a page of HTML must not be served under this server's name.
fn kind_of(headers: &HeaderMap) -> Option<Kind> {
    if headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return None;
    }
    let media_type = headers.get(header::CONTENT_TYPE)?.to_str().ok()?.split(';').next()?.trim();
    if media_type.eq_ignore_ascii_case("application/json") {
        Some(Kind::Whole)
    } else if media_type.eq_ignore_ascii_case("text/event-stream") {
        Some(Kind::Stream)
    } else {
        None
    }
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}
