//! Upstreams that fail, lie or never stop: what clients see of it, and that nothing is left open.

use std::time::Duration;

use crate::support::{Behaviour, EVENT, KEY, Relay, Upstream, eventually, question, streamed};

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn errors_are_told_without_the_upstreams_own_words_where_those_may_hold_secrets() {
    let upstream = Upstream::start(Behaviour::Answer).await;
    let relay = Relay::start(Some(&upstream), &["--burst", "100"]).await;
    let secret = r#"{"error":{"message":"Incorrect API key provided: sk-only-the-relay-knows"}}"#;
    for (status, seen, code) in [
        (401, 502, "upstream_refused_key"),
        (403, 502, "upstream_refused_key"),
        (407, 502, "upstream_refused_key"),
        (500, 500, "upstream_failed"),
        (503, 503, "upstream_failed"),
        (302, 502, "upstream_malformed"),
        (429, 429, "upstream_rate_limited"),
    ] {
        upstream.behave(Behaviour::Say(
            status,
            vec![
                JSON,
                ("retry-after", "7"),
                ("location", "http://127.0.0.1:1/"),
                ("set-cookie", "a=b"),
            ],
            secret,
        ));
        let answer = relay.post(&question()).await;
        answer.is(seen, code);
        assert!(!answer.text().contains(KEY), "{}", answer.text());
        assert!(
            !answer.headers.contains_key("set-cookie") && !answer.headers.contains_key("location")
        );
        assert_eq!(
            answer.header("retry-after"),
            if matches!(status, 429 | 500 | 503) { "7" } else { "" }
        );
    }
    assert!(!relay.log().contains(KEY));
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_passed_on() {
    let upstream = Upstream::start(Behaviour::Say(
        400,
        vec![JSON],
        r#"{"error":{"message":"The text is too long."}}"#,
    ))
    .await;
    let relay = Relay::start(Some(&upstream), &[]).await;
    let answer = relay.post(&question()).await;
    answer.is(400, "upstream_refused");
    assert!(answer.text().contains("The text is too long."));
    upstream.behave(Behaviour::Say(
        404,
        vec![("content-type", "text/html")],
        "<script>alert(1)</script>",
    ));
    let answer = relay.post(&question()).await;
    answer.is(404, "upstream_refused");
    assert!(!answer.text().contains("script"));
}

#[tokio::test]
async fn answers_of_another_kind_are_none() {
    let upstream = Upstream::start(Behaviour::Answer).await;
    let relay = Relay::start(Some(&upstream), &[]).await;
    for (headers, body) in [
        (vec![("content-type", "text/html")], "<html>"),
        (vec![JSON], "<html>"),
        (vec![JSON], "{\"choices\":"),
        (vec![JSON, ("content-encoding", "gzip")], "{}"),
        (vec![("content-type", "nonsense;;")], "{}"),
    ] {
        upstream.behave(Behaviour::Say(200, headers, body));
        relay.post(&question()).await.is(502, "upstream_malformed");
    }
}

#[tokio::test]
async fn nobody_there_is_told_at_once() {
    let gone = Upstream::start(Behaviour::Answer).await.url().replace("127.0.0.1", "127.0.0.99");
    let relay = Relay::start(None, &["--upstream", &gone]).await;
    relay.post(&question()).await.is(502, "upstream_unreachable");
}

#[tokio::test]
async fn half_a_stream_is_never_taken_for_a_whole_one() {
    let upstream = Upstream::start(Behaviour::Cut).await;
    let relay = Relay::start(Some(&upstream), &["--upstream-timeout", "0.3"]).await;
    assert!(relay.post(&streamed()).await.body.is_err());
    relay.expect_metric(r#"frontdesk_relay_requests_total{outcome="upstream_cut"}"#, 1.0).await;

    upstream.behave(Behaviour::Silent);
    assert!(relay.post(&streamed()).await.body.is_err());
    relay.expect_metric(r#"frontdesk_relay_requests_total{outcome="upstream_timeout"}"#, 1.0).await;

    // It ended well as far as HTTP can tell, and is passed on so: clients miss the [DONE].
    upstream.behave(Behaviour::Unfinished);
    assert_eq!(relay.post(&streamed()).await.text(), EVENT.repeat(3));
    relay
        .expect_metric(r#"frontdesk_relay_requests_total{outcome="upstream_unfinished"}"#, 1.0)
        .await;
    eventually("nothing left open", || async { upstream.open() == 0 }).await;
}

#[tokio::test]
async fn an_upstream_that_never_answers_is_given_up() {
    let upstream = Upstream::start(Behaviour::Hang).await;
    let relay = Relay::start(Some(&upstream), &["--upstream-timeout", "0.3"]).await;
    relay.post(&question()).await.is(504, "upstream_timeout");
    eventually("let go", || async { upstream.open() == 0 }).await;
}

#[tokio::test]
async fn an_endless_answer_ends() {
    let upstream = Upstream::start(Behaviour::Endless).await;
    let relay = Relay::start(Some(&upstream), &["--max-answer", "100000"]).await;
    assert!(relay.post(&streamed()).await.body.is_err());
    relay.expect_metric(r#"frontdesk_relay_requests_total{outcome="answer_too_long"}"#, 1.0).await;
    eventually("let go", || async { upstream.open() == 0 }).await;

    let apart = Duration::from_millis(50);
    upstream.behave(Behaviour::Stream { events: 1000, apart });
    let hasty = Relay::start(Some(&upstream), &["--answer-timeout", "0.5"]).await;
    assert!(hasty.post(&streamed()).await.body.is_err());
    hasty.expect_metric(r#"frontdesk_relay_requests_total{outcome="upstream_timeout"}"#, 1.0).await;
}

#[tokio::test]
async fn a_whole_answer_that_is_too_long_is_refused() {
    let upstream = Upstream::start(Behaviour::Answer).await;
    let relay = Relay::start(Some(&upstream), &["--max-answer", "20"]).await;
    relay.post(&question()).await.is(502, "upstream_cut");
}
