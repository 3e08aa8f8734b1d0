//! Limits that several servers keep together, in Redis: each step is one script, so that no two servers count past each other.

use std::fmt;
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::TcpSettings;
use redis::io::tcp::socket2::TcpKeepalive;
use redis::{Client as Server, FromRedisValue, IntoConnectionInfo, Script, ScriptInvocation};
use tokio::time::timeout;

use super::{Allowance, Reservation, Spent};
use crate::client::Client;

/// A request waits no longer for its limits than this.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// The generic cell rate algorithm (ITU-T I.371): a client's theoretical arrival time moves on by one interval with each request and
/// may be ahead of the clock by a burst. Times are those of Redis, in microseconds, so that servers' clocks do not matter.
/// KEYS: the client's time. ARGV: interval, burst. Returns how long to wait, 0 for not at all.
const ADMIT: &str = r"
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local interval = tonumber(ARGV[1])
local arrival = tonumber(redis.call('GET', KEYS[1]) or '0')
if arrival < now then arrival = now end
local wait = arrival + interval - interval * tonumber(ARGV[2]) - now
if wait > 0 then return wait end
redis.call('SET', KEYS[1], string.format('%.0f', arrival + interval), 'PX', math.ceil((arrival + interval - now) / 1000))
return 0
";

/// KEYS: what the client and what all have spent today. ARGV: tokens, the client's budget, the budget of all, seconds until both are forgotten.
/// Returns 0, or 1 or 2 where the first or second budget does not hold so many.
const RESERVE: &str = r"
local tokens = tonumber(ARGV[1])
if tonumber(redis.call('GET', KEYS[1]) or '0') + tokens > tonumber(ARGV[2]) then return 1 end
if tonumber(redis.call('GET', KEYS[2]) or '0') + tokens > tonumber(ARGV[3]) then return 2 end
for _, key in ipairs(KEYS) do
  redis.call('INCRBY', key, ARGV[1])
  redis.call('EXPIRE', key, ARGV[4])
end
return 0
";

/// KEYS: as above. ARGV: what is added, negative where less was spent. A day that Redis has forgotten is over, and nothing falls below 0.
const SETTLE: &str = r"
for _, key in ipairs(KEYS) do
  if redis.call('EXISTS', key) == 1 and redis.call('INCRBY', key, ARGV[1]) < 0 then
    redis.call('SET', key, 0, 'KEEPTTL')
  end
end
";

const KEEPALIVE: Duration = Duration::from_secs(15);
/// Numbers of scripts are exact up to here; no budget is larger.
const MOST_TOKENS: u64 = crate::settings::MOST_TOKENS;

/// Longer than a day, so that what ends after midnight finds its day.
const SECONDS_KEPT: u64 = 2 * 86_400;

pub(crate) struct Shared {
    allowance: Allowance,
    redis: ConnectionManager,
    admit: Script,
    reserve: Script,
    settle: Script,
}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Shared").field("allowance", &self.allowance).finish_non_exhaustive()
    }
}

impl Shared {
    /// # Errors
    /// In words, where the address makes no sense or nobody answers there.
    pub(crate) async fn connect(address: &str, allowance: Allowance) -> Result<Self, String> {
        // For rediss://; that another provider was installed before is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        // A server that is gone without a word is noticed by the system, and connected to anew.
        let patience = TcpSettings::default()
            .set_user_timeout(2 * ANSWER_TIMEOUT)
            .set_keepalive(TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE));
        let server = address
            .into_connection_info()
            .map(|address| address.set_tcp_settings(patience))
            .and_then(Server::open)
            .map_err(|error| format!("the address of Redis makes no sense: {error}"))?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(ANSWER_TIMEOUT))
            .set_response_timeout(Some(ANSWER_TIMEOUT))
            .set_number_of_retries(2)
            .set_max_delay(Duration::from_secs(1));
        let redis = ConnectionManager::new_with_config(server, config)
            .await
            .map_err(|error| format!("Redis does not answer: {error}"))?;
        Ok(Self {
            allowance,
            redis,
            admit: Script::new(ADMIT),
            reserve: Script::new(RESERVE),
            settle: Script::new(SETTLE),
        })
    }

    /// How long to wait, where the request comes too early.
    pub(crate) async fn admit(&self, client: &Client) -> Result<Option<Duration>, String> {
        let rate = self.allowance.rate;
        let mut invocation = self.admit.key(format!("frontdesk:rate:{}", client.key()));
        invocation
            .arg(u64::try_from(rate.replenish_interval().as_micros()).unwrap_or(u64::MAX))
            .arg(rate.burst_size().get());
        let wait: u64 = self.ask(&invocation).await?;
        Ok((wait > 0).then(|| Duration::from_micros(wait)))
    }

    pub(crate) async fn reserve(
        &self,
        reservation: &Reservation,
    ) -> Result<Result<(), Spent>, String> {
        let mut invocation = keyed(&self.reserve, reservation);
        invocation
            .arg(reservation.tokens.min(MOST_TOKENS))
            .arg(self.allowance.client_budget)
            .arg(self.allowance.total_budget)
            .arg(SECONDS_KEPT);
        let outcome: u8 = self.ask(&invocation).await?;
        Ok(match outcome {
            0 => Ok(()),
            1 => Err(Spent::Client),
            _ => Err(Spent::Total),
        })
    }

    pub(crate) async fn settle(&self, reservation: &Reservation, spent: u64) -> Result<(), String> {
        let change = i64::try_from(spent.min(MOST_TOKENS))
            .unwrap_or(i64::MAX)
            .saturating_sub_unsigned(reservation.tokens);
        let mut invocation = keyed(&self.settle, reservation);
        invocation.arg(change);
        self.ask(&invocation).await
    }

    /// One answer within the time that a request waits, new connections and all.
    async fn ask<T: FromRedisValue>(&self, invocation: &ScriptInvocation<'_>) -> Result<T, String> {
        let mut redis = self.redis.clone();
        match timeout(ANSWER_TIMEOUT, invocation.invoke_async(&mut redis)).await {
            Ok(answer) => answer.map_err(|error| error.to_string()),
            Err(_) => Err("Redis took too long".to_owned()),
        }
    }
}

fn keyed<'a>(
    script: &'a Script,
    Reservation { client, day, .. }: &Reservation,
) -> ScriptInvocation<'a> {
    let mut invocation = script.key(format!("frontdesk:spent:{day}:{}", client.key()));
    invocation.key(format!("frontdesk:spent:{day}:all"));
    invocation
}
