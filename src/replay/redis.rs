//! Used tokens in Redis or Valkey, for several replicas.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, Cmd, RedisError, RedisResult};
use tokio::time::timeout;

use super::{Answer, Use, Uses};
use crate::config::StoreUrl;
use crate::jose::base64url;

/// Beside what the store may hold for others.
const PREFIX: &str = "remint:used:";

/// The longest that one request waits for the store, with connecting to it.
const PATIENCE: Duration = Duration::from_secs(1);

/// After a failure, only one request in this time tries again; the others take it for failed, so that a store that
/// hangs does not hold up everybody.
const PAUSE: Duration = Duration::from_millis(500);

/// A token whose `exp` lies beyond is kept for so long: the store takes no larger number.
const LONGEST: u64 = 10 * 365 * 24 * 60 * 60 * 1000;

/// Sets all keys, or none where one is there.
const ALL_OR_NONE: &str = "\
for _, key in ipairs(KEYS) do if redis.call('EXISTS', key) == 1 then return 0 end end
for i, key in ipairs(KEYS) do redis.call('SET', key, '1', 'PX', ARGV[i]) end
return 1";

/// A store, connected to when it is first asked, and again after each failure.
pub(super) struct Redis {
    client: Client,
    /// For the log, without a password.
    shown: String,
    connection: Mutex<Option<ConnectionManager>>,
    failing: AtomicBool,
    /// Whether the log says that the store refuses some requests.
    told: AtomicBool,
    /// When to ask again after a failure, in milliseconds of the monotonic clock; zero while all is well.
    retry_at: AtomicU64,
}

impl Redis {
    pub(super) fn new(url: &StoreUrl) -> Result<Self, String> {
        let client = Client::open(url.secret());
        let client = client.map_err(|_| {
            format!("{url} cannot be used: write a URL such as \"redis://:PASSWORD@host:6379/0\"")
        })?;
        Ok(Self {
            client,
            shown: url.to_string(),
            connection: Mutex::default(),
            failing: AtomicBool::new(false),
            told: AtomicBool::new(false),
            retry_at: AtomicU64::new(0),
        })
    }

    /// Records all uses or none; `unix` is the time since the epoch, `monotonic` that of a clock that never goes back.
    pub(super) async fn record(&self, uses: &Uses, unix: Duration, monotonic: Duration) -> Answer {
        if !self.may_ask(monotonic) {
            return Answer::Unknown;
        }
        let asked = timeout(PATIENCE, self.ask(uses, unix)).await;
        match asked {
            Ok(Ok(recorded)) => {
                self.retry_at.store(0, Ordering::Relaxed);
                if self.failing.swap(false, Ordering::Relaxed) {
                    tracing::info!(target: "replay", store = self.shown, "the store of used tokens answers again");
                }
                if recorded {
                    Answer::Recorded
                } else {
                    Answer::Seen
                }
            }
            Ok(Err(error)) if concerns_one(&error) => {
                if !self.told.swap(true, Ordering::Relaxed) {
                    let store = &self.shown;
                    tracing::warn!(target: "replay", store, cause = %error, "the store of used tokens refuses some requests: allow SET and EVAL, and use no cluster");
                }
                Answer::Unknown
            }
            Ok(Err(error)) => self.fail(&error.to_string(), monotonic),
            Err(_) => self.fail("it did not answer in time", monotonic),
        }
    }

    /// Whether this request may ask: always while all is well, else the first after each pause.
    fn may_ask(&self, now: Duration) -> bool {
        let retry_at = self.retry_at.load(Ordering::Relaxed);
        if retry_at == 0 {
            return true;
        }
        if millis(now) < retry_at {
            return false;
        }
        let next = millis(now + PATIENCE + PAUSE);
        self.retry_at
            .compare_exchange(retry_at, next, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }

    fn fail(&self, cause: &str, now: Duration) -> Answer {
        // The crate makes a new connection only after some kinds of errors.
        *self.shared() = None;
        // `now` is when the request began: one that was not answered in time ends after it by all its patience. A
        // later time, which a request that tries again has set, stays.
        let retry_at = millis(now + PATIENCE + PAUSE);
        self.retry_at.fetch_max(retry_at, Ordering::Relaxed);
        if !self.failing.swap(true, Ordering::Relaxed) {
            tracing::warn!(target: "replay", store = self.shown, cause, "the store of used tokens cannot be asked");
        }
        Answer::Unknown
    }

    /// The connection that all requests share; it is made when it is first used.
    fn connection(&self) -> RedisResult<ConnectionManager> {
        let mut shared = self.shared();
        if let Some(connection) = shared.as_ref() {
            return Ok(connection.clone());
        }
        let connection = ConnectionManager::new_lazy_with_config(self.client.clone(), patient())?;
        Ok(shared.insert(connection).clone())
    }

    fn shared(&self) -> MutexGuard<'_, Option<ConnectionManager>> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether all were recorded; `false` where one had been.
    async fn ask(&self, uses: &Uses, now: Duration) -> Result<bool, RedisError> {
        let mut connection = self.connection()?;
        let mut each = uses.iter();
        if let (Some(only), None) = (each.next(), each.next()) {
            let mut set = Cmd::new();
            set.arg("SET").arg(key(only)).arg("1").arg("NX");
            set.arg("PX").arg(left(only, now));
            let set: RedisResult<Option<String>> = set.query_async(&mut connection).await;
            return set.map(|answer| answer.is_some());
        }
        let (keys, left): (Vec<_>, Vec<_>) =
            uses.iter().map(|one| (key(one), left(one, now))).unzip();
        let mut eval = Cmd::new();
        eval.arg("EVAL")
            .arg(ALL_OR_NONE)
            .arg(keys.len())
            .arg(keys)
            .arg(left);
        let recorded: i64 = eval.query_async(&mut connection).await?;
        Ok(recorded == 1)
    }
}

/// Whether the store answers, but refuses the keys or the command of this request: others may fare better.
fn concerns_one(error: &RedisError) -> bool {
    use redis::ServerErrorKind::{Ask, CrossSlot, Moved, NoPerm};
    matches!(
        error.kind(),
        redis::ErrorKind::Server(NoPerm | CrossSlot | Moved | Ask)
    )
}

/// One attempt for each request: more of them are further requests.
fn patient() -> ConnectionManagerConfig {
    ConnectionManagerConfig::new()
        .set_number_of_retries(0)
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE))
}

fn key(one: &Use) -> String {
    format!("{PREFIX}{}", base64url::encode(one.key))
}

/// For how many milliseconds more it is remembered.
fn left(one: &Use, now: Duration) -> u64 {
    let until = one.until.saturating_mul(1000);
    until.saturating_sub(millis(now)).clamp(1, LONGEST)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_failure_one_request_a_pause_asks_and_a_late_one_lets_in_no_more() {
        let redis = Redis::new(&StoreUrl::of("redis://127.0.0.1:9".parse().unwrap())).unwrap();
        let at = Duration::from_millis;
        assert!(redis.may_ask(at(10_000)) && redis.may_ask(at(10_000)));
        // Requests that began at 10 s gave up at 11 s: what counts is when they ended.
        redis.fail("late", at(10_000));
        assert!(!redis.may_ask(at(11_400)));
        assert!(redis.may_ask(at(11_500)));
        assert!(!redis.may_ask(at(11_500)));
        redis.fail("later", at(10_100));
        assert!(!redis.may_ask(at(12_900)));
        assert!(redis.may_ask(at(13_000)));
    }
}
