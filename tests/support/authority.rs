//! A certificate authority, and what it signs.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, date_time_ymd,
};

/// A CA with a name of its own.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate chain and its key, as PEM.
pub(crate) struct Signed {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for `localhost`, good for servers and clients.
    pub(crate) fn sign(&self) -> Signed {
        self.sign_until(2100)
    }

    /// One that ended with the last day before `year`.
    pub(crate) fn sign_until(&self, year: i32) -> Signed {
        self.sign_between(2000, year)
    }

    /// One that is good from the first day of one year to the last before another.
    pub(crate) fn sign_between(&self, from: i32, until: i32) -> Signed {
        self.sign_with("localhost", from, until)
    }

    /// One for another host.
    pub(crate) fn sign_for(&self, host: &str) -> Signed {
        self.sign_with(host, 2000, 2100)
    }

    fn sign_with(&self, host: &str, from: i32, until: i32) -> Signed {
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "own");
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate().unwrap();
        let own = params.signed_by(&key, &self.0).unwrap();
        Signed {
            chain: own.pem(),
            key: key.serialize_pem(),
        }
    }
}
