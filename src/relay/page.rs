//! The page and the model files, with the headers that a browser needs to run them and to hold back everything else.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tower_http::services::ServeDir;

use crate::origins::Allowed;
use crate::problem::Problem;
use crate::settings::Settings;

/// What the page's own `www/demo/building/policy.mjs` says: nothing from elsewhere, no inline scripts, and requests to this server only.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; style-src 'self'; \
    img-src 'self' data:; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const SECURITY: [(&str, &str); 4] = [
    ("content-security-policy", POLICY),
    ("cross-origin-resource-policy", "same-origin"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
];
const ISOLATION: [(&str, &str); 2] = [
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-embedder-policy", "require-corp"),
];
/// Of the models that the page uses.
const MODEL: &str = "smollm2-135m-instruct";
const REFLEX: &str = "minilm-l6";

/// What stands on every answer.
pub(crate) struct Headers {
    pub(crate) isolation: bool,
    pub(crate) allowed: Arc<Allowed>,
}

/// Puts the headers on, and refuses foreign names for this machine.
pub(crate) async fn guard(
    State(headers): State<Arc<Headers>>,
    request: Request,
    next: Next,
) -> Response {
    let authority = request.uri().authority().map(ToString::to_string);
    let mut response = match headers.allowed.check_host(request.headers(), authority.as_deref()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    let isolation = if headers.isolation { &ISOLATION[..] } else { &[] };
    for (name, value) in SECURITY.iter().chain(isolation) {
        response.headers_mut().insert(*name, HeaderValue::from_static(value));
    }
    response
}

/// Files of two folders.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    page: Option<ServeDir>,
    models: Option<PathBuf>,
    serve_models: Option<ServeDir>,
    upstream_host: Option<String>,
}

impl Files {
    pub(crate) fn new(settings: &Settings) -> Self {
        let serve = |folder: &PathBuf| ServeDir::new(folder).redirect_to_trailing_slash(false);
        Self {
            page: settings.page.as_ref().map(serve),
            models: settings.models.clone(),
            serve_models: settings
                .models
                .as_ref()
                .map(|folder| serve(folder).append_index_html_on_directories(false)),
            upstream_host: settings
                .upstream()
                .and_then(|address| address.host())
                .map(ToOwned::to_owned),
        }
    }
}

/// What the page must know: whether there is a back office, and how big each model file is.
pub(crate) async fn config(State(files): State<Files>, request: Request) -> Response {
    if let Err(problem) = only_reading(request.method()) {
        return problem.into_response();
    }
    let mut config = json!({
        "upstream": files.upstream_host.is_some(),
        "model": files.facts(MODEL).await,
        "reflex": files.facts(REFLEX).await,
    });
    if let (Some(host), Some(fields)) = (&files.upstream_host, config.as_object_mut()) {
        fields.insert("upstreamHost".to_owned(), json!(host));
    }
    ([(header::CACHE_CONTROL, "no-store")], Json(config)).into_response()
}

/// The page's files are asked for anew each time, and seldom sent.
pub(crate) async fn page(State(files): State<Files>, request: Request) -> Response {
    file(files.page, request, "no-cache").await
}

/// Pages keep their own verified copy of a model: a second one in the browser's cache would only take space.
pub(crate) async fn models(State(files): State<Files>, request: Request) -> Response {
    let name = request.uri().path().strip_prefix("/models").filter(|name| name.ends_with(".gguf"));
    let Some(uri) = name.and_then(|name| name.parse().ok()) else {
        return Problem::not_found().into_response();
    };
    let (mut parts, body) = request.into_parts();
    parts.uri = uri;
    file(files.serve_models, Request::from_parts(parts, body), "no-store").await
}

async fn file(folder: Option<ServeDir>, request: Request, cache: &'static str) -> Response {
    if let Err(problem) = only_reading(request.method()) {
        return problem.into_response();
    }
    let path = request
        .uri()
        .path()
        .to_ascii_lowercase()
        .replace("%2e", ".")
        .replace("%2f", "/")
        .replace("%5c", "/");
    let is_hidden = path.split('/').any(|part| part.starts_with('.'));
    let served = match folder {
        Some(folder) if !is_hidden => serve(folder, request).await,
        _ => None,
    };
    let Some(mut response) = served else { return Problem::not_found().into_response() };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    response
}

async fn serve(mut folder: ServeDir, mut request: Request) -> Option<Response> {
    if let Some(known) = request.headers_mut().remove(header::IF_RANGE) {
        // The rest of one file must not become the end of another: where it has changed, the whole is sent.
        let mut asked = Request::new(Body::empty());
        *asked.method_mut() = Method::HEAD;
        *asked.uri_mut() = request.uri().clone();
        let now = folder.try_call(asked).await.ok()?;
        if now.headers().get(header::ETAG) != Some(&known) {
            request.headers_mut().remove(header::RANGE);
        }
    }
    let response = folder.try_call(request).await.ok()?;
    (response.status() != StatusCode::NOT_FOUND).then(|| response.map(Body::new))
}

fn only_reading(method: &Method) -> Result<(), Problem> {
    if *method == Method::GET || *method == Method::HEAD {
        Ok(())
    } else {
        Err(Problem::method_not_allowed("GET, HEAD"))
    }
}

impl Files {
    async fn facts(&self, id: &str) -> Value {
        let bytes = match &self.models {
            Some(folder) => tokio::fs::metadata(folder.join(format!("{id}.gguf")))
                .await
                .ok()
                .filter(std::fs::Metadata::is_file)
                .map(|file| file.len()),
            None => None,
        };
        json!({ "id": id, "bytes": bytes })
    }
}
