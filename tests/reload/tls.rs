//! Certificates are replaced for new handshakes; connections that stand live on.

use std::fs;

use reqwest::{Certificate, Client};

use super::support::authority::Authority;
use super::support::server::Site;
use super::support::until;
use super::world::World;

fn trusting(authority: &Authority) -> Client {
    let root = Certificate::from_pem(authority.pem().as_bytes()).unwrap();
    let client = Client::builder().no_proxy().http1_only();
    client.tls_certs_only([root]).build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_handshakes_get_the_new_certificate() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let signed = old.sign();
    let site = Site::new()
        .file("tls.pem", &signed.chain)
        .file("tls-key.pem", &signed.key)
        .connector("ci", "")
        .tables("[server.tls]\nlisten = [\"127.0.0.1:0\"]\ncert_file = \"tls.pem\"\nkey_file = \"tls-key.pem\"");
    let world = World::start(site);
    let origin: String = world.server.logged("where TLS is", |line| {
        let words = line["message"].as_str()?;
        let address = words.strip_prefix("listening on https://")?;
        Some(format!(
            "https://{}",
            address.replace("127.0.0.1", "localhost")
        ))
    });
    let get = async |client: &Client| {
        let reply = client.get(format!("{origin}/healthz/live")).send().await;
        reply.is_ok_and(|reply| reply.status() == 200)
    };
    let standing = trusting(&old);
    assert!(get(&standing).await);
    let opened = || world.metric("remint_connections{listener=\"main\"}");
    assert_eq!(opened(), Some(1));

    let signed = new.sign();
    world.write("tls-key.pem", &signed.key);
    // The key alone does not fit: nothing changes.
    assert!(!world.reload());
    assert!(get(&trusting(&old)).await);
    // The certificate follows, and is noticed without a signal.
    world.write("tls.pem", &signed.chain);
    until("the new certificate is in force", || world.reloads().0 == 1);
    assert!(get(&trusting(&new)).await);
    assert!(!get(&trusting(&old)).await);
    // The one that stood still stands: another handshake would have failed.
    assert!(get(&standing).await);
    assert!(fs::read_to_string(world.path().join("tls.pem")).is_ok());
}
