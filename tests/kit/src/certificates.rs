//! A private certificate authority: what it signs lies in files, and connections trust it alone.
//!
//! Called by tests of listeners with TLS.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// See the module.
pub struct Authority {
    dir: TempDir,
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

/// A certificate and its key, PEM.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl Authority {
    /// Makes one, in a directory of its own.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn new() -> anyhow::Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // OpenSSL takes a certificate for self-signed that has the name of its issuer.
        let subject = &mut params.distinguished_name;
        subject.push(DnType::CommonName, "an authority of tests");
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        let dir = tempfile::tempdir().context("no temporary directory")?;
        std::fs::write(dir.path().join("ca.pem"), certificate.pem())?;
        Ok(Self {
            dir,
            certificate: certificate.der().clone(),
            issuer: Issuer::new(params, key),
        })
    }

    /// Its own certificate, PEM.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// Signs a certificate for these names, for servers and clients; `stem` names its files, which it replaces.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn sign(&self, stem: &str, names: &[&str]) -> anyhow::Result<Pair> {
        let key = KeyPair::generate()?;
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let certificate = CertificateParams::new(names)?.signed_by(&key, &self.issuer)?;
        let pair = Pair {
            certificate: self.dir.path().join(format!("{stem}.pem")),
            key: self.dir.path().join(format!("{stem}.key")),
        };
        replace(&pair.certificate, &certificate.pem())?;
        replace(&pair.key, &key.serialize_pem())?;
        Ok(pair)
    }

    /// Connects to a server that this authority vouches for under the name `localhost`, as a client that speaks `alpn`.
    ///
    /// # Errors
    /// When there is no connection, or the handshake fails.
    pub async fn connect(
        &self,
        to: SocketAddr,
        alpn: &[&str],
        client: Option<&Pair>,
    ) -> anyhow::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let mut config = match client {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let chain = vec![CertificateDer::from_pem_file(&pair.certificate)?];
                builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(&pair.key)?)?
            }
        };
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let stream = TcpStream::connect(to).await.context("cannot connect")?;
        let name = ServerName::try_from("localhost")?;
        let connector = TlsConnector::from(Arc::new(config));
        connector
            .connect(name, stream)
            .await
            .context("no handshake")
    }
}

/// As a certificate manager does it: a reader sees the old file or the new one.
fn replace(file: &Path, text: &str) -> anyhow::Result<()> {
    let new = file.with_extension("new");
    std::fs::write(&new, text)?;
    std::fs::rename(&new, file).context("cannot replace a file")
}
