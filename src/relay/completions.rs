//! `/v1/chat/completions`: who asks, may they, what do they ask, and the upstream's answer as it comes.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::Ipv4Addr;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use crate::client::{self, Client, Hook};
use crate::origins::Allowed;
use crate::problem::Problem;
use crate::record::{Books, Cost, Record};
use crate::server::Peer;
use crate::settings::Settings;
use crate::upstream::{Answer, Kind, Unanswered, Upstream, Web, malformed, too_late};
use crate::usage::{StreamMeter, estimate, of_document};

/// A body that is too large is read so many times further, so that its sender hears why it was refused.
const DRAINED: usize = 8;
/// Where an operator sets it, and what clients are told by.
const REQUEST_ID: &str = "x-request-id";
/// Of a whole answer; between two of them the time is looked at.
const PIECE_BYTES: usize = 32 * 1024;
const MAX_PARALLEL_ANSWERS: u64 = 128;

/// What relaying needs.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) settings: Settings,
    pub(crate) allowed: Arc<Allowed>,
    pub(crate) web: Web,
    pub(crate) hook: Option<Hook>,
    pub(crate) upstream: Option<Upstream>,
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) books: Arc<Books>,
}

/// A good answer, and what it holds while it is passed on.
struct Granted {
    answer: Answer,
    /// Tokens of the request, about.
    read: u64,
    slot: OwnedSemaphorePermit,
}

/// A body that made sense.
struct Question {
    body: Vec<u8>,
    /// Tokens of the request, about.
    read: u64,
    /// Tokens of the answer, at the most or about.
    written: u64,
}

pub(crate) async fn handle(State(desk): State<Arc<Desk>>, request: Request) -> Response {
    let mut record = Record::begin(&desk.books);
    let id = HeaderValue::from_str(record.id());
    let mut response = match desk.answer(request, &mut record).await {
        Ok(answer) => desk.pass_on(answer, record).await,
        Err(problem) => refuse(problem, record),
    };
    if let Ok(id) = id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn refuse(problem: Problem, mut record: Record) -> Response {
    record.outcome = problem.code();
    problem.into_response()
}

impl Desk {
    async fn answer(&self, request: Request, record: &mut Record) -> Result<Granted, Problem> {
        let (parts, body) = request.into_parts();
        if parts.method != Method::POST {
            return Err(Problem::method_not_allowed("POST"));
        }
        let upstream = self.upstream.as_ref().ok_or_else(|| {
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "no_upstream",
                "No back office is configured. Set FRONTDESK_UPSTREAM_URL and start again.",
            )
        })?;
        self.allowed.check_origin(&parts.headers)?;
        check_type(&parts.headers)?;

        let peer =
            parts.extensions.get::<Peer>().map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.0);
        let from = client::address_of(peer, &parts.headers, self.settings.trusted_proxies);
        let client = match &self.hook {
            Some(hook) => hook.ask(&self.web, &parts.headers, from).await?,
            None => Client::of_address(from),
        };
        record.of(client.clone());
        self.books.limits.admit(&client).await?;

        let body =
            timeout(self.settings.client_timeout, self.read(body)).await.map_err(|_| {
                Problem::new(
                    StatusCode::REQUEST_TIMEOUT,
                    "request_timeout",
                    "The request did not come in time.",
                )
            })??;
        record.has_body(body.len());
        let question = self.understand(&body)?;
        let slot = Arc::clone(&self.slots).try_acquire_owned().map_err(|_| {
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "overloaded",
                "This server has too much to do. Wait a little.",
            )
            .after(Duration::from_secs(1))
        })?;
        let reservation =
            self.books.reserve(&client, question.read.saturating_add(question.written)).await?;
        record.has_reserved(reservation);
        record.cost = Cost::Unknown;
        match upstream.ask(question.body, parts.headers.get(header::ACCEPT)).await {
            Ok(answer) => {
                record.first_byte();
                Ok(Granted { answer, read: question.read, slot })
            }
            Err(Unanswered { problem, is_free }) => {
                if is_free {
                    record.cost = Cost::Nothing;
                }
                Err(problem)
            }
        }
    }

    async fn read(&self, body: Body) -> Result<Vec<u8>, Problem> {
        let most = self.settings.max_body;
        let too_large = || {
            Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "body_too_large",
                format!("At most {most} bytes are passed on."),
            )
        };
        let mut body = Limited::new(body, most.saturating_mul(DRAINED));
        let mut bytes = Vec::new();
        let mut length = 0;
        while let Some(frame) = body.frame().await {
            // An error is far too large a body, or its sender is gone and hears nothing.
            let Ok(piece) = frame.map_err(|_| too_large())?.into_data() else { continue };
            length += piece.len();
            if length <= most {
                bytes.extend_from_slice(&piece);
            }
        }
        if length <= most { Ok(bytes) } else { Err(too_large()) }
    }

    /// Everything is passed on as it is, but for the model's name where the operator has set one.
    fn understand(&self, body: &[u8]) -> Result<Question, Problem> {
        let mut fields: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(body)
            .map_err(|_| Problem::bad_json("The body is not a JSON object."))?;
        let answers = positive(&fields, "n")?.unwrap_or(1);
        if answers > MAX_PARALLEL_ANSWERS {
            return Err(Problem::bad_json(format!("n is at most {MAX_PARALLEL_ANSWERS}.")));
        }
        // Which of the two an upstream heeds is not known here.
        let longest = positive(&fields, "max_completion_tokens")?
            .max(positive(&fields, "max_tokens")?)
            .unwrap_or(self.settings.expected_answer);
        if fields.get("stream").is_some_and(|value| value.get() == "true") {
            ask_for_usage(&mut fields)?;
        }
        if let Some(model) = self.settings.upstream_model.as_ref().and_then(Option::as_ref)
            && let Ok(name) = to_raw_value(model)
        {
            fields.insert("model".to_owned(), name);
        }
        let body = serde_json::to_vec(&fields)
            .map_err(|_| Problem::bad_json("The body cannot be passed on."))?;
        Ok(Question { read: estimate(body.len()), written: longest.saturating_mul(answers), body })
    }

    async fn pass_on(&self, granted: Granted, mut record: Record) -> Response {
        let Granted { answer: Answer { kind, body }, read, slot } = granted;
        let deadline = Instant::now() + self.settings.answer_timeout;
        match kind {
            Kind::Stream => {
                let passing = Passing {
                    body,
                    meter: StreamMeter::new(read),
                    deadline,
                    record,
                    pause: self.settings.upstream_timeout,
                    most: self.settings.max_answer,
                    _slot: slot,
                };
                let body = Body::from_stream(stream::try_unfold(passing, Passing::next));
                ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response()
            }
            Kind::Whole => match within(deadline, self.collect(body)).await {
                Ok(bytes) => match of_document(&bytes, read) {
                    Some(usage) => {
                        record.cost = Cost::Known(usage);
                        let length = bytes.len();
                        let handing = Handing { bytes, deadline, record, _slot: slot };
                        let body = Body::from_stream(stream::try_unfold(handing, Handing::next));
                        let head = [
                            (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
                            (header::CONTENT_LENGTH, length.into()),
                        ];
                        (head, body).into_response()
                    }
                    None => refuse(malformed(), record),
                },
                Err(problem) => refuse(problem, record),
            },
        }
    }

    async fn collect(&self, body: Incoming) -> Result<Bytes, Problem> {
        let most = usize::try_from(self.settings.max_answer).unwrap_or(usize::MAX);
        Limited::new(body, most).collect().await.map(http_body_util::Collected::to_bytes).map_err(
            |_| {
                Problem::new(
                    StatusCode::BAD_GATEWAY,
                    "upstream_cut",
                    "The back office’s answer broke off, or is too long.",
                )
            },
        )
    }
}

/// What stands in a field that wants a whole number above 0; other numbers would be read one way here and another way there.
fn positive(fields: &BTreeMap<String, Box<RawValue>>, name: &str) -> Result<Option<u64>, Problem> {
    match fields.get(name).map(|value| value.get()) {
        None | Some("null") => Ok(None),
        Some(text) => match text.parse::<NonZeroU64>() {
            Ok(number) => Ok(Some(number.get())),
            Err(_) => Err(Problem::bad_json(format!("{name} is a whole number above 0."))),
        },
    }
}

/// Else a client could choose that its tokens are guessed.
fn ask_for_usage(fields: &mut BTreeMap<String, Box<RawValue>>) -> Result<(), Problem> {
    const NAME: &str = "stream_options";
    let given = fields.get(NAME).map_or("null", |value| value.get());
    let options: Option<BTreeMap<String, Box<RawValue>>> = serde_json::from_str(given)
        .map_err(|_| Problem::bad_json(format!("{NAME} is an object.")))?;
    let mut options = options.unwrap_or_default();
    if let Ok(yes) = to_raw_value(&true) {
        options.insert("include_usage".to_owned(), yes);
    }
    if let Ok(options) = to_raw_value(&options) {
        fields.insert(NAME.to_owned(), options);
    }
    Ok(())
}

async fn within<T>(
    deadline: Instant,
    work: impl Future<Output = Result<T, Problem>>,
) -> Result<T, Problem> {
    timeout_at(deadline, work).await.unwrap_or_else(|_| Err(too_late()))
}

fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    let is_json = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| {
            value.split(';').next().is_some_and(|media_type| {
                media_type.trim().eq_ignore_ascii_case("application/json")
            })
        });
    if is_json && !headers.contains_key(header::CONTENT_ENCODING) {
        Ok(())
    } else {
        Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", "Send application/json."))
    }
}

/// A streamed answer on its way. Dropped early where the client goes away or takes nothing for too long: then the upstream's connection
/// ends too.
struct Passing {
    body: Incoming,
    meter: StreamMeter,
    deadline: Instant,
    pause: Duration,
    most: u64,
    record: Record,
    _slot: OwnedSemaphorePermit,
}

/// A whole answer on its way: until it is taken it counts as running.
struct Handing {
    bytes: Bytes,
    deadline: Instant,
    record: Record,
    _slot: OwnedSemaphorePermit,
}

impl Handing {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, BrokenOff> {
        if self.bytes.is_empty() {
            return Ok(None);
        }
        if Instant::now() >= self.deadline {
            self.record.outcome = "client_too_slow";
            return Err(BrokenOff("client_too_slow"));
        }
        let piece = self.bytes.split_to(self.bytes.len().min(PIECE_BYTES));
        self.record.passed_on(piece.len());
        if self.bytes.is_empty() {
            // Its length is known, so nobody asks for more than the last piece.
            self.record.outcome = "answered";
        }
        Ok(Some((piece, self)))
    }
}

/// Why an answer breaks off. The client sees its connection end in the midst of the body, and so takes no half answer for a whole one.
#[derive(Debug)]
struct BrokenOff(&'static str);

impl std::fmt::Display for BrokenOff {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.0)
    }
}

impl std::error::Error for BrokenOff {}

impl Passing {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, BrokenOff> {
        loop {
            if Instant::now() >= self.deadline {
                return Err(self.break_off("upstream_timeout"));
            }
            let patience = self.deadline.min(Instant::now() + self.pause);
            let frame = match timeout_at(patience, self.body.frame()).await {
                Err(_) => return Err(self.break_off("upstream_timeout")),
                Ok(Some(Err(_))) => return Err(self.break_off("upstream_cut")),
                Ok(None) => {
                    self.record.outcome =
                        if self.meter.is_done() { "answered" } else { "upstream_unfinished" };
                    return Ok(None);
                }
                Ok(Some(Ok(frame))) => frame,
            };
            // Trailers say nothing that a client waits for.
            let Ok(piece) = frame.into_data() else { continue };
            if self.record.answer_bytes.saturating_add(piece.len() as u64) > self.most {
                return Err(self.break_off("answer_too_long"));
            }
            self.meter.see(&piece);
            if let Some(usage) = self.meter.usage() {
                self.record.cost = Cost::Known(usage);
            }
            self.record.passed_on(piece.len());
            return Ok(Some((piece, self)));
        }
    }

    fn break_off(&mut self, outcome: &'static str) -> BrokenOff {
        self.record.outcome = outcome;
        BrokenOff(outcome)
    }
}
