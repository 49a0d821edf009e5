//! `tls` of a listener: which files it uses.

use std::path::PathBuf;

/// `tls` of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// `cert_file`: the certificate and its chain, PEM.
    pub cert_file: PathBuf,
    /// `key_file`: the private key, PEM.
    pub key_file: PathBuf,
    /// `client_ca_file`: only clients with a certificate of these authorities may connect (mTLS).
    pub client_ca_file: Option<PathBuf>,
}

impl Tls {
    /// All files.
    pub fn all(&self) -> impl Iterator<Item = &PathBuf> {
        let own = [&self.cert_file, &self.key_file];
        own.into_iter().chain(&self.client_ca_file)
    }
}
