//! What Prometheus is told, and how it asks: counters, gauges and histograms without any text of a request.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::usage::Usage;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Seconds: from an error that costs nothing to the longest answer.
const SECONDS: [f64; 12] = [0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

/// How requests end: `answered`, or the code of a problem.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Direction {
    direction: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Status {
    status: u16,
}

/// All metrics of a server.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Outcome, Counter>,
    seconds: Histogram,
    first_byte_seconds: Histogram,
    tokens: Family<Direction, Counter>,
    files: Family<Status, Counter>,
    pub(crate) answer_bytes: Counter,
    pub(crate) running: Gauge,
    pub(crate) connections: Gauge,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("frontdesk_relay");
        let requests = Family::default();
        let seconds = Histogram::new(SECONDS);
        let first_byte_seconds = Histogram::new(SECONDS);
        let tokens = Family::default();
        let files = Family::default();
        let (answer_bytes, running, connections) =
            (Counter::default(), Gauge::default(), Gauge::default());
        registry.register(
            "requests",
            "Completion requests that have ended, by how",
            requests.clone(),
        );
        registry.register_with_unit(
            "request",
            "Time from a request's head to the end of its answer",
            Unit::Seconds,
            seconds.clone(),
        );
        registry.register_with_unit(
            "first_byte",
            "Time from a request's head to the first byte of the upstream's answer",
            Unit::Seconds,
            first_byte_seconds.clone(),
        );
        registry.register(
            "tokens",
            "Tokens spent at the upstream, reported or estimated",
            tokens.clone(),
        );
        registry.register("files", "Requests for files and pages, by status", files.clone());
        registry.register_with_unit(
            "answer",
            "Bytes of answers passed on",
            Unit::Bytes,
            answer_bytes.clone(),
        );
        registry.register("running", "Completion requests that are running", running.clone());
        registry.register("connections", "Open connections", connections.clone());
        Self {
            registry,
            requests,
            seconds,
            first_byte_seconds,
            tokens,
            files,
            answer_bytes,
            running,
            connections,
        }
    }

    pub(crate) fn first_byte(&self, after: Duration) {
        self.first_byte_seconds.observe(after.as_secs_f64());
    }

    pub(crate) fn ended(&self, outcome: &'static str, after: Duration) {
        self.requests.get_or_create(&Outcome { outcome }).inc();
        self.seconds.observe(after.as_secs_f64());
    }

    pub(crate) fn spent(&self, usage: Usage) {
        self.tokens.get_or_create(&Direction { direction: "read" }).inc_by(usage.read);
        self.tokens.get_or_create(&Direction { direction: "written" }).inc_by(usage.written);
    }

    pub(crate) fn file(&self, status: StatusCode) {
        self.files.get_or_create(&Status { status: status.as_u16() }).inc();
    }

    fn page(&self) -> Response {
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
            Err(error) => {
                tracing::error!(%error, "the metrics cannot be written");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}

/// What the port for Prometheus serves.
pub(crate) fn routes(metrics: Arc<Metrics>) -> Router {
    Router::new().route("/metrics", get(move || async move { metrics.page() }))
}

/// Counts itself while it lives.
#[derive(Debug)]
pub(crate) struct Counted(Gauge);

impl Counted {
    pub(crate) fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}
