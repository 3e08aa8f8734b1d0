//! The server: what listens where, the connections with their time limits, and an end that lets running answers finish.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderName, Method, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::any;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::COMPLETIONS;
use crate::client::Hook;
use crate::completions::{self, Desk};
use crate::limits::Limits;
use crate::metrics::{self, Counted, Metrics};
use crate::origins::Allowed;
use crate::page::{self, Files, Headers};
use crate::record::Books;
use crate::settings::Settings;
use crate::upstream::{Upstream, Web};

/// A failed `accept` (too many open files) is tried again after this.
const PAUSE: Duration = Duration::from_millis(100);
/// What was spent is written down in this time at the end.
const SETTLING: Duration = Duration::from_secs(5);
/// Browsers ask again after an hour whether they may ask.
const PREFLIGHT_AGE: Duration = Duration::from_secs(3600);

/// Heads are shorter; a buffer grows to this before it is known who sends.
const MAX_BUFFER_BYTES: usize = 64 * 1024;

/// Where a connection came from; beside every request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// A server that listens, and serves when it is run.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    metrics_listener: Option<TcpListener>,
    settings: Settings,
    router: Router,
    books: Arc<Books>,
}

impl Server {
    /// Listens, so that clients may connect, and looks for Redis where limits are kept there.
    ///
    /// # Errors
    /// In words for the operator.
    pub async fn bind(settings: Settings) -> Result<Self, String> {
        settings.check()?;
        let listener = listen((settings.address, settings.port).into()).await?;
        let metrics_listener = match settings.metrics {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let port = listener.local_addr().map_err(|error| error.to_string())?.port();
        let allowed = Arc::new(Allowed::new(settings.origins.clone(), settings.address, port));
        let books = Arc::new(Books {
            limits: Limits::new(&settings).await?,
            metrics: Arc::new(Metrics::new()),
            settlements: TaskTracker::new(),
        });
        let router = router(&settings, &allowed, &books)?;
        Ok(Self { listener, metrics_listener, settings, router, books })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Where the system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Where Prometheus may ask.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_listener.as_ref()?.local_addr().ok()
    }

    /// Serves until `stop` ends; then takes no new connections, and gives the running answers the settings' grace.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let Self { listener, metrics_listener, settings, router, books } = self;
        let metrics = metrics_listener.map(|listener| {
            let routes = metrics::routes(Arc::clone(&books.metrics));
            tokio::spawn(async move { drop(axum::serve(listener, routes).await) })
        });
        let graceful = GracefulShutdown::new();
        let (connections, cut) = (TaskTracker::new(), CancellationToken::new());
        let slots = Arc::new(Semaphore::new(settings.max_connections));
        tokio::pin!(stop);
        loop {
            let (stream, peer) = tokio::select! {
                () = &mut stop => break,
                accepted = listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    }
                },
            };
            // One too many is closed at once: waiting would only keep it open.
            let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else { continue };
            let counted = Counted::new(&books.metrics.connections);
            let conversation =
                converse(stream, peer, router.clone(), settings.client_timeout, graceful.watcher());
            let cut = cut.clone();
            connections.spawn(async move {
                cut.run_until_cancelled(conversation).await;
                drop((slot, counted));
            });
        }
        drop(listener);
        tracing::info!(
            seconds = settings.grace.as_secs_f64(),
            "ending: running answers may finish"
        );
        if tokio::time::timeout(settings.grace, graceful.shutdown()).await.is_err()
            && books.metrics.running.get() > 0
        {
            tracing::warn!(
                answers = books.metrics.running.get(),
                "answers were cut off at the end"
            );
        }
        // Also what is cut off is settled.
        cut.cancel();
        connections.close();
        connections.wait().await;
        books.settlements.close();
        if tokio::time::timeout(SETTLING, books.settlements.wait()).await.is_err() {
            tracing::warn!("not everything that was spent could be settled");
        }
        if let Some(metrics) = metrics {
            metrics.abort();
        }
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!(
                "Port {} is in use. Choose another with --port, or stop the program that holds it.",
                address.port()
            )
        }
        io::ErrorKind::PermissionDenied => {
            format!("Port {} needs more rights. Choose one above 1023 with --port.", address.port())
        }
        _ => format!("The server could not listen at {address}: {error}"),
    })
}

/// One connection, HTTP/1.1: its head must come in time, and its client must take what is sent in time.
async fn converse(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    patience: Duration,
    watcher: Watcher,
) {
    // Pieces of an answer are small, and each is waited for.
    drop(stream.set_nodelay(true));
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(patience));
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(peer.ip()));
        router.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .max_buf_size(MAX_BUFFER_BYTES)
        .serve_connection(TokioIo::new(Box::pin(stream)), service);
    // How a connection ends is the client's affair; what became of its requests is in the log.
    drop(watcher.watch(connection).await);
}

fn router(
    settings: &Settings,
    allowed: &Arc<Allowed>,
    books: &Arc<Books>,
) -> Result<Router, String> {
    let web = Web::new()?;
    let desk = Arc::new(Desk {
        upstream: Upstream::new(settings, &web)?,
        hook: settings.auth.clone().map(|address| Hook { address }),
        web,
        allowed: Arc::clone(allowed),
        slots: Arc::new(Semaphore::new(settings.max_requests)),
        books: Arc::clone(books),
        settings: settings.clone(),
    });
    let origins = Arc::clone(allowed);
    let cors = CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(move |origin, _| origins.allows(origin)))
        .allow_methods([Method::POST])
        .allow_headers([header::CONTENT_TYPE, header::ACCEPT, header::AUTHORIZATION])
        .expose_headers([header::RETRY_AFTER, HeaderName::from_static("x-request-id")])
        .max_age(PREFLIGHT_AGE);
    let completions =
        Router::new().route(COMPLETIONS, any(completions::handle)).with_state(desk).layer(cors);

    let files = Router::new()
        .route("/config.json", any(page::config))
        .fallback(page::page)
        .with_state(Files::new(settings))
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest));
    let models =
        Router::new().route("/models/{*path}", any(page::models)).with_state(Files::new(settings));
    let served = files
        .merge(models)
        .layer(middleware::from_fn_with_state(Arc::clone(&books.metrics), log_files));

    let headers =
        Arc::new(Headers { isolation: !settings.no_isolation, allowed: Arc::clone(allowed) });
    Ok(Router::new()
        .route("/healthz", any(async || "ok\n"))
        .merge(completions)
        .merge(served)
        .layer(middleware::from_fn_with_state(headers, page::guard)))
}

/// Paths without their queries, which may hold anything.
async fn log_files(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = next.run(request).await;
    metrics.file(response.status());
    tracing::debug!(%method, path, status = response.status().as_u16(), "file");
    response
}
