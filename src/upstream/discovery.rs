//! Reading a discovery document (`OpenID` Connect Discovery 1.0 §4): it may only lead where the configuration allows.

use serde_json::Value;
use url::Url;

use super::error::FetchError;
use super::origin;
use super::web::Document;

/// What a connector's discovery document is held against.
#[derive(Debug)]
pub(super) struct Discovery {
    issuer: String,
    document: Url,
    jwks_hosts: Vec<String>,
    insecure_http: bool,
}

impl Discovery {
    /// Discovery of `issuer`; the error says what is wrong with the issuer.
    pub(super) fn new(
        issuer: &str,
        jwks_hosts: &[String],
        insecure_http: bool,
    ) -> Result<Self, String> {
        origin::parse(issuer)?;
        // §4: one trailing slash goes before the well-known path is appended.
        let base = issuer.strip_suffix('/').unwrap_or(issuer);
        let document = origin::parse(&format!("{base}/.well-known/openid-configuration"))?;
        if document.query().is_some() || document.fragment().is_some() {
            return Err(
                "has a query or a fragment, which discovery does not allow: set `jwks_uri`"
                    .to_owned(),
            );
        }
        Ok(Self {
            issuer: issuer.to_owned(),
            document,
            jwks_hosts: jwks_hosts.to_vec(),
            insecure_http,
        })
    }

    /// Where the document stands.
    pub(super) fn document(&self) -> &Url {
        &self.document
    }

    /// As [`Self::endpoint`], of a document that was fetched.
    pub(super) fn read(&self, name: &str, document: &Document) -> Result<Url, FetchError> {
        self.endpoint(name, &document.body)
            .map_err(|problem| FetchError::failed(format!("{}: {problem}", document.origin)))
    }

    /// The URL that the document gives as `name`, if the document is this issuer's and the URL may be contacted.
    fn endpoint(&self, name: &str, document: &[u8]) -> Result<Url, String> {
        let document: Value = serde_json::from_slice(document)
            .map_err(|error| format!("the discovery document is not JSON ({error})"))?;
        let member = |name: &str| {
            document
                .get(name)
                .and_then(Value::as_str)
                .ok_or_else(|| format!("the discovery document has no text `{name}`"))
        };
        let issuer = member("issuer")?;
        if issuer != self.issuer {
            return Err(format!(
                "the discovery document is of the issuer {:?}, not of the configured {:?}: `issuer` must equal it byte for byte",
                cut(issuer),
                self.issuer
            ));
        }
        let text = member(name)?;
        let url = origin::parse(text)
            .map_err(|problem| format!("the `{name}` {:?} {problem}", cut(text)))?;
        self.check(name, &url)?;
        Ok(url)
    }

    fn check(&self, name: &str, url: &Url) -> Result<(), String> {
        let named =
            url.origin() == self.document.origin() || origin::is_listed(url, &self.jwks_hosts);
        if !named {
            return Err(format!(
                "discovery leads to {}, which is not the issuer's own host and port; to allow it, add to the connector: jwks_hosts = [\"{}\"]",
                origin::shown(url),
                url.host_str().unwrap_or_default()
            ));
        }
        if origin::is_exposed(url) && !self.insecure_http {
            return Err(format!(
                "discovery leads to {} over plain http, where whoever sits on the path could replace what is read: the issuer should name an https `{name}` (`insecure_http = true` accepts it)",
                origin::shown(url)
            ));
        }
        Ok(())
    }
}

fn cut(text: &str) -> String {
    text.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(issuer: &str, hosts: &[&str], named: &str, jwks_uri: &str) -> Result<String, String> {
        let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let document = format!(r#"{{"issuer":"{named}","jwks_uri":"{jwks_uri}"}}"#);
        Discovery::new(issuer, &hosts, false)?
            .endpoint("jwks_uri", document.as_bytes())
            .map(String::from)
    }

    #[test]
    fn the_document_stands_below_the_issuer() {
        for (issuer, document) in [
            ("https://a/", "https://a/.well-known/openid-configuration"),
            (
                "https://a/x",
                "https://a/x/.well-known/openid-configuration",
            ),
        ] {
            let discovery = Discovery::new(issuer, &[], false).unwrap();
            assert_eq!(discovery.document().as_str(), document);
        }
        assert!(Discovery::new("https://a/?x=1", &[], false).is_err());
    }

    #[test]
    fn the_issuer_is_compared_byte_for_byte() {
        assert!(read("https://a", &[], "https://a", "https://a/keys").is_ok());
        let error = read("https://a", &[], "https://a/", "https://a/keys").unwrap_err();
        assert!(error.contains("byte for byte"), "{error}");
    }

    #[test]
    fn keys_elsewhere_need_to_be_allowed() {
        let elsewhere = "https://keys.b.example:8443/k";
        let error = read("https://a", &[], "https://a", elsewhere).unwrap_err();
        assert!(
            error.ends_with(r#"jwks_hosts = ["keys.b.example"]"#),
            "{error}"
        );
        assert!(read("https://a", &["keys.b.example"], "https://a", elsewhere).is_ok());
        assert!(read("https://a", &[], "https://a", "https://a:444/k").is_err());
    }

    #[test]
    fn keys_over_plain_http_are_refused_outside_loopback() {
        let error = read("https://a", &["a"], "https://a", "http://a/k").unwrap_err();
        assert!(error.contains("plain http"), "{error}");
        assert!(
            read(
                "https://a",
                &["127.0.0.1"],
                "https://a",
                "http://127.0.0.1:9/k"
            )
            .is_ok()
        );
        assert!(read("https://a", &[], "https://a", "file:///etc/passwd").is_err());
    }
}
