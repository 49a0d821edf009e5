//! TLS of listeners: certificate, key and client authorities from files, read again when they have changed. A listener
//! keeps what it has when the new files cannot be used. Called by `server`, and by those who open listeners.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::server::Transport;
use crate::config;
use crate::http::pem::{self, PemError};

/// TLS of one listener. Clones are the same.
#[derive(Clone)]
pub struct Tls(Arc<Inner>);

struct Inner {
    files: config::Tls,
    transport: Transport,
    current: RwLock<Current>,
}

struct Current {
    /// Of all files.
    digest: [u8; 32],
    settings: Arc<ServerConfig>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tls").field(&self.0.files).finish()
    }
}

/// Why files cannot be used for TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// One of them cannot be read.
    #[error(transparent)]
    File(#[from] PemError),
    /// They do not go together.
    #[error("{certificate} and {key} cannot be used: {reason}")]
    Pair {
        /// `cert_file`
        certificate: String,
        /// `key_file`
        key: String,
        /// In the words of the TLS library.
        reason: String,
    },
    /// The client authorities.
    #[error("{file} cannot be used for client certificates: {reason}")]
    Authorities {
        /// `client_ca_file`
        file: String,
        /// In the words of the TLS library.
        reason: String,
    },
}

impl Tls {
    /// Reads the files for a listener that speaks `transport`.
    ///
    /// # Errors
    /// They cannot be read, or do not go together.
    pub fn load(files: &config::Tls, transport: Transport) -> Result<Self, TlsError> {
        let current = Current {
            digest: digest(files)?,
            settings: Arc::new(settings(files, transport)?),
        };
        Ok(Self(Arc::new(Inner {
            files: files.clone(),
            transport,
            current: RwLock::new(current),
        })))
    }

    /// Reads the files again; whether they have changed. New connections get what is in them now.
    ///
    /// # Errors
    /// They cannot be used. New connections get what was there before.
    pub fn renew(&self) -> Result<bool, TlsError> {
        let Inner {
            files,
            transport,
            current,
        } = &*self.0;
        let digest = digest(files)?;
        if current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .digest
            == digest
        {
            return Ok(false);
        }
        let settings = Arc::new(settings(files, *transport)?);
        *current.write().unwrap_or_else(PoisonError::into_inner) = Current { digest, settings };
        Ok(true)
    }

    /// Does the handshake.
    pub(super) async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let current = &self.0.current;
        let settings = {
            let current = current.read().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(&current.settings)
        };
        TlsAcceptor::from(settings).accept(stream).await
    }
}

fn digest(files: &config::Tls) -> Result<[u8; 32], TlsError> {
    let mut hash = Sha256::new();
    for file in files.all() {
        let bytes = pem::read(file)?;
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    }
    Ok(hash.finalize().into())
}

fn settings(files: &config::Tls, transport: Transport) -> Result<ServerConfig, TlsError> {
    let shown = |file: &Path| file.display().to_string();
    let pair = |error: rustls::Error| TlsError::Pair {
        certificate: shown(&files.cert_file),
        key: shown(&files.key_file),
        reason: error.to_string(),
    };
    let builder = ServerConfig::builder_with_provider(pem::provider())
        .with_safe_default_protocol_versions()
        .map_err(pair)?;
    let builder = match &files.client_ca_file {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let unusable = |reason: String| TlsError::Authorities {
                file: shown(file),
                reason,
            };
            let mut roots = RootCertStore::empty();
            for certificate in pem::certificates(file)? {
                let added = roots.add(certificate);
                added.map_err(|error| unusable(error.to_string()))?;
            }
            let roots = Arc::new(roots);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, pem::provider());
            let verifier = verifier
                .build()
                .map_err(|error| unusable(error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let chain = pem::certificates(&files.cert_file)?;
    let key = pem::private_key(&files.key_file)?;
    let mut settings = builder.with_single_cert(chain, key).map_err(pair)?;
    let protocol: &[u8] = match transport {
        Transport::Http1 => b"http/1.1",
        Transport::Http2 => b"h2",
    };
    settings.alpn_protocols = vec![protocol.to_vec()];
    Ok(settings)
}
