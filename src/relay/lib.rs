//! The reference backend of Frontdesk: serves the demo, and relays chat completions to any OpenAI-compatible upstream.
//!
//! The upstream's key stays here. A request passes, in this order: the origin's allow-list, the authentication hook, the client's
//! rate, the limits of size and time, the daily budgets; then its answer comes back as the upstream sends it. Nothing of a text
//! is logged or kept, and nothing is kept at all but limits, so any number of these servers may stand behind a load balancer.
#![forbid(unsafe_code)]

mod client;
mod completions;
mod limits;
mod metrics;
mod origins;
mod page;
mod problem;
mod record;
mod server;
mod settings;
mod upstream;
mod usage;

pub use origins::Origin;
pub use server::Server;
pub use settings::{Given, Settings, WebAddress};

/// Where completions are asked for.
pub const COMPLETIONS: &str = "/v1/chat/completions";
