//! What a client is told when its request is not answered: a status, a code and a sentence, in the shape that OpenAI-compatible clients read.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Why a request was not answered.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    /// For programs; also the label in metrics and log.
    code: &'static str,
    message: String,
    retry_after: Option<u64>,
    /// Methods that are possible.
    allow: Option<&'static str>,
    /// How the client may say who it is, in the words of the authentication hook.
    authenticate: Option<HeaderValue>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            retry_after: None,
            allow: None,
            authenticate: None,
        }
    }

    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    /// Rounded up to whole seconds, one at least: the header knows no less.
    pub(crate) fn after(mut self, wait: Duration) -> Self {
        self.retry_after =
            Some(wait.as_secs() + u64::from(wait.subsec_nanos() > 0 || wait.is_zero()));
        self
    }

    pub(crate) fn authenticate(mut self, how: Option<HeaderValue>) -> Self {
        self.authenticate = how;
        self
    }

    pub(crate) fn wrong_host() -> Self {
        Self::new(
            StatusCode::MISDIRECTED_REQUEST,
            "wrong_host",
            "This server answers to 127.0.0.1 and localhost only.",
        )
    }

    pub(crate) fn foreign_origin() -> Self {
        Self::new(StatusCode::FORBIDDEN, "foreign_origin", "This page may not ask here.")
    }

    pub(crate) fn bad_json(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_json", message)
    }

    /// Without limits nobody is let through: they are what stands between a client and the operator's bill.
    pub(crate) fn unavailable_limits() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "limits_unavailable",
            "Limits cannot be checked at the moment.",
        )
        .after(Duration::from_secs(5))
    }

    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "There is no such file.")
    }

    pub(crate) fn method_not_allowed(allow: &'static str) -> Self {
        Self {
            allow: Some(allow),
            ..Self::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                format!("Use {allow}."),
            )
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self { status, code, message, retry_after, allow, authenticate } = self;
        let body = Json(
            json!({ "error": { "code": code, "message": message, "type": "frontdesk_relay" } }),
        );
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some(methods) = allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(methods));
        }
        if let Some(how) = authenticate {
            headers.insert(header::WWW_AUTHENTICATE, how);
        }
        response
    }
}
