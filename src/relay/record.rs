//! One completion request from its head to the end of its answer: settled with the limits, counted and logged once, however it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use crate::client::Client;
use crate::limits::{Limits, Reservation};
use crate::metrics::{Counted, Metrics};
use crate::problem::Problem;
use crate::usage::Usage;

/// Nobody says so when a client goes away: the request is dropped.
const CLIENT_LEFT: &str = "client_left";

/// Written to log, metrics and limits when it is dropped.
#[derive(Debug)]
pub(crate) struct Record {
    id: String,
    started: Instant,
    client: Option<Client>,
    request_bytes: usize,
    pub(crate) answer_bytes: u64,
    pub(crate) outcome: &'static str,
    pub(crate) cost: Cost,
    reservation: Option<Reservation>,
    books: Arc<Books>,
    _running: Counted,
}

/// What is known of what a request cost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Cost {
    /// It did not reach the upstream, or was refused there.
    Nothing,
    /// It was sent, and nobody has said what it cost: what was set aside stays counted.
    Unknown,
    /// Reported, or counted from what came.
    Known(Usage),
}

/// Where records are written to.
#[derive(Debug)]
pub(crate) struct Books {
    pub(crate) limits: Limits,
    pub(crate) metrics: Arc<Metrics>,
    /// Settlements under way: a server that ends waits for them.
    pub(crate) settlements: TaskTracker,
}

impl Record {
    pub(crate) fn begin(books: &Arc<Books>) -> Self {
        Self {
            id: next_id(),
            started: Instant::now(),
            client: None,
            request_bytes: 0,
            answer_bytes: 0,
            outcome: CLIENT_LEFT,
            cost: Cost::Nothing,
            reservation: None,
            books: Arc::clone(books),
            _running: Counted::new(&books.metrics.running),
        }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn of(&mut self, client: Client) {
        self.client = Some(client);
    }

    pub(crate) fn has_body(&mut self, bytes: usize) {
        self.request_bytes = bytes;
    }

    pub(crate) fn has_reserved(&mut self, reservation: Reservation) {
        self.reservation = Some(reservation);
    }

    pub(crate) fn first_byte(&self) {
        self.books.metrics.first_byte(self.started.elapsed());
    }

    pub(crate) fn passed_on(&mut self, bytes: usize) {
        self.answer_bytes += bytes as u64;
        self.books.metrics.answer_bytes.inc_by(bytes as u64);
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let elapsed = self.started.elapsed();
        self.books.metrics.ended(self.outcome, elapsed);
        let usage = match self.cost {
            Cost::Known(usage) => usage,
            Cost::Nothing | Cost::Unknown => Usage::default(),
        };
        self.books.metrics.spent(usage);
        let client = self.client.as_ref().map(ToString::to_string).unwrap_or_default();
        tracing::info!(
            request = self.id,
            client,
            outcome = self.outcome,
            request_bytes = self.request_bytes,
            answer_bytes = self.answer_bytes,
            tokens_read = usage.read,
            tokens_written = usage.written,
            milliseconds = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            "completion"
        );
        if let Some(reservation) = self.reservation.take()
            && self.cost != Cost::Unknown
        {
            self.books.settle(reservation, usage.total());
        }
    }
}

impl Books {
    /// Sets tokens aside. Where whoever asked is gone before the answer is there, they are given back.
    pub(crate) async fn reserve(
        self: &Arc<Self>,
        client: &Client,
        tokens: u64,
    ) -> Result<Reservation, Problem> {
        let (send, receive) = oneshot::channel();
        let (books, client) = (Arc::clone(self), client.clone());
        self.settlements.spawn(async move {
            if let Err(Ok(reservation)) = send.send(books.limits.reserve(&client, tokens).await) {
                books.limits.settle(&reservation, 0).await;
            }
        });
        receive.await.unwrap_or_else(|_| Err(Problem::unavailable_limits()))
    }

    /// Replaces what was set aside by what was spent, also when nobody waits for it any more.
    fn settle(self: &Arc<Self>, reservation: Reservation, spent: u64) {
        if let Ok(runtime) = Handle::try_current() {
            let books = Arc::clone(self);
            self.settlements
                .spawn_on(async move { books.limits.settle(&reservation, spent).await }, &runtime);
        }
    }
}

/// Different for each request of each run of each server, nearly surely.
fn next_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    static RUN: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    let run = RUN.get_or_init(|| {
        let since =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
        u64::try_from(since).unwrap_or_default() ^ (u64::from(std::process::id()) << 40)
    });
    format!("{run:x}-{:x}", NEXT.fetch_add(1, Ordering::Relaxed))
}
