//! The server as its own process, its configuration, and the requests that it gets.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::certificate;
use super::cores::on_core;
use super::keys::{Key, P256, RSA, jwks};
use super::load::{Connect, Connection, Target, is_ok};
use super::process::Process;
use super::shapes;
use super::tokens::token;

const CLIENT: &str = "bench";
const SECRET: &str = "a-secret-of-the-benchmark";

/// What a token request begins with.
pub(crate) const POST: &[u8] = b"POST /token ";

/// A way to get a token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Simple,
    Basic,
    Cel,
    ClientCredentials,
}

impl Way {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Basic => "RFC 8693, Basic",
            Self::Cel => "RFC 8693, Basic, CEL",
            Self::ClientCredentials => "client_credentials",
        }
    }
}

/// What is configured.
#[derive(Clone, Copy)]
pub(crate) struct Site {
    pub(crate) connectors: usize,
    /// Keys that each upstream publishes.
    pub(crate) keys: usize,
    /// What new tokens are signed with.
    pub(crate) alg: &'static str,
    /// The cores that the server gets.
    pub(crate) cores: &'static str,
    /// How many subject tokens there are, which come one after the other.
    pub(crate) tokens: u32,
    /// Whether it listens with TLS, too.
    pub(crate) tls: bool,
    /// Where the keys of one more upstream are served, if there is one: [`FETCHED`].
    pub(crate) fetched: Option<SocketAddr>,
}

/// The connector whose keys are fetched.
pub(crate) const FETCHED: &str = "fetched";

/// More tokens than the server remembers as good, which is twice the `GENERATION` of `jose/good_signatures.rs`: one
/// that comes again is as good as new.
pub(crate) const NEW: u32 = 9000;
/// So few tokens that the server remembers each.
pub(crate) const KNOWN: u32 = 16;

impl Site {
    pub(crate) fn new(alg: &'static str) -> Self {
        Self {
            connectors: 10,
            keys: 2,
            alg,
            cores: "0",
            tokens: KNOWN,
            tls: false,
            fetched: None,
        }
    }

    fn config(&self, [port, tls_port]: [u16; 2]) -> String {
        let own_keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("jwks.example.json");
        let alg = self.alg;
        let mut text = format!(
            "issuer = \"https://sts.example.com\"\n\
             [server]\nlisten = [\"127.0.0.1:{port}\"]\n\
             [keys]\nfile = \"{}\"\ndefault_alg = \"{alg}\"\n\
             [[clients]]\nid = \"{CLIENT}\"\nsecret = \"{SECRET}\"\n\
             grants = [\"token-exchange\", \"client_credentials\"]\n",
            own_keys.display()
        );
        if self.tls {
            let (cert, key) = (certificate::CERT_FILE, certificate::KEY_FILE);
            let _ = writeln!(
                text,
                "[server.tls]\nlisten = [\"127.0.0.1:{tls_port}\"]\n\
                 cert_file = \"{cert}\"\nkey_file = \"{key}\""
            );
        }
        if let Some(address) = self.fetched {
            let keys = format!("jwks_uri = \"http://{address}/\"");
            let connector = connector(FETCHED, alg).replace("jwks_file = \"ci.json\"", &keys);
            let _ = writeln!(text, "{connector}allow = [\"true\"]");
        }
        for number in 0..self.connectors {
            let _ = writeln!(
                text,
                "{}allow = [\"true\"]",
                connector(&format!("c{number}"), alg)
            );
        }
        text + &connector("cel", alg) + CONDITIONS
    }

    /// Upstream keys: the two that sign, and as many more as it takes.
    pub(crate) fn jwks(&self) -> String {
        let more = (2..self.keys).map(|number| Key::rsa().jwk(&format!("more-{number}")));
        let known = [P256.jwk("ES256"), RSA.jwk("RS256")];
        let keys: Vec<_> = known.into_iter().take(self.keys).chain(more).collect();
        jwks(&keys)
    }

    /// The first of the requests for one way in, each with a token of its own.
    fn requests(&self, way: Way, subject_alg: &str, count: u32) -> Vec<Vec<u8>> {
        let upstream = match way {
            Way::Cel => "cel".to_owned(),
            _ => format!("c{}", self.connectors / 2),
        };
        let tokens = tokens(&upstream, subject_alg, count);
        tokens.iter().map(|token| request(way, token)).collect()
    }

    /// Starts the server, and gives it once it has answered an exchange; and how long that took.
    pub(crate) async fn start(self, binary: &Path) -> (Server, Duration) {
        let folder = tempfile::tempdir().expect("a folder");
        let ports = [free_port(), free_port()];
        certificate::write(folder.path());
        fs::write(folder.path().join("ci.json"), self.jwks()).expect("written");
        let config = folder.path().join("site.toml");
        fs::write(&config, self.config(ports)).expect("written");
        let log = File::create(folder.path().join("log")).expect("a file");
        let requests = self.requests(Way::Simple, "ES256", 1);
        let mut command = on_core(self.cores, &binary.to_string_lossy());
        command
            .args(["serve", "--config"])
            .arg(&config)
            .env_remove("RUST_LOG");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let began = Instant::now();
        let mut server = Server {
            process: Process::spawn(&mut command),
            addresses: ports.map(|port| (Ipv4Addr::LOCALHOST, port).into()),
            folder,
            site: self,
            taken: Default::default(),
        };
        server.answers(&requests[0]).await;
        (server, began.elapsed())
    }
}

/// Tokens of an upstream; signing them takes longer than all else, so it is done once.
pub(crate) fn tokens(upstream: &str, alg: &str, count: u32) -> Vec<String> {
    static SIGNED: Mutex<BTreeMap<(String, String), Vec<String>>> = Mutex::new(BTreeMap::new());
    let mut signed = SIGNED.lock().expect("no panic");
    let known = signed
        .entry((upstream.to_owned(), alg.to_owned()))
        .or_default();
    let key = if alg == "RS256" { &RSA } else { &P256 };
    let claims = shapes::gitlab(&format!("https://{upstream}.example"));
    let have = u32::try_from(known.len()).expect("few");
    known.extend((have..count).map(|number| {
        let claims = shapes::with(claims.clone(), json!({"job_id": number.to_string()}));
        token(&claims, key, alg, alg)
    }));
    known.iter().take(count as usize).cloned().collect()
}

fn connector(id: &str, alg: &str) -> String {
    let audience = shapes::AUDIENCE;
    format!(
        "[[connectors]]\nid = \"{id}\"\nissuer = \"https://{id}.example\"\njwks_file = \"ci.json\"\n\
         audiences = [\"{audience}\"]\nrequire_client = false\nalg = \"{alg}\"\n"
    )
}

/// A condition, a rule and three computed claims, as a company would write them for its GitLab.
const CONDITIONS: &str = r#"
allow = ["claims.namespace_path == 'acme' && claims.ref_protected == 'true'"]
[[connectors.rules]]
name = "production"
when = "claims.environment == 'production' && glob(claims.project_path, 'acme/*')"
[connectors.rules.claims]
project = "claims.project_path"
team = "claims.groups_direct[0]"
environment = "claims.environment + '@' + claims.ref"
"#;

fn request(way: Way, token: &str) -> Vec<u8> {
    if way == Way::Simple {
        return post("application/json", "", &json!({"token": token}).to_string());
    }
    let basic = STANDARD.encode(format!("{CLIENT}:{SECRET}"));
    let authorization = format!("authorization: Basic {basic}\r\n");
    let mut form = form_urlencoded::Serializer::new(String::new());
    if way == Way::ClientCredentials {
        form.append_pair("grant_type", "client_credentials");
    } else {
        form.append_pair(
            "grant_type",
            "urn:ietf:params:oauth:grant-type:token-exchange",
        )
        .append_pair("subject_token", token)
        .append_pair("subject_token_type", "urn:ietf:params:oauth:token-type:jwt");
    }
    post(
        "application/x-www-form-urlencoded",
        &authorization,
        &form.finish(),
    )
}

fn post(content_type: &str, headers: &str, body: &str) -> Vec<u8> {
    format!(
        "POST /token HTTP/1.1\r\nhost: sts.example.com\r\nuser-agent: curl/8.5.0\r\naccept: */*\r\n\
         {headers}content-type: {content_type}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("its address").port()
}

/// The running server; dropping it ends the process.
pub(crate) struct Server {
    pub(crate) process: Process,
    /// Without TLS, and with it.
    addresses: [SocketAddr; 2],
    folder: tempfile::TempDir,
    site: Site,
    /// How many requests were sent with ES256 and with RS256 tokens.
    taken: [Arc<AtomicUsize>; 2],
}

impl Server {
    pub(crate) fn target(&self, way: Way, subject_alg: &str, connect: Connect) -> Target {
        let site = &self.site;
        let requests = site.requests(way, subject_alg, site.tokens);
        Target {
            // The next target goes on behind the last one, since the tokens are the same.
            taken: Arc::clone(&self.taken[usize::from(subject_alg == "RS256")]),
            ..self.requests(requests, connect)
        }
    }

    pub(crate) fn get(&self, path: &str) -> Target {
        let request = format!("GET {path} HTTP/1.1\r\nhost: sts.example.com\r\n\r\n");
        self.requests(vec![request.into_bytes()], Connect::Kept)
    }

    /// Simple exchanges of these tokens.
    pub(crate) fn simple(&self, tokens: impl IntoIterator<Item = String>) -> Target {
        let requests = tokens.into_iter().map(|token| request(Way::Simple, &token));
        self.requests(requests.collect(), Connect::Kept)
    }

    fn requests(&self, requests: Vec<Vec<u8>>, connect: Connect) -> Target {
        let [plain, tls] = self.addresses;
        Target {
            address: match connect {
                Connect::Kept | Connect::New => plain,
                Connect::Tls(_) => tls,
            },
            requests: requests.into(),
            taken: Arc::default(),
            apart: self.site.cores == "0",
            connect,
            refused: false,
        }
    }

    async fn answers(&mut self, request: &[u8]) {
        let [address, _] = self.addresses;
        loop {
            let reply = async {
                let mut connection = Connection::open(address, &Connect::Kept).await?;
                connection.send(request).await.map(is_ok)
            };
            if matches!(reply.await, Ok(true)) {
                return;
            }
            if let Some(status) = self.process.0.try_wait().expect("its state") {
                let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                panic!("the server ended with {status}: {log}");
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// The length of a binary in MiB.
pub(crate) fn binary_mib(binary: &Path) -> f64 {
    let length = fs::metadata(binary).map_or(0, |metadata| metadata.len());
    super::load::as_f64(usize::try_from(length).unwrap_or_default()) / f64::from(1 << 20)
}
