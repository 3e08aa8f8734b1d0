//! What the relay's tests share: the program as a process, an upstream that can be told how to misbehave, and a plain client.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::response::IntoResponse;
use axum::routing::any;
use futures_util::stream;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Notify;

pub(crate) const COMPLETIONS: &str = "/v1/chat/completions";
pub(crate) const KEY: &str = "sk-only-the-relay-knows";
/// What an answer is waited for at most; no test waits so long for a good one.
const PATIENCE: Duration = Duration::from_secs(20);

/// The program, running; killed when it is dropped.
pub(crate) struct Relay {
    child: Child,
    pub(crate) address: SocketAddr,
    metrics: SocketAddr,
    log: Arc<Mutex<String>>,
}

impl Relay {
    pub(crate) async fn start(upstream: Option<&Upstream>, options: &[&str]) -> Self {
        Self::try_start(upstream, options)
            .await
            .unwrap_or_else(|words| panic!("the relay did not start: {words}"))
    }

    /// What it says where it does not start.
    pub(crate) async fn try_start(
        upstream: Option<&Upstream>,
        options: &[&str],
    ) -> Result<Self, String> {
        Self::start_with(upstream, options, &[]).await
    }

    pub(crate) async fn start_with(
        upstream: Option<&Upstream>,
        options: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<Self, String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_frontdesk-relay"));
        command.args(["--port", "0", "--metrics", "127.0.0.1:0"]).args(options);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FRONTDESK_")) {
            command.env_remove(name);
        }
        if let Some(upstream) = upstream {
            command
                .env("FRONTDESK_UPSTREAM_URL", upstream.url())
                .env("FRONTDESK_UPSTREAM_KEY", KEY);
        }
        command.envs(environment.iter().copied());
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let mut errors = child.stderr.take().unwrap();
        let kept = Arc::clone(&log);
        let reading = tokio::spawn(async move {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = errors.read(&mut piece).await {
                kept.lock().unwrap().push_str(&String::from_utf8_lossy(&piece[..length]));
            }
        });
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut addresses = Vec::new();
        while addresses.len() < 2 {
            match lines.next_line().await.unwrap() {
                Some(line) => addresses.extend(
                    line.split("http://")
                        .nth(1)
                        .map(|rest| rest.split('/').next().unwrap().parse::<SocketAddr>().unwrap()),
                ),
                None => {
                    reading.await.unwrap();
                    return Err(log.lock().unwrap().clone());
                }
            }
        }
        Ok(Self { child, address: addresses[0], metrics: addresses[1], log })
    }

    pub(crate) async fn post(&self, body: &str) -> Answer {
        self.send(ask(body)).await
    }

    /// The answer's head; its body is still to come.
    pub(crate) async fn open(&self, request: Request<Full<Bytes>>) -> Response<Incoming> {
        open_at(self.address, request).await
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        send_to(self.address, request).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Full::default()).unwrap()).await
    }

    pub(crate) async fn metrics(&self) -> String {
        let request =
            Request::get(format!("http://{}/metrics", self.metrics)).body(Full::default()).unwrap();
        let body =
            http().request(request).await.unwrap().into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(body.to_vec()).unwrap()
    }

    /// One sample, by its whole name with labels; 0 where there is none.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let text = self.metrics().await;
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
            .map_or(0.0, |value| value.parse().unwrap())
    }

    /// Waits until a sample has this value.
    pub(crate) async fn expect_metric(&self, name: &str, value: f64) {
        eventually(&format!("{name} {value}"), || async {
            (self.metric(name).await - value).abs() < f64::EPSILON
        })
        .await;
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn terminate(&self) {
        let process = self.child.id().expect("a running process").to_string();
        assert!(
            std::process::Command::new("kill")
                .args(["-TERM", &process])
                .status()
                .unwrap()
                .success()
        );
    }

    pub(crate) async fn ended(&mut self) -> ExitStatus {
        tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("an end in time").unwrap()
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id().expect("a running process")
    }
}

async fn open_at(address: SocketAddr, mut request: Request<Full<Bytes>>) -> Response<Incoming> {
    *request.uri_mut() = format!("http://{address}{}", request.uri()).parse().unwrap();
    tokio::time::timeout(PATIENCE, http().request(request))
        .await
        .expect("an answer in time")
        .expect("an answer")
}

pub(crate) async fn send_to(address: SocketAddr, request: Request<Full<Bytes>>) -> Answer {
    let (parts, body) = open_at(address, request).await.into_parts();
    let collected =
        tokio::time::timeout(PATIENCE, body.collect()).await.expect("a whole answer in time");
    let body = collected
        .map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned())
        .map_err(|error| error.to_string());
    Answer { status: parts.status.as_u16(), headers: parts.headers, body }
}

pub(crate) struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    /// Or how it broke off.
    pub body: Result<String, String>,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        self.body.as_deref().expect("a whole body")
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Of a problem.
    pub(crate) fn code(&self) -> String {
        let document: serde_json::Value = serde_json::from_str(self.text()).expect("JSON");
        document["error"]["code"].as_str().expect("a code").to_owned()
    }

    /// Asserts status and code at once, so that a failure shows both.
    pub(crate) fn is(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.code().as_str()), (status, code), "{}", self.text());
    }
}

pub(crate) fn ask(body: &str) -> Request<Full<Bytes>> {
    Request::post(COMPLETIONS)
        .header("content-type", "application/json")
        .body(Full::from(body.to_owned()))
        .unwrap()
}

pub(crate) fn with(
    mut request: Request<Full<Bytes>>,
    headers: &[(&'static str, &str)],
) -> Request<Full<Bytes>> {
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    request
}

pub(crate) fn question() -> String {
    r#"{"model":"the-page-asks-for-this","messages":[{"role":"user","content":"a secret text"}]}"#
        .to_owned()
}

pub(crate) fn streamed() -> String {
    question().replacen('{', r#"{"stream":true,"#, 1)
}

fn http() -> Client<HttpConnector, Full<Bytes>> {
    // A client of its own each time: no connection is reused, so none can hide behind another.
    Client::builder(TokioExecutor::new()).build_http()
}

/// Tries until it holds.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    for _ in 0..400 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("never: {what}");
}

/// How an upstream answers.
#[derive(Clone, Debug)]
pub(crate) enum Behaviour {
    /// A whole answer, or a stream of five events where one is asked for, with usage.
    Answer,
    /// A stream of so many events, so far apart, without usage.
    Stream { events: usize, apart: Duration },
    /// A stream that breaks off after three events.
    Cut,
    /// One that ends without saying that it is whole.
    Unfinished,
    /// Three events, and then nothing.
    Silent,
    /// Nothing at all.
    Hang,
    /// As fast as it is taken, without an end.
    Endless,
    /// Status, headers and body.
    Say(u16, Vec<(&'static str, &'static str)>, &'static str),
}

/// An OpenAI-compatible endpoint on a port of its own.
pub(crate) struct Upstream {
    address: SocketAddr,
    state: Arc<UpstreamState>,
}

struct UpstreamState {
    behaviour: Mutex<Behaviour>,
    requests: Mutex<Vec<(HeaderMap, String)>>,
    open: AtomicUsize,
    arrived: Notify,
}

impl Upstream {
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        let state = Arc::new(UpstreamState {
            behaviour: Mutex::new(behaviour),
            requests: Mutex::default(),
            open: AtomicUsize::new(0),
            arrived: Notify::new(),
        });
        let router = Router::new().route(COMPLETIONS, any(answer)).with_state(Arc::clone(&state));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}{COMPLETIONS}", self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn behave(&self, behaviour: Behaviour) {
        *self.state.behaviour.lock().unwrap() = behaviour;
    }

    /// Headers and bodies of what arrived.
    pub(crate) fn requests(&self) -> Vec<(HeaderMap, String)> {
        self.state.requests.lock().unwrap().clone()
    }

    /// Forgets what arrived.
    pub(crate) fn forget(&self) {
        *self.state.requests.lock().unwrap() = Vec::new();
    }

    /// Requests whose answer is neither finished nor given up.
    pub(crate) fn open(&self) -> usize {
        self.state.open.load(Ordering::SeqCst)
    }

    pub(crate) async fn arrival(&self) {
        tokio::time::timeout(PATIENCE, self.state.arrived.notified())
            .await
            .expect("a request in time");
    }
}

/// Counts itself while an answer is under way.
struct Open(Arc<UpstreamState>);

impl Open {
    fn new(state: &Arc<UpstreamState>) -> Self {
        state.open.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(state))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn answer(
    State(state): State<Arc<UpstreamState>>,
    request: Request,
) -> axum::response::Response {
    let open = Open::new(&state);
    let (parts, body) = request.into_parts();
    let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    let wants_stream = body.contains(r#""stream":true"#);
    state.requests.lock().unwrap().push((parts.headers, body));
    state.arrived.notify_one();
    let behaviour = state.behaviour.lock().unwrap().clone();
    let moment = Duration::from_millis(1);
    match behaviour {
        Behaviour::Answer if !wants_stream => {
            ([("content-type", "application/json")], WHOLE).into_response()
        }
        Behaviour::Answer => events(open, 5, moment, Some(USAGE_AND_DONE)),
        Behaviour::Stream { events: count, apart } => events(open, count, apart, Some(DONE)),
        Behaviour::Cut => events(open, 3, moment, None),
        Behaviour::Unfinished => events(open, 3, moment, Some("")),
        Behaviour::Silent => events(open, 3, moment, Some("\0")),
        Behaviour::Hang => {
            std::future::pending::<()>().await;
            unreachable!("{:p}", &open)
        }
        Behaviour::Endless => {
            let piece = Bytes::from(EVENT.repeat(400));
            let body = stream::unfold(open, move |open| {
                let piece = piece.clone();
                async move { Some((Ok::<_, Infallible>(piece), open)) }
            });
            ([("content-type", "text/event-stream")], Body::from_stream(body)).into_response()
        }
        Behaviour::Say(status, headers, body) => {
            let mut response = body.into_response();
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            for (name, value) in headers {
                response.headers_mut().insert(name, value.parse().unwrap());
            }
            response
        }
    }
}

pub(crate) const EVENT: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"word \"}}]}\n\n";
pub(crate) const DONE: &str = "data: [DONE]\n\n";
const USAGE_AND_DONE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":42,\"completion_tokens\":5}}\n\ndata: [DONE]\n\n";
pub(crate) const WHOLE: &str = r#"{"choices":[{"message":{"content":"shipping"}}],"usage":{"prompt_tokens":42,"completion_tokens":3,"total_tokens":45}}"#;

/// `count` events, then `last`; without one the connection breaks, and `\0` stands for silence.
fn events(
    open: Open,
    count: usize,
    apart: Duration,
    last: Option<&'static str>,
) -> axum::response::Response {
    let body = stream::unfold((open, 0), move |(open, sent)| async move {
        if sent < count {
            tokio::time::sleep(apart).await;
            return Some((Ok(Bytes::from_static(EVENT.as_bytes())), (open, sent + 1)));
        }
        match last {
            _ if sent > count => None,
            Some("\0") => std::future::pending().await,
            Some(last) => Some((Ok(Bytes::from_static(last.as_bytes())), (open, sent + 1))),
            None => Some((Err(std::io::Error::other("broken off")), (open, sent + 1))),
        }
    });
    ([("content-type", "text/event-stream")], Body::from_stream(body)).into_response()
}
