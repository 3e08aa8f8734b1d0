//! Rates and budgets: of one server in its memory, and of two in a real Redis.

use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::support::{Behaviour, Relay, Upstream, ask, eventually, question, with};

/// A Redis of its own; ended when it is dropped.
struct Redis {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl Redis {
    async fn start() -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self::start_at(port).await
    }

    async fn start_at(port: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"])
            .arg(folder.path())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("redis-server: ./build.sh test packaging installs it");
        eventually("Redis listens", || async {
            tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok()
        })
        .await;
        Self { child, port, _folder: folder }
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }
}

#[tokio::test]
async fn a_client_has_a_rate() {
    let upstream = Upstream::start(Behaviour::Answer).await;
    let relay =
        Relay::start(Some(&upstream), &["--rate", "6", "--burst", "3", "--trusted-proxies", "1"])
            .await;
    for _ in 0..3 {
        assert_eq!(relay.post(&question()).await.status, 200);
    }
    let refused = relay.post(&question()).await;
    refused.is(429, "rate_limited");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=10).contains(&wait), "{wait}");
    // Who comes through the operator's proxy from another network has a rate of their own.
    assert_eq!(
        relay.send(with(ask(&question()), &[("x-forwarded-for", "9.9.9.9")])).await.status,
        200
    );
    assert_eq!(upstream.requests().len(), 4);
}

#[tokio::test]
async fn what_clients_claim_of_themselves_gives_no_rate_of_its_own() {
    let upstream = Upstream::start(Behaviour::Answer).await;
    let relay = Relay::start(Some(&upstream), &["--rate", "1", "--burst", "1"]).await;
    assert_eq!(relay.post(&question()).await.status, 200);
    relay
        .send(with(ask(&question()), &[("x-forwarded-for", "9.9.9.9")]))
        .await
        .is(429, "rate_limited");
}

/// The upstream reports 45 tokens an answer; a request of this length with at most 100 sets about 125 aside.
fn small_question() -> String {
    question().replacen('{', "{\"max_tokens\":100,", 1)
}

async fn spend_a_budget(relay: &Relay) {
    // 45 after the first, 90 after the second, 135 after the third; then 125 more would pass 250.
    for _ in 0..3 {
        assert_eq!(relay.post(&small_question()).await.status, 200);
        relay.expect_metric("frontdesk_relay_running", 0.0).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let refused = relay.post(&small_question()).await;
    refused.is(429, "budget_spent");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=86_400).contains(&wait), "{wait}");
}

#[tokio::test]
async fn a_client_has_a_budget_and_all_together_have_one() {
    let upstream = Upstream::start(Behaviour::Answer).await;
    let relay = Relay::start(Some(&upstream), &["--client-budget", "250"]).await;
    spend_a_budget(&relay).await;
    let relay = Relay::start(Some(&upstream), &["--total-budget", "200"]).await;
    assert_eq!(relay.post(&small_question()).await.status, 200);
    relay.post(&question()).await.is(429, "total_budget_spent");
    // What the upstream refuses costs nothing.
    let relay = Relay::start(Some(&upstream), &["--client-budget", "150"]).await;
    upstream.behave(Behaviour::Say(500, vec![], ""));
    for _ in 0..5 {
        relay.post(&small_question()).await.is(500, "upstream_failed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn what_was_sent_and_never_answered_is_counted_as_it_was_set_aside() {
    let upstream = Upstream::start(Behaviour::Hang).await;
    let options = ["--client-budget", "270", "--upstream-timeout", "0.2"];
    let relay = Relay::start(Some(&upstream), &options).await;
    // Twice 125 or so, and the third has no room.
    relay.post(&small_question()).await.is(504, "upstream_timeout");
    relay.post(&small_question()).await.is(504, "upstream_timeout");
    tokio::time::sleep(Duration::from_millis(50)).await;
    relay.post(&small_question()).await.is(429, "budget_spent");
    // Nor does it help to know better than to wait.
    let relay = Relay::start(Some(&upstream), &["--client-budget", "270"]).await;
    for _ in 0..2 {
        let (relay, question) = (&relay, small_question());
        let impatient = tokio::time::timeout(Duration::from_millis(200), relay.post(&question));
        assert!(impatient.await.is_err());
    }
    relay.expect_metric("frontdesk_relay_running", 0.0).await;
    relay.post(&small_question()).await.is(429, "budget_spent");
    // Where nobody was reached nothing was spent.
    let nowhere =
        ["--client-budget", "150", "--upstream", "http://127.0.0.1:1/v1/chat/completions"];
    let relay = Relay::start(None, &nowhere).await;
    for _ in 0..4 {
        relay.post(&small_question()).await.is(502, "upstream_unreachable");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn what_is_cut_off_at_the_end_is_settled() {
    let redis = Redis::start().await;
    let upstream = Upstream::start(Behaviour::Silent).await;
    let options = ["--redis", &redis.url(), "--client-budget", "240", "--grace", "0.3"];
    let mut relay = Relay::start(Some(&upstream), &options).await;
    let running = relay.open(ask(&small_question().replacen('{', "{\"stream\":true,", 1))).await;
    relay.terminate();
    assert!(relay.ended().await.success());
    drop(running);
    // As it was set aside it would be 125 and leave no room for another 125; its three events leave it.
    upstream.behave(Behaviour::Answer);
    let next = Relay::start(Some(&upstream), &options).await;
    assert_eq!(next.post(&small_question()).await.status, 200);
}

#[tokio::test]
async fn several_servers_count_together_in_redis() {
    let redis = Redis::start().await;
    let upstream = Upstream::start(Behaviour::Answer).await;
    let options = ["--redis", &redis.url(), "--rate", "6", "--burst", "4"];
    let (one, other) = (
        Relay::start(Some(&upstream), &options).await,
        Relay::start(Some(&upstream), &options).await,
    );
    for relay in [&one, &other, &one, &other] {
        assert_eq!(relay.post(&question()).await.status, 200);
    }
    for relay in [&one, &other] {
        let refused = relay.post(&question()).await;
        refused.is(429, "rate_limited");
        let wait: u64 = refused.header("retry-after").parse().unwrap();
        assert!((1..=10).contains(&wait), "{wait}");
    }
    assert_eq!(upstream.requests().len(), 4);
}

#[tokio::test]
async fn a_rate_in_redis_comes_back_with_time() {
    let redis = Redis::start().await;
    let upstream = Upstream::start(Behaviour::Answer).await;
    let relay =
        Relay::start(Some(&upstream), &["--redis", &redis.url(), "--rate", "120", "--burst", "1"])
            .await;
    assert_eq!(relay.post(&question()).await.status, 200);
    relay.post(&question()).await.is(429, "rate_limited");
    eventually("admitted again", || async { relay.post(&question()).await.status == 200 }).await;
}

#[tokio::test]
async fn budgets_in_redis_outlive_a_server() {
    let redis = Redis::start().await;
    let upstream = Upstream::start(Behaviour::Answer).await;
    let options = ["--redis", &redis.url(), "--client-budget", "250"];
    let first = Relay::start(Some(&upstream), &options).await;
    spend_a_budget(&first).await;
    drop(first);
    let next = Relay::start(Some(&upstream), &options).await;
    next.post(&small_question()).await.is(429, "budget_spent");
    let next =
        Relay::start(Some(&upstream), &["--redis", &redis.url(), "--total-budget", "140"]).await;
    next.post(&small_question()).await.is(429, "total_budget_spent");
}

#[tokio::test]
async fn many_at_once_never_pass_a_budget_together() {
    let redis = Redis::start().await;
    let upstream = Upstream::start(Behaviour::Hang).await;
    let options = [
        "--redis",
        &redis.url(),
        "--client-budget",
        "1000",
        "--burst",
        "100",
        "--upstream-timeout",
        "3",
    ];
    let relays = [
        Relay::start(Some(&upstream), &options).await,
        Relay::start(Some(&upstream), &options).await,
    ];
    let asked = (0..40).map(|number| relays[number % 2].send(ask(&small_question())));
    let answers = futures_util::future::join_all(asked).await;
    let refused = answers.iter().filter(|answer| answer.status == 429).count();
    // Each sets between 120 and 130 aside, so seven fit and an eighth may.
    let reached = upstream.requests().len();
    assert!(
        (7..=8).contains(&reached) && refused == 40 - reached,
        "{reached} reached the upstream, {refused} were refused"
    );
}

#[tokio::test]
async fn without_its_redis_nobody_is_let_through_and_with_it_again_everybody() {
    let mut redis = Redis::start().await;
    let upstream = Upstream::start(Behaviour::Answer).await;
    let relay = Relay::start(Some(&upstream), &["--redis", &redis.url()]).await;
    assert_eq!(relay.post(&question()).await.status, 200);
    redis.child.kill().await.unwrap();
    relay.post(&question()).await.is(503, "limits_unavailable");
    assert_eq!(upstream.requests().len(), 1);
    let again = Redis::start_at(redis.port).await;
    eventually("served again", || async { relay.post(&question()).await.status == 200 }).await;
    drop(again);
}

#[tokio::test]
async fn a_redis_that_is_not_there_is_told_at_the_start() {
    for wrong in ["redis://127.0.0.1:1/", "nonsense"] {
        let words = Relay::try_start(None, &["--redis", wrong]).await.err().expect("a refusal");
        assert!(words.contains("Redis"), "{words}");
    }
}
