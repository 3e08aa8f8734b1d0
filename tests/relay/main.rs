//! The relay's program, as operators run it, between real clients and real upstreams.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test says with a panic that it cannot go on"
)]

mod encryption;
mod ending;
mod faults;
mod files;
mod limits;
mod manual;
mod refusals;
mod relaying;
mod slowness;
#[expect(dead_code, reason = "the soak needs the rest")]
mod support;
