//! A soak: a thousand streams at once on loopback, again and again, and neither the relay's memory nor its open files grow.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test says with a panic that it cannot go on"
)]

#[path = "support.rs"]
#[expect(dead_code, reason = "the soak needs a part of it")]
mod support;

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use frontdesk_relay::{Server, Settings};
use futures_util::future::join_all;
use peak_alloc::PeakAlloc;
use support::{Behaviour, DONE, EVENT, Relay, Upstream, ask, send_to, streamed};
use tokio::sync::Mutex;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Both soaks count what is in memory, so one must not run beside the other.
static ALONE: Mutex<()> = Mutex::const_new(());

const STREAMS: usize = 1000;
const EVENTS: usize = 20;
/// Each stream lasts two seconds, so that all run at once.
const APART: Duration = Duration::from_millis(100);
const UNLIMITED: [&str; 8] = [
    "--burst",
    "1000000",
    "--rate",
    "1000000",
    "--client-budget",
    "1000000000000",
    "--total-budget",
    "1000000000000",
];

/// The program: resident memory says what the system has given, which allocators give back when they like.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_streams_at_once_leave_the_program_as_it_was() {
    let _alone = ALONE.lock().await;
    // Clients and upstreams are in this process: two open files of each stream's four.
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap();
    assert!(
        files > 4 * STREAMS as u64,
        "this system allows {files} open files; the soak needs more"
    );
    let upstream = Upstream::start(Behaviour::Stream { events: EVENTS, apart: APART }).await;
    let relay = Relay::start(Some(&upstream), &UNLIMITED).await;
    let mut memory = Vec::new();
    for round in 1..=10 {
        let most = async {
            let mut most = 0.0_f64;
            for _ in 0..30 {
                most = most.max(relay.metric("frontdesk_relay_running").await);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            most
        };
        let ((), most) = tokio::join!(one_round(relay.address), most);
        relay.expect_metric("frontdesk_relay_running", 0.0).await;
        relay.expect_metric("frontdesk_relay_connections", 0.0).await;
        let (kilobytes, files) = (resident_kilobytes(&relay), open_files(&relay));
        println!(
            "round {round}: {most} streams at once, then {kilobytes} kB resident, {files} files open"
        );
        assert!(most > 0.9 * STREAMS as f64, "only {most} streams ran at once");
        assert!(files < 100, "{files} files are open when nothing runs");
        memory.push(kilobytes);
    }
    // A leak of 4 kB a stream would add 32 MB in the last eight rounds.
    assert!(memory[9] < memory[1] + 32 * 1024, "resident memory after each round, kB: {memory:?}");
}

/// The same server in this process, where every byte that is not given back is counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_streams_at_once_leave_no_byte_behind() {
    let _alone = ALONE.lock().await;
    let upstream = Upstream::start(Behaviour::Stream { events: EVENTS, apart: APART }).await;
    let url = upstream.url();
    let settings = Settings::from_arguments(
        ["frontdesk-relay", "--port", "0", "--upstream", &url].into_iter().chain(UNLIMITED),
    )
    .unwrap();
    let server = Server::bind(settings).await.unwrap();
    let address = server.address().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async { drop(stopped.await) }));
    let mut left = Vec::new();
    for round in 1..=6 {
        one_round(address).await;
        upstream.forget();
        tokio::time::sleep(Duration::from_millis(500)).await;
        left.push(MEMORY.current_usage());
        println!("round {round}: {} bytes in use afterwards, by all three sides", left[round - 1]);
    }
    // Connections to the upstream that are kept for the next request are in it or not, 1.6 MB. Beyond that a leak of a kilobyte a
    // stream would show: at least 4,000 lie between these.
    let first = left[0].max(left[1]);
    assert!(left[5] < first + 2_000_000, "bytes after each round: {left:?}");
    stop.send(()).unwrap();
    running.await.unwrap();
}

async fn one_round(address: SocketAddr) {
    let question = streamed();
    let answers = join_all((0..STREAMS).map(|_| send_to(address, ask(&question)))).await;
    let whole = EVENT.repeat(EVENTS) + DONE;
    let good = answers
        .iter()
        .filter(|answer| answer.status == 200 && answer.body.as_ref() == Ok(&whole))
        .count();
    assert_eq!(good, STREAMS);
}

fn resident_kilobytes(relay: &Relay) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", relay.process())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn open_files(relay: &Relay) -> usize {
    fs::read_dir(format!("/proc/{}/fd", relay.process())).unwrap().count()
}
