//! `[replay]`, and `replay` of connectors: tokens that can be used once.

use std::fmt;

use url::Url;

use super::section::Section;

/// The default of `memory_entries`.
const ENTRIES: usize = 1_000_000;
/// The largest value of it: some 50 bytes each.
const MOST_ENTRIES: usize = 100_000_000;

/// `[replay]`: where used tokens are remembered.
#[derive(Clone, Debug)]
pub struct Replay {
    /// A store that replicas share; absent: the memory of the process.
    pub store: Option<StoreUrl>,
    /// Whether tokens are issued while the store cannot be asked.
    pub allow_without_store: bool,
    /// How many used tokens the memory holds.
    pub memory_entries: usize,
}

/// `redis://` or `rediss://`; it may hold a password, which `Debug` and `Display` do not show.
#[derive(Clone)]
pub struct StoreUrl(Url);

impl StoreUrl {
    /// A URL for tests.
    #[cfg(all(test, feature = "redis"))]
    pub(crate) fn of(url: Url) -> Self {
        Self(url)
    }

    /// The whole URL, password included: for connecting, not for a log.
    pub fn secret(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.0.host_str().unwrap_or_default();
        write!(f, "{}://{host}", self.0.scheme())?;
        self.0.port().map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How often a token of a connector can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayMode {
    /// Any number of times.
    Off,
    /// Once.
    Once,
    /// Once for each audience of the new token.
    OncePerAudience,
}

/// Reads the table.
pub(super) fn read_replay(replay: &mut Section<'_>) -> Replay {
    Replay {
        store: read_store(replay),
        allow_without_store: read_failure(replay),
        memory_entries: read_entries(replay),
    }
}

/// Reads `replay` of a connector.
pub(super) fn read_mode(connector: &mut Section<'_>) -> ReplayMode {
    match connector.optional::<String>("replay").as_deref() {
        None | Some("off") => ReplayMode::Off,
        Some("once") => ReplayMode::Once,
        Some("once_per_audience") => ReplayMode::OncePerAudience,
        Some(other) => {
            let found =
                format!("found {other:?}, expected \"off\", \"once\" or \"once_per_audience\"");
            connector.error("replay", found);
            ReplayMode::Once
        }
    }
}

fn read_store(replay: &mut Section<'_>) -> Option<StoreUrl> {
    let text = replay.optional::<super::secret::Hidden>("store")?;
    let url = Url::parse(text.expose()).ok();
    let url = url.filter(|url| {
        matches!(url.scheme(), "redis" | "rediss")
            && url.host_str().is_some_and(|host| !host.is_empty())
    });
    if url.is_none() {
        // What was found may hold a password.
        replay.error(
            "store",
            "expected a URL such as \"redis://127.0.0.1:6379\" or \"rediss://:PASSWORD@redis.internal:6379/0\"; leave the key out for the memory of this process",
        );
    }
    url.map(StoreUrl)
}

fn read_failure(replay: &mut Section<'_>) -> bool {
    match replay.optional::<String>("on_store_failure").as_deref() {
        None | Some("refuse") => false,
        Some("allow") => {
            replay.warning("on_store_failure", "while the store cannot be asked, tokens are issued that may have been used before: \"refuse\" is the safe choice");
            true
        }
        Some(other) => {
            let found = format!("found {other:?}, expected \"refuse\" or \"allow\"");
            replay.error("on_store_failure", found);
            false
        }
    }
}

fn read_entries(replay: &mut Section<'_>) -> usize {
    let Some(found) = replay.optional::<u64>("memory_entries") else {
        return ENTRIES;
    };
    match usize::try_from(found) {
        Ok(found) if (1..=MOST_ENTRIES).contains(&found) => found,
        _ => {
            let message = format!("found {found}, expected 1 to {MOST_ENTRIES}");
            replay.error("memory_entries", message);
            ENTRIES
        }
    }
}
