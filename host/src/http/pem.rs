//! Certificates and keys in the operator's PEM files, and the cryptography that uses them. Called by this room's client,
//! and by listeners with TLS.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// No certificate or key is longer; a file that never ends must not be read to its end.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// A PEM file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot use PEM file `{}`: {reason}", path.display())]
pub struct PemError {
    /// Which one.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

/// The process's cryptography.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(rustls::crypto::ring::default_provider())))
}

/// The certificates of a file; there is at least one.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let pem = read(path)?;
    let certificates = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| pem_error(path, error.to_string()))?;
    if certificates.is_empty() {
        let reason = "it has no certificate in PEM form";
        return Err(pem_error(path, reason.to_owned()));
    }
    Ok(certificates)
}

/// The first private key of a file.
pub(crate) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, PemError> {
    PrivateKeyDer::from_pem_slice(&read(path)?)
        .map_err(|_| pem_error(path, "it has no private key in PEM form".to_owned()))
}

/// The bytes of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, PemError> {
    use std::io::Read as _;
    let unreadable = |error: std::io::Error| pem_error(path, error.to_string());
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    let taken = file.take(MAX_FILE_BYTES).read_to_end(&mut bytes);
    taken.map_err(unreadable)?;
    Ok(bytes)
}

fn pem_error(path: &Path, reason: String) -> PemError {
    PemError {
        path: path.to_owned(),
        reason,
    }
}
