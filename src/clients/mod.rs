//! Configured clients: what each may do, and how it proves who it is (RFC 6749 §2.3).

mod basic;
mod client;
mod credentials;
mod hash;
mod keyed;
mod proof;
mod room;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

pub use client::{CLIENT_CREDENTIALS, Client, Identity, TOKEN_EXCHANGE};
pub use credentials::Credentials;

use crate::config;
use crate::config::problems::{Problems, child_path};
use crate::limits::Network;
use crate::oauth::{Reason, Refusal};
use crate::random::Random;
use credentials::Candidate;
use keyed::{Digest, Keyed};
use proof::{Hashed, Proof};
use room::Room;

/// Every client by its id. `Debug` shows ids only.
pub struct Clients {
    entries: HashMap<Arc<str>, Entry>,
    keyed: Arc<Keyed>,
    room: Arc<Room>,
}

struct Entry {
    client: Arc<Client>,
    proof: Proof,
}

/// What a look at digests says about a candidate.
enum Glance<'a> {
    Right(&'a Entry),
    Wrong(String),
    /// Only hashing can tell.
    Unsure(&'a Entry, &'a Arc<Hashed>, Digest),
}

impl Clients {
    /// Builds the clients from checked settings; hashes that cannot be used go to `problems`.
    pub fn new(specs: &[config::Client], random: &dyn Random, problems: &mut Problems) -> Self {
        let (keyed, room) = (Keyed::new(random), Room::new());
        Self::build(specs, None, (Arc::new(keyed), Arc::new(room)), problems)
    }

    /// The clients after a reload: what `old` found out about secrets that are the same still counts.
    pub fn after(old: &Self, specs: &[config::Client], problems: &mut Problems) -> Self {
        let shared = (Arc::clone(&old.keyed), Arc::clone(&old.room));
        Self::build(specs, Some(old), shared, problems)
    }

    fn build(
        specs: &[config::Client],
        old: Option<&Self>,
        (keyed, room): (Arc<Keyed>, Arc<Room>),
        problems: &mut Problems,
    ) -> Self {
        let mut entries = HashMap::with_capacity(specs.len());
        for spec in specs.iter().filter(|spec| !spec.id.is_empty()) {
            let old = old.and_then(|old| old.entries.get(spec.id.as_str()));
            let old = old.map(|entry| &entry.proof);
            let proof = match Proof::new(spec.secret.as_ref(), &keyed, old) {
                Ok(proof) => proof,
                Err(message) => {
                    problems.error_once(child_path(&spec.path, "secret_hash"), message);
                    continue;
                }
            };
            let client = Arc::new(Client::new(spec));
            let id = Arc::clone(&client.id);
            entries.entry(id).or_insert(Entry { client, proof });
        }
        Self {
            entries,
            keyed,
            room,
        }
    }

    /// The client with this id.
    pub fn get(&self, id: &str) -> Option<&Arc<Client>> {
        self.entries.get(id).map(|entry| &entry.client)
    }

    /// The client with this id as it stands once it has shown all that it has to show.
    pub fn presume(&self, id: &str) -> Option<Identity> {
        self.entries.get(id).map(Entry::identity)
    }

    /// Whether no client is configured.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether any client lists the grant with this short name.
    pub fn any_may_use(&self, grant: &str) -> bool {
        let mut entries = self.entries.values();
        entries.any(|entry| entry.client.may_use_grant(grant))
    }

    /// Finds out who asks: `None` if nobody says, a refusal if what is said is not right.
    ///
    /// A secret that was right before costs microseconds. Another one for a client whose secret is hashed is hashed on
    /// a thread of its own, of which there are two; where too many wait for that, in all or from the same `from`, the
    /// refusal is [`Reason::Overloaded`].
    pub async fn authenticate(
        &self,
        credentials: &Credentials,
        from: Option<Network>,
    ) -> Result<Option<Identity>, Refusal> {
        if credentials.is_anonymous() {
            return Ok(None);
        }
        let mut detail = None;
        let mut unsure = Vec::new();
        // What is known comes first: a client that does not encode must not cost a hash each time.
        for candidate in credentials.candidates() {
            match self.glance(candidate) {
                Glance::Right(entry) => return Ok(Some(entry.identity())),
                Glance::Wrong(why) => detail = detail.or(Some(why)),
                Glance::Unsure(entry, hashed, digest) => {
                    unsure.push((entry, hashed, digest, candidate));
                }
            }
        }
        for (entry, hashed, digest, candidate) in unsure {
            if hashed
                .verify(&self.room, from, digest, &candidate.secret)
                .await?
            {
                return Ok(Some(entry.identity()));
            }
            detail = detail.or_else(|| Some(wrong_secret(&entry.client)));
        }
        Err(self.refusal(credentials, &detail.unwrap_or_default()))
    }

    /// The id of the configured client that these credentials name, right or wrong.
    pub fn named(&self, credentials: &Credentials) -> Option<Arc<str>> {
        let candidates = credentials.candidates().iter();
        let mut named = candidates.filter_map(|candidate| self.get(&candidate.id));
        named.next().map(|client| Arc::clone(&client.id))
    }

    /// Compares digests, always exactly one pair, so that the time does not tell an unknown client from a wrong secret.
    fn glance(&self, candidate: &Candidate) -> Glance<'_> {
        let entry = self.entries.get(candidate.id.as_str());
        let known = entry.and_then(|entry| entry.proof.known());
        let digest = self.keyed.digest(&candidate.secret);
        let is_equal = self.keyed.is_equal(known.as_ref(), &digest);
        let Some(entry) = entry else {
            return Glance::Wrong("no client has this id".to_owned());
        };
        let is_empty = candidate.secret.is_empty();
        match &entry.proof {
            Proof::Nothing if is_empty => Glance::Right(entry),
            Proof::Secret(_) | Proof::Hashed(_) if is_equal => Glance::Right(entry),
            Proof::Hashed(hashed) if !is_empty => match hashed.excludes(&candidate.secret) {
                Some(why) => Glance::Wrong(format!("for the client {:?} {why}", entry.client.id)),
                None => Glance::Unsure(entry, hashed, digest),
            },
            Proof::Nothing => Glance::Wrong(format!(
                "a secret for the client {:?}, which has none",
                entry.client.id
            )),
            _ if is_empty => {
                Glance::Wrong(format!("no secret for the client {:?}", entry.client.id))
            }
            _ => Glance::Wrong(wrong_secret(&entry.client)),
        }
    }

    /// The caller is told what is odd about what was sent, and not how it differs from what is right; the log is.
    fn refusal(&self, sent: &Credentials, detail: &str) -> Refusal {
        let advice = match sent.oddity() {
            _ if self.is_empty() => Some("no client is configured here, so send no credentials"),
            oddity => oddity,
        };
        let advice = advice.map_or_else(String::new, |advice| format!(": {advice}"));
        Refusal::new(
            Reason::ClientInvalid,
            format!("the client is unknown or its secret is wrong{advice}"),
        )
        .with_detail(detail)
    }
}

fn wrong_secret(client: &Client) -> String {
    format!("a wrong secret for the client {:?}", client.id)
}

impl Entry {
    fn identity(&self) -> Identity {
        Identity {
            client: Arc::clone(&self.client),
            proved: !matches!(self.proof, Proof::Nothing),
        }
    }
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.entries.keys()).finish()
    }
}

#[cfg(test)]
mod tests;
