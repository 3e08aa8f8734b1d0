//! The manual, docs/relay.md, has every option and every metric, and no other.

use std::collections::BTreeSet;
use std::process::Command;

use crate::support::{Behaviour, Relay, Upstream, question};

const MANUAL: &str = include_str!("../../docs/relay.md");

/// What begins with `start` and goes on with letters, digits, `_` or `-`.
fn names<'a>(text: &'a str, start: &str) -> BTreeSet<&'a str> {
    let found = text.match_indices(start).map(|(at, _)| {
        let rest = &text[at..];
        &rest[..rest
            .find(|letter: char| !letter.is_ascii_alphanumeric() && !"_-".contains(letter))
            .unwrap_or(rest.len())]
    });
    found.filter(|name| name.len() > start.len()).collect()
}

#[test]
fn options_are_those_of_the_program() {
    let help =
        Command::new(env!("CARGO_BIN_EXE_frontdesk-relay")).arg("--help").output().unwrap().stdout;
    let help = String::from_utf8(help).unwrap();
    let own = names(&help, "--")
        .into_iter()
        .filter(|name| !["--help", "--version"].contains(name))
        .collect();
    let table: String = MANUAL.lines().filter(|line| line.starts_with("| `--")).collect();
    assert_eq!(names(&table, "--"), own);
    assert_eq!(names(MANUAL, "FRONTDESK_"), names(&help, "FRONTDESK_"));
}

#[tokio::test]
async fn metrics_are_those_of_the_program() {
    let upstream = Upstream::start(Behaviour::Answer).await;
    let relay = Relay::start(Some(&upstream), &[]).await;
    relay.post(&question()).await;
    relay.get("/").await;
    let text = relay.metrics().await;
    let own: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert!(own.len() > 5, "{text}");
    assert_eq!(names(MANUAL, "frontdesk_relay_"), own);
}
