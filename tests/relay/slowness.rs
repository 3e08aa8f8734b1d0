//! Clients that dawdle: half a head, half a body, an answer that nobody takes, too many connections.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Behaviour, Relay, Upstream, ask, eventually, question, streamed};

async fn connect(relay: &Relay) -> TcpStream {
    TcpStream::connect(relay.address).await.unwrap()
}

fn head(relay: &Relay, length: usize) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n",
        relay.address
    )
}

/// What comes until the other side closes.
async fn rest(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    // A reset says the same as an end.
    drop(
        tokio::time::timeout(Duration::from_secs(15), stream.read_to_end(&mut text))
            .await
            .expect("an end in time"),
    );
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn half_a_head_is_not_waited_for() {
    let relay = Relay::start(None, &["--client-timeout", "0.5"]).await;
    let silent = connect(&relay).await;
    let mut half = connect(&relay).await;
    half.write_all(b"POST /v1/chat/completions HTTP/1.1\r\nhost: ").await.unwrap();
    relay.expect_metric("frontdesk_relay_connections", 2.0).await;
    rest(silent).await;
    rest(half).await;
    relay.expect_metric("frontdesk_relay_connections", 0.0).await;
}

#[tokio::test]
async fn half_a_body_is_told_off() {
    let upstream = Upstream::start(Behaviour::Answer).await;
    let relay = Relay::start(Some(&upstream), &["--client-timeout", "0.5"]).await;
    let mut stream = connect(&relay).await;
    stream.write_all(head(&relay, 1000).as_bytes()).await.unwrap();
    stream.write_all(b"{\"messages\":").await.unwrap();
    let answer = rest(stream).await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("request_timeout"), "{answer}");
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn an_answer_that_nobody_takes_is_given_up() {
    let upstream = Upstream::start(Behaviour::Endless).await;
    let relay =
        Relay::start(Some(&upstream), &["--client-timeout", "0.5", "--max-answer", "1000000000"])
            .await;
    let mut stream = connect(&relay).await;
    stream
        .write_all(format!("{}{}", head(&relay, streamed().len()), streamed()).as_bytes())
        .await
        .unwrap();
    upstream.arrival().await;
    // The client stays connected and reads nothing.
    relay.expect_metric(r#"frontdesk_relay_requests_total{outcome="client_left"}"#, 1.0).await;
    eventually("let go", || async { upstream.open() == 0 }).await;
    relay.expect_metric("frontdesk_relay_connections", 0.0).await;
    drop(stream);
}

#[tokio::test]
async fn an_answer_without_a_pause_ends_with_its_time() {
    let upstream = Upstream::start(Behaviour::Endless).await;
    let options = ["--answer-timeout", "1", "--max-answer", "1000000000000"];
    let relay = Relay::start(Some(&upstream), &options).await;
    let mut stream = connect(&relay).await;
    let request = format!("{}{}", head(&relay, streamed().len()), streamed());
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut piece = vec![0; 1024 * 1024];
    let taking = async { while let Ok(1..) = stream.read(&mut piece).await {} };
    tokio::time::timeout(Duration::from_secs(15), taking).await.expect("an end in time");
    relay.expect_metric(r#"frontdesk_relay_requests_total{outcome="upstream_timeout"}"#, 1.0).await;
    eventually("let go", || async { upstream.open() == 0 }).await;
}

#[tokio::test]
async fn a_head_without_an_end_is_not_kept() {
    let relay = Relay::start(None, &[]).await;
    let mut stream = connect(&relay).await;
    stream.write_all(b"GET / HTTP/1.1\r\nx: ").await.unwrap();
    // Refused at the latest when its buffer is full, and so long before this.
    for _ in 0..40 {
        if stream.write_all(&[b'x'; 10_000]).await.is_err() {
            break;
        }
    }
    let answer = rest(stream).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    relay.expect_metric("frontdesk_relay_connections", 0.0).await;
}

#[tokio::test]
async fn too_many_at_once_are_sent_away_and_the_others_go_on() {
    let upstream = Upstream::start(Behaviour::Hang).await;
    let relay =
        Relay::start(Some(&upstream), &["--max-requests", "1", "--max-connections", "3"]).await;
    let mut held = connect(&relay).await;
    held.write_all(format!("{}{}", head(&relay, question().len()), question()).as_bytes())
        .await
        .unwrap();
    upstream.arrival().await;
    let overloaded = relay.post(&question()).await;
    overloaded.is(503, "overloaded");
    assert_eq!(overloaded.header("retry-after"), "1");

    relay.expect_metric("frontdesk_relay_connections", 1.0).await;
    let idle = [connect(&relay).await, connect(&relay).await];
    relay.expect_metric("frontdesk_relay_connections", 3.0).await;
    assert_eq!(rest(connect(&relay).await).await, "");
    drop((held, idle));
    relay.expect_metric("frontdesk_relay_connections", 0.0).await;
    upstream.behave(Behaviour::Answer);
    assert_eq!(relay.send(ask(&question())).await.status, 200);
}
