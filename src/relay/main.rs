//! The program: reads its settings, says where it listens, and serves until it is told to end.
#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::process::ExitCode;

use frontdesk_relay::{Server, Settings};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> ExitCode {
    let settings = Settings::from_environment();
    tracing_subscriber::fmt()
        .with_max_level(settings.log)
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_target(false)
        .with_writer(io::stderr)
        .init();
    // Each stream takes two open files. Where the system allows no more, fewer clients are served at once.
    drop(rlimit::increase_nofile_limit(u64::MAX));
    match serve(settings).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(words) => {
            eprintln!("frontdesk-relay: {words}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(settings: Settings) -> Result<(), String> {
    let upstream = settings.upstream().and_then(|address| address.host().map(ToOwned::to_owned));
    let models = settings.models.clone();
    let server = Server::bind(settings).await?;
    let address = server.address().map_err(|error| error.to_string())?;
    let mut words = format!("Frontdesk: http://{address}/\n");
    if let Some(models) = models {
        words += &format!("  models from {}\n", models.display());
    }
    if let Some(address) = server.metrics_address() {
        words += &format!("  metrics at http://{address}/metrics\n");
    }
    words += &format!(
        "  back office: {}\n",
        upstream.as_deref().unwrap_or("none (set FRONTDESK_UPSTREAM_URL)")
    );
    // Whoever started it may have stopped listening; that is no reason to stop.
    drop(io::stdout().write_all(words.as_bytes()));
    drop(io::stdout().flush());

    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    };
    server.run(stop).await;
    Ok(())
}
