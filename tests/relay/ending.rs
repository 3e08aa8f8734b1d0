//! The end: running answers finish, new ones are not taken, and what does not finish in time is cut off.

use std::time::Duration;

use http_body_util::BodyExt;

use crate::support::{Behaviour, DONE, EVENT, Relay, Upstream, ask, streamed};

#[tokio::test]
async fn running_answers_finish() {
    let upstream =
        Upstream::start(Behaviour::Stream { events: 20, apart: Duration::from_millis(50) }).await;
    let mut relay = Relay::start(Some(&upstream), &[]).await;
    assert_eq!(relay.get("/healthz").await.text(), "ok\n");
    let response = relay.open(ask(&streamed())).await;
    relay.terminate();
    let body = response.into_body().collect().await.expect("a whole answer").to_bytes();
    assert_eq!(std::str::from_utf8(&body).unwrap(), EVENT.repeat(20) + DONE);
    assert!(relay.ended().await.success());
    assert!(tokio::net::TcpStream::connect(relay.address).await.is_err());
}

#[tokio::test]
async fn what_does_not_finish_in_time_is_cut_off() {
    let upstream = Upstream::start(Behaviour::Silent).await;
    let mut relay = Relay::start(Some(&upstream), &["--grace", "0.3"]).await;
    let response = relay.open(ask(&streamed())).await;
    relay.terminate();
    assert!(response.into_body().collect().await.is_err());
    assert!(relay.ended().await.success());
    assert!(relay.log().contains("cut off"), "{}", relay.log());
}
