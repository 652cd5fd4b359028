//! A world of replicas, verifiers and an operator, each with a clock of its own, moved from event to event.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;

use remint::clock::Clock;
use remint::jose::{self, Choice, PrivateJwk, Rotation, SigningAlgorithm};
use serde_json::{Value, json};

use crate::instance::{Instance, JWKS, START, config};
use crate::support::tokens;

/// How long each token lives, in seconds.
pub(crate) const LIFETIME: u64 = 600;
/// What verifiers allow beyond that.
pub(crate) const LEEWAY: u64 = 60;
/// The operator rotates this often.
const EVERY: usize = 6 * 60 * 60;

/// How the operator rotates, and for how long the world turns.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) lead: u64,
    pub(crate) retire_after: u64,
    pub(crate) length: u64,
}

/// What happened.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) rotations: usize,
    pub(crate) pruned: usize,
    pub(crate) fetches: usize,
    pub(crate) verifications: usize,
    /// The keys that signed.
    pub(crate) kids: BTreeSet<String>,
    /// Verifications that met a key that the verifier does not know, by how they were to come about.
    pub(crate) unknown: Vec<String>,
}

/// What happens next; times are true ones.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Rotate,
    Prune,
    /// A replica reads the key file as it was then.
    Load {
        replica: usize,
        file: usize,
    },
    /// A verifier's copy of the keys has run out.
    Fetch {
        verifier: usize,
    },
    /// Each replica makes a token, which every verifier checks at once and once more at its very end.
    Mint,
    Verify {
        verifier: usize,
        kid: String,
    },
}

struct Replica {
    /// Of its clock, in seconds.
    skew: i64,
    instance: Instance,
}

struct Verifier {
    skew: i64,
    keys: Value,
}

pub(crate) struct World {
    plan: Plan,
    now: u64,
    events: BinaryHeap<Reverse<(u64, Event)>>,
    listed: Vec<Value>,
    /// Every state of the key file.
    files: Vec<Value>,
    replicas: Vec<Replica>,
    verifiers: Vec<Verifier>,
    turn: usize,
    seen: Seen,
}

/// How far the clocks of the replicas are off.
const REPLICAS: [i64; 3] = [-20, 0, 20];
/// How far those of the verifiers are off.
const VERIFIERS: [i64; 6] = [-30, -15, 0, 7, 15, 30];
/// And that of the operator.
const OPERATOR: i64 = -15;
/// How long each replica takes to read a new file: the last one all of the ten seconds.
const LOADS: [u64; 3] = [0, 4, 10];

impl World {
    pub(crate) fn new(plan: Plan) -> Self {
        let first = PrivateJwk::generate(SigningAlgorithm::Es256, None).unwrap();
        let listed = vec![first.to_json()];
        let file = json!({ "keys": listed });
        let replica = |skew: i64| Replica {
            skew,
            instance: Instance::new(&config("", LIFETIME), &file, shifted(START, skew)),
        };
        let verifier = |skew| Verifier {
            skew,
            keys: Value::Null,
        };
        let mut world = Self {
            plan,
            now: START,
            events: BinaryHeap::new(),
            replicas: REPLICAS.map(replica).into(),
            verifiers: VERIFIERS.map(verifier).into(),
            files: vec![file],
            listed,
            turn: 0,
            seen: Seen::default(),
        };
        for verifier in 0..VERIFIERS.len() {
            // Their copies run out at different times.
            for at in [START, START + 1 + 47 * verifier as u64] {
                world.plan_for(at, Event::Fetch { verifier });
            }
        }
        for at in (START + 1..START + plan.length).step_by(600) {
            world.plan_for(at, Event::Mint);
        }
        for at in (START + 3600..START + plan.length).step_by(EVERY) {
            world.plan_for(at, Event::Rotate);
        }
        world
    }

    /// Lets everything happen.
    pub(crate) async fn turn(mut self) -> Seen {
        while let Some(Reverse((at, event))) = self.events.pop() {
            self.wait_until(at);
            match event {
                Event::Rotate => self.rotate(),
                Event::Prune => self.prune(),
                Event::Load { replica, file } => self.load(replica, file),
                Event::Fetch { verifier } => self.fetch(verifier).await,
                Event::Mint => self.mint().await,
                Event::Verify { verifier, kid } => self.verify(verifier, &kid, "at its end"),
            }
        }
        self.seen
    }

    fn plan_for(&mut self, at: u64, event: Event) {
        self.events.push(Reverse((at, event)));
    }

    fn wait_until(&mut self, at: u64) {
        for replica in &self.replicas {
            replica.instance.advance(at - self.now);
        }
        self.now = at;
    }

    fn rotate(&mut self) {
        let rotation = Rotation {
            now: Duration::from_secs(shifted(self.now, OPERATOR)),
            lead: Duration::from_secs(self.plan.lead),
            retire_after: Duration::from_secs(self.plan.retire_after),
        };
        let choice = Choice::default();
        let alg = SigningAlgorithm::Es256;
        let rotated = jose::rotate(&mut self.listed, &choice, alg, rotation).unwrap();
        self.seen.rotations += 1;
        self.publish();
        // Tokens are made most densely where the clocks disagree about who signs.
        let change = rotated.signs_from;
        for at in (change.saturating_sub(50).max(self.now)..change + 50).step_by(2) {
            self.plan_for(at, Event::Mint);
        }
        self.plan_for(rotated.published_until + 60, Event::Prune);
    }

    fn prune(&mut self) {
        let now = Duration::from_secs(shifted(self.now, OPERATOR));
        let pruned = jose::prune(&mut self.listed, &Choice::default(), now).unwrap();
        self.seen.pruned += pruned.len();
        self.publish();
    }

    /// Puts the file where the replicas find it.
    fn publish(&mut self) {
        self.files.push(json!({ "keys": self.listed }));
        let file = self.files.len() - 1;
        for (replica, delay) in LOADS.into_iter().enumerate() {
            self.plan_for(self.now + delay, Event::Load { replica, file });
        }
    }

    fn load(&mut self, replica: usize, file: usize) {
        let clock = Arc::clone(&self.replicas[replica].instance.clock);
        let skewed = shifted(self.now, self.replicas[replica].skew);
        assert_eq!(clock.unix().as_secs(), skewed);
        let (built, problems) = Instance::at(&config("", LIFETIME), &self.files[file], clock);
        self.replicas[replica].instance = built.unwrap_or_else(|| panic!("{problems:?}"));
    }

    /// The copy is kept for exactly as long as the reply allows, and never looked at again before that.
    async fn fetch(&mut self, verifier: usize) {
        self.turn += 1;
        let replica = &self.replicas[self.turn % self.replicas.len()];
        let reply = replica.instance.get(JWKS).await;
        self.verifiers[verifier].keys = reply.json();
        self.seen.fetches += 1;
        let (_, age) = reply.cache_control.split_once("max-age=").unwrap();
        let next = self.now + age.parse::<u64>().unwrap();
        // The last tokens are still to be verified when no more are made.
        if self.now > START && next < START + self.plan.length + 2 * LIFETIME {
            self.plan_for(next, Event::Fetch { verifier });
        }
    }

    async fn mint(&mut self) {
        for replica in 0..self.replicas.len() {
            let token = self.replicas[replica].instance.token().await;
            let (head, _) = token.split_once('.').unwrap();
            let header: Value = serde_json::from_slice(&tokens::unb64(head)).unwrap();
            let kid = header["kid"].as_str().unwrap().to_owned();
            self.seen.kids.insert(kid.clone());
            // The signature and the times are looked at once, the key by everybody.
            let jwks = self.replicas[replica].instance.get(JWKS).await.json();
            let (_, claims) = tokens::read(&token, &jwks);
            let exp = claims["exp"].as_u64().unwrap();
            for verifier in 0..self.verifiers.len() {
                self.verify(verifier, &kid, "at once");
                let last = exp + LEEWAY - 1;
                let last = shifted(last, -self.verifiers[verifier].skew);
                let kid = kid.clone();
                self.plan_for(last, Event::Verify { verifier, kid });
            }
        }
    }

    fn verify(&mut self, verifier: usize, kid: &str, when: &str) {
        self.seen.verifications += 1;
        let keys = self.verifiers[verifier].keys["keys"].as_array().unwrap();
        if keys.iter().all(|key| key["kid"] != kid) {
            let after = self.now - START;
            let what = format!("verifier {verifier} {when}, {after} s after the start");
            self.seen.unknown.push(what);
        }
    }
}

fn shifted(time: u64, by: i64) -> u64 {
    time.checked_add_signed(by).unwrap()
}
