//! TLS settings of one exporter: the system's certificate authorities and the operator's own, a client certificate,
//! HTTP/2 by ALPN. Reads the operator's PEM files, at start only.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{WantsClientCert, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder};
use rustls_platform_verifier::Verifier;

use super::client::ClientError;
use crate::config::ClientCertificate;

/// The TLS settings of an exporter that reaches `https` origins.
pub(super) fn config(
    ca_file: Option<&Path>,
    client_certificate: Option<&ClientCertificate>,
) -> Result<ClientConfig, ClientError> {
    let verifier = match ca_file {
        None => system_verifier()?,
        Some(path) => {
            let verifier = Verifier::new_with_extra_roots(certificates(path)?, provider());
            Arc::new(verifier.map_err(|error| pem_error(path, error.to_string()))?)
        }
    };
    let builder = builder()?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    finish(builder, client_certificate)
}

/// For an exporter without `https` origins: trusts nobody, and spares loading the system's authorities.
pub(super) fn without_authorities() -> Result<ClientConfig, ClientError> {
    finish(
        builder()?.with_root_certificates(rustls::RootCertStore::empty()),
        None,
    )
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(rustls::crypto::ring::default_provider())))
}

fn builder() -> Result<ConfigBuilder<ClientConfig, rustls::WantsVerifier>, ClientError> {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| ClientError::Tls(error.to_string()))
}

/// The system's authorities, loaded once for the process: exporters differ in their own authorities only.
fn system_verifier() -> Result<Arc<dyn ServerCertVerifier>, ClientError> {
    static SYSTEM: OnceLock<Arc<Verifier>> = OnceLock::new();
    if let Some(verifier) = SYSTEM.get() {
        return Ok(Arc::clone(verifier) as _);
    }
    match Verifier::new(provider()) {
        Ok(verifier) => Ok(Arc::clone(SYSTEM.get_or_init(|| Arc::new(verifier))) as _),
        // A container without a certificate bundle can still serve exporters that need none; the handshakes of the
        // others fail, and say so.
        Err(error) => {
            tracing::warn!(%error, "No certificate authorities of the system; https needs `ca_file`.");
            trust_nobody()
        }
    }
}

fn trust_nobody() -> Result<Arc<dyn ServerCertVerifier>, ClientError> {
    /// An authority is needed for a verifier to be built at all; nobody has the key of this name.
    const NOBODY: &[u8] = b"no authority";
    let mut roots = rustls::RootCertStore::empty();
    roots.roots.push(rustls::pki_types::TrustAnchor {
        subject: NOBODY.into(),
        subject_public_key_info: NOBODY.into(),
        name_constraints: None,
    });
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .map_err(|error| ClientError::Tls(error.to_string()))?;
    Ok(verifier)
}

fn finish(
    builder: ConfigBuilder<ClientConfig, WantsClientCert>,
    client_certificate: Option<&ClientCertificate>,
) -> Result<ClientConfig, ClientError> {
    let mut config = match client_certificate {
        None => builder.with_no_client_auth(),
        Some(ClientCertificate {
            cert_file,
            key_file,
        }) => {
            let chain = certificates(cert_file)?;
            let key = PrivateKeyDer::from_pem_slice(&read(key_file)?)
                .map_err(|_| pem_error(key_file, "it has no private key in PEM form".to_owned()))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| pem_error(key_file, error.to_string()))?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let pem = read(path)?;
    let certificates = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| pem_error(path, error.to_string()))?;
    if certificates.is_empty() {
        return Err(pem_error(
            path,
            "it has no certificate in PEM form".to_owned(),
        ));
    }
    Ok(certificates)
}

fn read(path: &Path) -> Result<Vec<u8>, ClientError> {
    std::fs::read(path).map_err(|error| pem_error(path, error.to_string()))
}

fn pem_error(path: &Path, reason: String) -> ClientError {
    ClientError::Pem {
        path: path.to_owned(),
        reason,
    }
}
