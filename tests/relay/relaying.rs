//! What passes through: requests and answers as they are, the key added, nothing else told to either side.

use std::time::Duration;

use http_body_util::BodyExt;

use crate::support::{
    Behaviour, DONE, EVENT, KEY, Relay, Upstream, WHOLE, ask, eventually, question, streamed, with,
};

#[tokio::test]
async fn a_whole_answer_comes_back_as_it_was() {
    let upstream = Upstream::start(Behaviour::Answer).await;
    let relay = Relay::start(Some(&upstream), &[]).await;
    let answer = relay.post(&question()).await;
    assert_eq!((answer.status, answer.text()), (200, WHOLE));
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(!answer.header("x-request-id").is_empty());

    let (headers, body) = &upstream.requests()[0];
    assert_eq!(headers["authorization"], format!("Bearer {KEY}"));
    let sent: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(sent, serde_json::from_str::<serde_json::Value>(&question()).unwrap());
}

#[tokio::test]
async fn the_operator_names_the_model_and_all_else_is_passed_on_to_the_digit() {
    let upstream = Upstream::start(Behaviour::Answer).await;
    let relay = Relay::start(Some(&upstream), &["--upstream-model", "the \"best\" one"]).await;
    relay.post(r#"{"model":"another","seed":12345678901234567890123,"temperature":0.10,"messages":[]}"#).await;
    let (_, body) = &upstream.requests()[0];
    assert_eq!(
        body,
        r#"{"messages":[],"model":"the \"best\" one","seed":12345678901234567890123,"temperature":0.10}"#
    );
}

#[tokio::test]
async fn streams_report_what_they_cost_whether_the_client_asks_or_not() {
    let upstream = Upstream::start(Behaviour::Answer).await;
    let relay = Relay::start(Some(&upstream), &[]).await;
    for (options, sent) in [
        ("", r#"{"include_usage":true}"#),
        (r#","stream_options":null"#, r#"{"include_usage":true}"#),
        (
            r#","stream_options":{"include_usage":false,"else":1}"#,
            r#"{"else":1,"include_usage":true}"#,
        ),
    ] {
        assert_eq!(relay.post(&format!("{{\"stream\":true{options}}}")).await.status, 200);
        let (_, body) = upstream.requests().pop().unwrap();
        assert_eq!(body, format!("{{\"stream\":true,\"stream_options\":{sent}}}"));
    }
}

#[tokio::test]
async fn nothing_of_the_clients_own_reaches_the_upstream() {
    let upstream = Upstream::start(Behaviour::Answer).await;
    let relay = Relay::start(Some(&upstream), &[]).await;
    let private = [
        ("authorization", "Bearer the-clients"),
        ("cookie", "session=1"),
        ("referer", "https://app.example.com/x"),
        ("x-forwarded-for", "9.9.9.9"),
    ];
    assert_eq!(relay.send(with(ask(&question()), &private)).await.status, 200);
    let (headers, _) = &upstream.requests()[0];
    let mut names: Vec<&str> = headers.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["accept", "authorization", "content-length", "content-type", "host", "user-agent"]
    );
    assert_eq!(headers["authorization"], format!("Bearer {KEY}"));
}

#[tokio::test]
async fn a_stream_comes_piece_by_piece() {
    let upstream = Upstream::start(Behaviour::Silent).await;
    let relay = Relay::start(Some(&upstream), &[]).await;
    let mut response = relay.open(ask(&streamed())).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut text = String::new();
    // The upstream is silent after three events, so waiting for more would never end.
    while text.len() < 3 * EVENT.len() {
        let frame = tokio::time::timeout(Duration::from_secs(10), response.frame())
            .await
            .expect("a piece in time")
            .unwrap()
            .unwrap();
        text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
    }
    assert_eq!(text, EVENT.repeat(3));
}

#[tokio::test]
async fn a_stream_is_whole_and_its_usage_is_counted() {
    let upstream = Upstream::start(Behaviour::Answer).await;
    let relay = Relay::start(Some(&upstream), &[]).await;
    let answer = relay.post(&streamed()).await;
    assert!(answer.text().starts_with(EVENT) && answer.text().ends_with(DONE));
    relay.expect_metric(r#"frontdesk_relay_requests_total{outcome="answered"}"#, 1.0).await;
    relay.expect_metric(r#"frontdesk_relay_tokens_total{direction="read"}"#, 42.0).await;
    relay.expect_metric(r#"frontdesk_relay_tokens_total{direction="written"}"#, 5.0).await;
    relay.expect_metric("frontdesk_relay_running", 0.0).await;
    relay.expect_metric("frontdesk_relay_answer_bytes_total", answer.text().len() as f64).await;
}

#[tokio::test]
async fn whoever_goes_away_lets_go_of_the_upstream() {
    for behaviour in [Behaviour::Silent, Behaviour::Hang, Behaviour::Endless] {
        let upstream = Upstream::start(behaviour.clone()).await;
        let relay = Relay::start(Some(&upstream), &[]).await;
        let waiting = tokio::spawn({
            let address = relay.address;
            async move {
                let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
                let body = streamed();
                let head = format!(
                    "POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                tokio::io::AsyncWriteExt::write_all(
                    &mut stream,
                    format!("{head}{body}").as_bytes(),
                )
                .await
                .unwrap();
                std::future::pending::<()>().await;
            }
        });
        upstream.arrival().await;
        assert_eq!(upstream.open(), 1);
        waiting.abort();
        eventually(&format!("{behaviour:?} let go"), || async { upstream.open() == 0 }).await;
        relay.expect_metric(r#"frontdesk_relay_requests_total{outcome="client_left"}"#, 1.0).await;
    }
}

#[tokio::test]
async fn the_log_tells_how_it_went_and_nothing_of_the_text() {
    let upstream = Upstream::start(Behaviour::Answer).await;
    let relay = Relay::start(Some(&upstream), &["--log", "debug"]).await;
    let answer = relay.post(&question()).await;
    relay.get("/somewhere?q=a+secret+query").await;
    eventually("two lines", || async {
        ["\"completion\"", "/somewhere"].iter().all(|word| relay.log().contains(word))
    })
    .await;
    let log = relay.log();
    let line = log.lines().find(|line| line.contains("\"completion\"")).expect("a line");
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["request"], answer.header("x-request-id"));
    assert_eq!(
        (&line["outcome"], &line["tokens_read"], &line["tokens_written"]),
        (&"answered".into(), &42.into(), &3.into())
    );
    assert_eq!(
        (&line["client"], &line["request_bytes"]),
        (&"127.0.0.0/24".into(), &question().len().into())
    );
    for secret in ["secret", "shipping", KEY] {
        assert!(!log.contains(secret), "{log}");
    }
}
