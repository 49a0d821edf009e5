//! TLS settings of one exporter: the system's certificate authorities and the operator's own, a client certificate,
//! HTTP/2 by ALPN. Reads the operator's files at start only.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{WantsClientCert, WebPkiServerVerifier};
use rustls::{ClientConfig, ConfigBuilder};
use rustls_platform_verifier::Verifier;

use super::client::ClientError;
use super::pem::{PemError, certificates, private_key, provider};
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
            Arc::new(verifier.map_err(|error| unusable(path, error.to_string()))?)
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
            let key = private_key(key_file)?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| unusable(key_file, error.to_string()))?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn unusable(path: &Path, reason: String) -> ClientError {
    let path = path.to_owned();
    PemError { path, reason }.into()
}
