//! The composition root: from settings to a running whole. The one file that knows every part.

use std::sync::Arc;
use std::time::Duration;

use warp::filters::BoxedFilter;
use warp::reply::Response;

use crate::clients::{self, Clients};
use crate::clock::{Clock, SystemClock};
use crate::config::problems::Problems;
use crate::config::{self, Settings};
use crate::grant::{
    ClientCredentials, Connector, Connectors, Exchange, Grant, Grants, Minter, TokenExchange,
};
use crate::http::{
    Current, Front, Guards, Issuers, Lasting, Public, Role, RouteService, Site, Standing, metadata,
};
use crate::jose::{Choice, Keyring, Moment, rfc3339};
use crate::limits::{Bodies, Gate, Limiter};
use crate::policy::{Limits, Policy, cel};
use crate::random::{Random, SystemRandom};
use crate::replay::{self, Replay};
use crate::upstream::{
    Degraded, FolderProblem, Location, Maintenance, SourceError, SourceSpec, Upstreams,
    unreadable_file,
};

/// What a running instance takes from outside, so that tests can hold it still.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where randomness comes from.
    pub random: Arc<dyn Random>,
}

impl Surroundings {
    /// The clock and the randomness of this machine.
    pub fn machine() -> Self {
        Self {
            clock: Arc::new(SystemClock::new()),
            random: Arc::new(SystemRandom),
        }
    }
}

/// One instance of Remint with one configuration. Several can live in one process.
///
/// [`App::reloaded`] gives the same instance with the next configuration.
#[derive(Debug)]
pub struct App {
    front: Front,
    site: Arc<Site>,
    connectors: Arc<Connectors>,
    clients: Arc<Clients>,
    upstreams: Upstreams,
    surroundings: Surroundings,
}

/// Everything that was compiled, before it is put together.
struct Parts {
    connectors: Arc<Connectors>,
    clients: Arc<Clients>,
    keyring: Arc<Keyring>,
    guards: Guards,
    limits: Limits,
    degraded: Arc<Degraded>,
}

impl Parts {
    /// What the routes share.
    fn site(
        &self,
        settings: &Settings,
        surroundings: &Surroundings,
        lasting: &Arc<Lasting>,
    ) -> Option<Site> {
        let (clock, random) = (&surroundings.clock, &surroundings.random);
        let guards = &self.guards;
        let minter = Minter::new(Arc::clone(&self.keyring), Arc::clone(random));
        let minter = Arc::new(minter.behind(guards.gate.clone()));
        let exchange = Arc::new(Exchange::new(
            Arc::clone(&self.connectors),
            Arc::clone(&self.clients),
            Arc::clone(&minter),
            Arc::clone(&guards.replay),
            Arc::clone(clock),
        ));
        let mut grants: Vec<Box<dyn Grant>> =
            vec![Box::new(TokenExchange::new(Arc::clone(&exchange)))];
        if self.clients.any_may_use(clients::CLIENT_CREDENTIALS) {
            let clients = Arc::clone(&self.clients);
            let grant = ClientCredentials::new(clients, minter, Arc::clone(clock), self.limits);
            grants.push(Box::new(grant));
        }
        let grants = Grants::new(
            grants,
            Arc::clone(&self.clients),
            Arc::clone(&self.connectors),
            Arc::clone(&guards.limiter),
        );
        let publics = self.keyring.timeline(|keys| Public {
            template: metadata(settings, keys, &grants),
            jwks: keys.jwks(),
        });
        let issuers = match &settings.issuer {
            config::Issuer::Listed(issuers) => Issuers::listed(issuers, &publics).ok()?,
            config::Issuer::FromRequest => Issuers::FromRequest(Box::new(publics)),
        };
        Some(Site {
            grants,
            exchange,
            issuers,
            guards: guards.clone(),
            proxies: settings.server.trusted_proxies.clone(),
            degraded: Arc::clone(&self.degraded),
            lasting: Arc::clone(lasting),
            clock: Arc::clone(clock),
            random: Arc::clone(random),
            standing: Standing::new(
                Arc::clone(&self.connectors),
                Arc::clone(&self.keyring),
                Arc::clone(clock),
            ),
        })
    }
}

impl App {
    /// Builds everything from `settings` and the bytes of the key file, without touching the network.
    ///
    /// What is wrong goes to `problems`, all of it in one run; with any error nothing comes back.
    pub fn build(
        settings: &Settings,
        keys: Option<&[u8]>,
        surroundings: &Surroundings,
        problems: &mut Problems,
    ) -> Option<Self> {
        Self::assemble(settings, keys, surroundings, None, problems)
    }

    /// The same instance with another configuration: what was counted, fetched keys of connectors that did not change,
    /// and what is known of secrets that did not change stay.
    ///
    /// It is not in force before [`App::take_over`]; until then, and with any error, nothing changes.
    pub fn reloaded(
        &self,
        settings: &Settings,
        keys: Option<&[u8]>,
        problems: &mut Problems,
    ) -> Option<Self> {
        Self::assemble(settings, keys, &self.surroundings, Some(self), problems)
    }

    fn assemble(
        settings: &Settings,
        keys: Option<&[u8]>,
        surroundings: &Surroundings,
        old: Option<&Self>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let choice = Choice {
            default_alg: settings.keys.default_alg.clone(),
            signing: settings.keys.signing.clone(),
        };
        let keyring = keys.and_then(|json| Keyring::load(json, &choice, problems));
        let now = surroundings.clock.unix();
        if let Some(keyring) = &keyring {
            let longest = settings.tokens.max_lifetime + settings.tokens.leeway;
            keyring.check(&choice, now, longest, problems);
        }
        let signs: Vec<_> = keyring
            .iter()
            .flat_map(|keyring| keyring.at(now).algorithms())
            .collect();
        let mut upstreams = match old {
            None => Upstreams::new(Arc::clone(&surroundings.clock)),
            Some(old) => Upstreams::after(&old.upstreams),
        };
        if let Some(folder) = &settings.server.state_dir {
            match upstreams.keep_in(folder) {
                Some(FolderProblem::Error(error)) => problems.error("server.state_dir", error),
                Some(FolderProblem::Warning(warning)) => {
                    problems.warning("server.state_dir", warning);
                }
                None => {}
            }
        }
        let root = cel::Root::new();
        let limits = Limits {
            max_lifetime: settings.tokens.max_lifetime,
            leeway: settings.tokens.leeway,
            subject_format: settings.tokens.subject_format,
        };
        let random = surroundings.random.as_ref();
        let clients = Arc::new(match old {
            None => Clients::new(&settings.clients, random, problems),
            Some(old) => Clients::after(&old.clients, &settings.clients, problems),
        });
        let guards = guards(settings, surroundings, old, problems);
        let mut connectors = Vec::with_capacity(settings.connectors.len());
        for connector in &settings.connectors {
            let policy = Policy::compile(&root, connector, limits, &signs, problems);
            let (source, uri) = (source(connector), connector.userinfo_uri.as_deref());
            if let Some(unread) = unreadable_file(&source) {
                problems.warning(format!("{}.{}", connector.path, unread.key), unread.problem);
            }
            let mut wrong = |error: SourceError| {
                problems.error_once(format!("{}.{}", connector.path, error.key), error.problem);
            };
            let keys = upstreams.add(&connector.id, &source);
            let keys = keys.map_err(&mut wrong).ok();
            let userinfo = connector
                .get_user_info
                .then(|| upstreams.add_userinfo(&connector.id, &source, uri));
            let userinfo = userinfo.transpose().map_err(wrong).unwrap_or_default();
            if let (Some(policy), Some(keys)) = (policy, keys) {
                connectors.push(Connector {
                    id: connector.id.as_str().into(),
                    issuer: connector.issuer.clone(),
                    keys,
                    userinfo,
                    allow_self: connector.allow_self,
                    require_client: connector
                        .require_client
                        .unwrap_or(!settings.clients.is_empty()),
                    replay: replay::Rule::new(
                        connector.replay,
                        limits.leeway,
                        connector.outlive_subject_token,
                    ),
                    policy,
                });
            }
        }
        if problems.has_errors() {
            return None;
        }
        upstreams.complete();
        let parts = Parts {
            connectors: Arc::new(Connectors::new(connectors)),
            clients,
            keyring: Arc::new(keyring?),
            guards: guards?,
            limits,
            degraded: upstreams.degraded(),
        };
        let lasting = old.map_or_else(Arc::default, |old| Arc::clone(&old.front.lasting));
        let site = Arc::new(parts.site(settings, surroundings, &lasting)?);
        let current = match old {
            None => Arc::new(Current::new(Arc::clone(&site))),
            Some(old) => Arc::clone(&old.front.current),
        };
        Some(Self {
            front: Front { current, lasting },
            site,
            connectors: parts.connectors,
            clients: parts.clients,
            upstreams,
            surroundings: surroundings.clone(),
        })
    }

    /// Puts this configuration in force for every request that begins from now on, and starts fetching its upstream
    /// keys; the handle of the configuration before it may be dropped then.
    pub fn take_over(&self) -> Maintenance {
        let maintenance = self.upstreams.start();
        self.front.current.replace(Arc::clone(&self.site));
        self.front.lasting.reloads.succeed();
        maintenance
    }

    /// Notes that a configuration after this one had these errors; health says so until the next one is taken.
    pub fn reject(&self, errors: Vec<String>) {
        let now = self.surroundings.clock.monotonic();
        self.front.lasting.reloads.fail(now, errors);
    }

    /// Makes `/healthz` say that new work should go elsewhere.
    pub fn drain(&self) {
        self.front.drain();
    }

    /// The ways in.
    pub fn front(&self) -> &Front {
        &self.front
    }

    /// Everything that callers need.
    pub fn routes(&self) -> BoxedFilter<(Response,)> {
        self.front.routes_for(Role::Main)
    }

    /// What a listener of this role serves.
    pub fn routes_for(&self, role: Role) -> BoxedFilter<(Response,)> {
        self.front.routes_for(role)
    }

    /// The routes as a tower service, for a server that is not warp.
    pub fn service(&self) -> RouteService {
        RouteService::new(self.routes())
    }

    /// Starts fetching upstream keys, which takes a Tokio runtime; stopping or dropping the handle ends that.
    pub fn start(&self) -> Maintenance {
        self.upstreams.start()
    }

    /// The trusted issuers.
    pub fn connectors(&self) -> &Connectors {
        &self.connectors
    }

    /// The decision that every way in shares.
    pub fn exchange(&self) -> &Exchange {
        &self.site.exchange
    }

    /// The configured client with this id, taken as authenticated.
    pub fn client(&self, id: &str) -> Option<clients::Identity> {
        self.site.exchange.client(id)
    }

    /// The time by its clock, since the Unix epoch.
    pub fn now(&self) -> Duration {
        self.site.clock.unix()
    }

    /// Our own keys, as they are now.
    pub fn keys(&self) -> Moment<'_> {
        self.site.exchange.keyring().at(self.now())
    }

    /// What our own keys will do next by the clock alone, each with its time.
    pub fn key_schedule(&self) -> Vec<String> {
        let outlook = self.site.exchange.keyring().outlook(self.now());
        let lines = outlook.into_iter();
        lines
            .map(|(from, words)| format!("{}: {words}", rfc3339(from)))
            .collect()
    }

    /// The issuers, and the public documents of each.
    pub fn issuers(&self) -> &Issuers {
        &self.site.issuers
    }
}

/// The limits and the memory of used tokens; what did not change goes on over a reload.
fn guards(
    settings: &Settings,
    surroundings: &Surroundings,
    old: Option<&App>,
    problems: &mut Problems,
) -> Option<Guards> {
    let clock = || Arc::clone(&surroundings.clock);
    let old = old.map(|old| &old.site.guards);
    let before = old.map(|old| old.replay.as_ref());
    let replay = Arc::new(Replay::new(&settings.replay, clock(), before, problems)?);
    let limits = settings.limits;
    let rates = |limits: &config::Limits| (limits.rate_per_address, limits.rate_per_client);
    let same_rates = old.filter(|old| rates(&old.limits) == rates(&limits));
    let same_gate = old.filter(|old| old.limits.max_concurrent == limits.max_concurrent);
    Some(Guards {
        limiter: same_rates.map_or_else(
            || Arc::new(Limiter::new(&limits, clock())),
            |old| Arc::clone(&old.limiter),
        ),
        gate: same_gate.map_or_else(|| Gate::new(limits.max_concurrent), |old| old.gate.clone()),
        // What is held counts on, whatever the new limit is.
        bodies: old.map_or_else(
            || Arc::new(Bodies::default()),
            |old| Arc::clone(&old.bodies),
        ),
        replay,
        limits,
    })
}

fn source(connector: &config::Connector) -> SourceSpec {
    let location = match (&connector.jwks_uri, &connector.jwks_file) {
        (Some(uri), _) => Location::JwksUri(uri.clone()),
        (None, Some(file)) => Location::JwksFile(file.clone()),
        (None, None) => Location::Discovery,
    };
    SourceSpec {
        max_age: connector.jwks_max_age,
        timeout: connector.timeout,
        headers: connector.headers.clone(),
        bearer_file: connector.bearer_file.clone(),
        ca_file: connector.ca_file.clone(),
        jwks_hosts: connector.jwks_hosts.clone(),
        insecure_http: connector.insecure_http,
        ..SourceSpec::new(connector.issuer.clone(), location)
    }
}
