//! Who is not served, and how they are told: origins, types, sizes, hosts, authentication.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;
use http_body_util::Full;

use crate::support::{Behaviour, COMPLETIONS, Relay, Upstream, ask, question, with};

#[tokio::test]
async fn what_makes_no_sense_never_reaches_the_upstream() {
    let upstream = Upstream::start(Behaviour::Answer).await;
    let relay = Relay::start(Some(&upstream), &["--max-body", "2000"]).await;
    for body in
        ["[]", "null", "{", "", "\u{0}", "{\"n\":1000000}", &format!("{}1", "[".repeat(1900))]
    {
        relay.post(body).await.is(400, "bad_json");
    }
    relay
        .post(&format!("{{\"messages\":\"{}\"}}", "x".repeat(2000)))
        .await
        .is(413, "body_too_large");
    relay.send(with(ask(&question()), &[("content-type", "text/plain")])).await.is(415, "not_json");
    relay.send(with(ask(&question()), &[("content-encoding", "gzip")])).await.is(415, "not_json");
    relay
        .send(with(ask(&question()), &[("host", "elsewhere.example")]))
        .await
        .is(421, "wrong_host");
    let wrong_method = relay.get(COMPLETIONS).await;
    wrong_method.is(405, "method_not_allowed");
    assert_eq!(wrong_method.header("allow"), "POST");
    assert!(upstream.requests().is_empty());
    relay.expect_metric(r#"frontdesk_relay_requests_total{outcome="bad_json"}"#, 7.0).await;
}

#[tokio::test]
async fn numbers_that_could_be_read_in_two_ways_are_refused() {
    let upstream = Upstream::start(Behaviour::Answer).await;
    let relay = Relay::start(Some(&upstream), &["--burst", "100"]).await;
    for name in ["n", "max_tokens", "max_completion_tokens"] {
        for wrong in ["0", "-1", "1.0", "1e2", "\"5\"", "true", "[1]", "99999999999999999999"] {
            relay
                .post(&format!("{{\"{name}\":{wrong},\"messages\":[]}}"))
                .await
                .is(400, "bad_json");
        }
        assert_eq!(relay.post(&format!("{{\"{name}\":null,\"messages\":[]}}")).await.status, 200);
    }
    relay
        .post("{\"stream\":true,\"stream_options\":[1],\"messages\":[]}")
        .await
        .is(400, "bad_json");
    assert_eq!(upstream.requests().len(), 3);
}

#[tokio::test]
async fn without_an_upstream_it_says_so() {
    Relay::start(None, &[]).await.post(&question()).await.is(503, "no_upstream");
}

#[tokio::test]
async fn only_pages_of_listed_origins_may_ask() {
    let upstream = Upstream::start(Behaviour::Answer).await;
    let relay = Relay::start(
        Some(&upstream),
        &["--origin", "https://app.example.com", "--origin", "chrome-extension://abc"],
    )
    .await;
    let own = format!("http://{}", relay.address);
    for origin in ["https://app.example.com", "chrome-extension://abc", &own] {
        let answer = relay
            .send(with(ask(&question()), &[("origin", origin), ("sec-fetch-site", "cross-site")]))
            .await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, origin));
        let preflight = Request::builder()
            .method(Method::OPTIONS)
            .uri(COMPLETIONS)
            .body(Full::default())
            .unwrap();
        let wish = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "content-type"),
        ];
        let answer = relay.send(with(preflight, &wish)).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, origin));
        assert!(answer.header("access-control-allow-headers").contains("content-type"));
    }
    let served = upstream.requests().len();
    for origin in
        ["https://evil.example", "null", "http://app.example.com", "https://app.example.com:444"]
    {
        let answer = relay.send(with(ask(&question()), &[("origin", origin)])).await;
        answer.is(403, "foreign_origin");
        assert_eq!(answer.header("access-control-allow-origin"), "");
    }
    relay
        .send(with(ask(&question()), &[("sec-fetch-site", "cross-site")]))
        .await
        .is(403, "foreign_origin");
    assert_eq!(upstream.requests().len(), served);
}

#[tokio::test]
async fn open_to_others_it_starts_only_with_origins() {
    let upstream = Upstream::start(Behaviour::Answer).await;
    let words = Relay::try_start(Some(&upstream), &["--address", "0.0.0.0"])
        .await
        .err()
        .expect("a refusal");
    assert!(words.contains("--origin"), "{words}");
    assert!(
        Relay::try_start(Some(&upstream), &["--upstream", "ftp://x/"])
            .await
            .err()
            .expect("a refusal")
            .contains("http(s)")
    );
}

/// The operator's own service, which knows two people, and breaks down for a third.
async fn hook() -> (String, Arc<Mutex<Vec<HeaderMap>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&asked);
    let judge = move |headers: HeaderMap| {
        kept.lock().unwrap().push(headers.clone());
        let token = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
        std::future::ready(match token.as_deref() {
            Some("Bearer ada") => [("x-frontdesk-client", "ada")].into_response(),
            Some("Bearer ben") => [("x-frontdesk-client", "ben")].into_response(),
            Some("Bearer banned") => StatusCode::FORBIDDEN.into_response(),
            Some("Bearer broken") => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            Some("Bearer moved") => {
                (StatusCode::FOUND, [("location", "/elsewhere")]).into_response()
            }
            Some("Bearer nameless") => [("x-frontdesk-client", "")].into_response(),
            _ => (StatusCode::UNAUTHORIZED, [("www-authenticate", "Bearer realm=\"desk\"")])
                .into_response(),
        })
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/may", listener.local_addr().unwrap());
    tokio::spawn(
        async move { axum::serve(listener, Router::new().route("/may", get(judge))).await },
    );
    (address, asked)
}

#[tokio::test]
async fn the_hook_decides_who_may_ask_and_names_them() {
    let upstream = Upstream::start(Behaviour::Answer).await;
    let (address, asked) = hook().await;
    let relay =
        Relay::start(Some(&upstream), &["--auth", &address, "--burst", "2", "--rate", "1"]).await;
    let as_client = |token: &str| {
        with(
            ask(&question()),
            &[("authorization", &format!("Bearer {token}")), ("cookie", "session=1")],
        )
    };

    assert_eq!(relay.send(as_client("ada")).await.status, 200);
    let seen = asked.lock().unwrap()[0].clone();
    assert_eq!(
        (&seen["cookie"], &seen["x-forwarded-for"], &seen["x-forwarded-uri"]),
        (
            &"session=1".parse().unwrap(),
            &"127.0.0.1".parse().unwrap(),
            &COMPLETIONS.parse().unwrap()
        )
    );

    let stranger = relay.post(&question()).await;
    stranger.is(401, "unauthorized");
    assert_eq!(stranger.header("www-authenticate"), "Bearer realm=\"desk\"");
    relay.send(as_client("banned")).await.is(403, "forbidden");
    for token in ["broken", "moved", "nameless"] {
        relay.send(as_client(token)).await.is(503, "auth_unavailable");
    }
    assert_eq!(upstream.requests().len(), 1);

    // Each has a rate of their own, though they come from one address.
    assert_eq!(relay.send(as_client("ada")).await.status, 200);
    relay.send(as_client("ada")).await.is(429, "rate_limited");
    assert_eq!(relay.send(as_client("ben")).await.status, 200);
    assert!(relay.log().contains(r#""client":"ada""#));
}

#[tokio::test]
async fn a_hook_that_is_down_lets_nobody_in() {
    let upstream = Upstream::start(Behaviour::Answer).await;
    let relay = Relay::start(Some(&upstream), &["--auth", "http://127.0.0.1:1/may"]).await;
    relay.post(&question()).await.is(503, "auth_unavailable");
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn folders_that_are_not_there_are_told_at_the_start() {
    for option in ["--page", "--models"] {
        let words =
            Relay::try_start(None, &[option, "/no/such/folder"]).await.err().expect("a refusal");
        assert!(words.contains("there is no folder /no/such/folder"), "{words}");
    }
}
