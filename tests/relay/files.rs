//! The page and the models: right headers, ranges, and nothing outside the folders.

use std::fs;

use axum::http::{Method, Request};
use http_body_util::Full;
use tempfile::TempDir;

use crate::support::{Behaviour, Relay, Upstream, with};

fn site() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, content) in [
        ("page/index.html", "<!doctype html>"),
        ("page/app.js", "let a;"),
        ("page/.hidden", "no"),
        ("models/minilm-l6.gguf", "GGUF model"),
        ("models/notes.txt", "no"),
        ("outside.txt", "no"),
        ("outside.gguf", "no"),
        ("page/assets/.hidden", "no"),
        ("models/.hidden.gguf", "no"),
    ] {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

async fn serve(folder: &TempDir, upstream: Option<&Upstream>, options: &[&str]) -> Relay {
    let (page, models) = (folder.path().join("page"), folder.path().join("models"));
    let folders = ["--page", page.to_str().unwrap(), "--models", models.to_str().unwrap()];
    Relay::start(upstream, &[&folders, options].concat()).await
}

fn get(path: &str) -> Request<Full<axum::body::Bytes>> {
    Request::get(path).body(Full::default()).unwrap()
}

#[tokio::test]
async fn the_page_comes_with_the_headers_that_hold_it_in() {
    let folder = site();
    let relay = serve(&folder, None, &[]).await;
    for path in ["/", "/app.js", "/no-such-file"] {
        let answer = relay.get(path).await;
        let policy = answer.header("content-security-policy");
        assert!(
            policy.contains("connect-src 'self';")
                && policy.contains("script-src 'self' 'wasm-unsafe-eval';"),
            "{policy}"
        );
        assert_eq!(answer.header("cross-origin-opener-policy"), "same-origin");
        assert_eq!(answer.header("cross-origin-embedder-policy"), "require-corp");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
    let page = relay.get("/").await;
    assert_eq!(
        (page.status, page.text(), page.header("content-type")),
        (200, "<!doctype html>", "text/html")
    );
    assert_eq!(page.header("cache-control"), "no-cache");
    assert_eq!(
        relay.send(with(get("/"), &[("if-none-match", page.header("etag"))])).await.status,
        304
    );
    let plain = serve(&folder, None, &["--no-isolation"]).await;
    assert_eq!(plain.get("/").await.header("cross-origin-opener-policy"), "");
}

#[tokio::test]
async fn models_come_in_ranges_and_uncompressed() {
    let folder = site();
    let relay = serve(&folder, None, &[]).await;
    let model = "/models/minilm-l6.gguf";
    let part =
        relay.send(with(get(model), &[("range", "bytes=2-3"), ("accept-encoding", "gzip")])).await;
    assert_eq!(
        (part.status, part.text(), part.header("content-range")),
        (206, "UF", "bytes 2-3/10")
    );
    assert_eq!((part.header("cache-control"), part.header("content-encoding")), ("no-store", ""));
    let changed =
        relay.send(with(get(model), &[("range", "bytes=2-3"), ("if-range", "\"another\"")])).await;
    assert_eq!((changed.status, changed.text()), (200, "GGUF model"));
    let same = relay
        .send(with(get(model), &[("range", "bytes=2-3"), ("if-range", part.header("etag"))]))
        .await;
    assert_eq!(same.status, 206);
    assert_eq!(relay.send(with(get(model), &[("range", "bytes=10-")])).await.status, 416);
}

#[tokio::test]
async fn nothing_outside_the_folders_is_served() {
    let folder = site();
    let relay = serve(&folder, None, &[]).await;
    for path in [
        "/%2e%2e/outside.txt",
        "/../outside.txt",
        "/..%2foutside.txt",
        "/.hidden",
        "/%2ehidden",
        "/models/notes.txt",
        "/models/..%2f..%2foutside.txt",
        "/models/%2e%2e%2foutside.gguf",
        "/..%5coutside.txt",
        "/models/",
        "/models",
        "/index.html%00",
        "/%ff",
        "/assets/.hidden",
        "/assets%2f.hidden",
        "/assets%5c.hidden",
        "/models/%2ehidden.gguf",
        "/models/../outside.gguf",
        "/models/..%2foutside.gguf",
    ] {
        relay.get(path).await.is(404, "not_found");
    }
    for method in [Method::PUT, Method::POST, Method::DELETE] {
        for path in ["/config.json", "/", "/models/minilm-l6.gguf"] {
            let request =
                Request::builder().method(method.clone()).uri(path).body(Full::default()).unwrap();
            relay.send(request).await.is(405, "method_not_allowed");
        }
    }
}

#[tokio::test]
async fn the_page_is_told_what_there_is() {
    let folder = site();
    let upstream = Upstream::start(Behaviour::Answer).await;
    let told = |relay: Relay| async move {
        serde_json::from_str::<serde_json::Value>(relay.get("/config.json").await.text()).unwrap()
    };
    let facts = serde_json::json!({ "upstream": false, "model": { "id": "smollm2-135m-instruct", "bytes": null }, "reflex": { "id": "minilm-l6", "bytes": 10 } });
    assert_eq!(told(serve(&folder, None, &[]).await).await, facts);
    let connected = told(serve(&folder, Some(&upstream), &[]).await).await;
    assert_eq!(
        (&connected["upstream"], &connected["upstreamHost"]),
        (&true.into(), &"127.0.0.1".into())
    );
}

#[tokio::test]
async fn a_taken_port_is_told_in_words() {
    let relay = Relay::start(None, &[]).await;
    let port = relay.address.port().to_string();
    let words = Relay::try_start(None, &["--port", &port]).await.err().expect("a refusal");
    assert!(words.contains(&format!("Port {port} is in use.")), "{words}");
}
