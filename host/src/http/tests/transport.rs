//! TLS with a private authority and a client certificate, HTTP/2, proxies.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::config::ClientCertificate;
use crate::config::secret::Secret;

/// A private authority and what it signed.
struct Authority {
    dir: TempDir,
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let dir = TempDir::new().unwrap();
        std::fs::write(dir.path().join("ca.pem"), certificate.pem()).unwrap();
        Self {
            dir,
            certificate: certificate.der().clone(),
            issuer: Issuer::new(params, key),
        }
    }

    fn ca_file(&self) -> Option<PathBuf> {
        Some(self.dir.path().join("ca.pem"))
    }

    fn sign(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        (
            CertificateParams::new(vec![name.to_owned()])
                .unwrap()
                .signed_by(&key, &self.issuer)
                .unwrap(),
            key,
        )
    }

    fn client_certificate(&self) -> Option<ClientCertificate> {
        let (certificate, key) = self.sign("client.example");
        let files = ClientCertificate {
            cert_file: self.dir.path().join("client.pem"),
            key_file: self.dir.path().join("client.key"),
        };
        std::fs::write(&files.cert_file, certificate.pem()).unwrap();
        std::fs::write(&files.key_file, key.serialize_pem()).unwrap();
        Some(files)
    }

    fn server(&self, name: &str, asks_client: bool, alpn: &[&[u8]]) -> TlsAcceptor {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = if asks_client {
            let mut roots = RootCertStore::empty();
            roots.add(self.certificate.clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .unwrap();
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let (certificate, key) = self.sign(name);
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let mut config = builder
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }

    async fn peer(&self, name: &str, asks_client: bool) -> Peer {
        let acceptor = self.server(name, asks_client, &[]);
        let accept = move |stream| {
            let accepting = acceptor.accept(stream);
            async move { accepting.await.ok() }
        };
        Peer::start_with(|_| ok("over TLS"), accept).await
    }
}

fn secure(url: &str, transport: Transport) -> Client {
    let settings = ClientSettings {
        transport,
        ..settings(&[url])
    };
    Client::with_lookup(
        settings,
        names(&[("a.example", &["127.0.0.1"]), ("b.example", &["127.0.0.1"])]),
    )
    .unwrap()
}

#[tokio::test]
async fn a_private_authority_is_trusted_when_the_operator_says_so() {
    let authority = Authority::new();
    let peer = authority.peer("a.example", false).await;
    let url = format!("https://a.example:{}/", peer.address.port());
    let trusting = secure(
        &url,
        Transport {
            ca_file: authority.ca_file(),
            ..Transport::default()
        },
    );
    assert_eq!(
        &trusting.send(get(url.as_str())).await.unwrap().body[..],
        b"over TLS"
    );
    assert_unreachable(secure(&url, Transport::default()).send(get(url)).await);
    peer.only();
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let authority = Authority::new();
    let peer = authority.peer("a.example", false).await;
    let url = format!("https://b.example:{}/", peer.address.port());
    let client = secure(
        &url,
        Transport {
            ca_file: authority.ca_file(),
            ..Transport::default()
        },
    );
    assert_unreachable(client.send(get(url)).await);
    assert!(peer.seen().is_empty());
}

#[tokio::test]
async fn the_client_shows_its_certificate() {
    let authority = Authority::new();
    let peer = authority.peer("a.example", true).await;
    let url = format!("https://a.example:{}/", peer.address.port());
    let without = Transport {
        ca_file: authority.ca_file(),
        ..Transport::default()
    };
    assert!(
        secure(&url, without.clone())
            .send(get(url.as_str()))
            .await
            .is_err()
    );
    let with = Transport {
        client_certificate: authority.client_certificate(),
        ..without
    };
    assert_eq!(secure(&url, with).send(get(url)).await.unwrap().status, 200);
    peer.only();
}

#[tokio::test]
async fn a_server_that_never_finishes_its_handshake_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let limits = Limits {
        connect_timeout: Duration::from_millis(150),
        ..Limits::default()
    };
    assert_unreachable(
        client(ClientSettings {
            limits,
            ..settings(&[&url])
        })
        .send(get(url))
        .await,
    );
}

#[tokio::test]
async fn no_redirect_leaves_tls_even_to_a_granted_origin() {
    let authority = Authority::new();
    let plain = Peer::start(|_| ok("")).await;
    let location = plain.url("/");
    let acceptor = authority.server("a.example", false, &[]);
    let accept = move |stream| {
        let accepting = acceptor.accept(stream);
        async move { accepting.await.ok() }
    };
    let peer = Peer::start_with(move |_| redirect(307, &location), accept).await;
    let url = format!("https://a.example:{}/", peer.address.port());
    let transport = Transport {
        ca_file: authority.ca_file(),
        ..Transport::default()
    };
    let settings = ClientSettings {
        transport,
        ..settings(&[&url, &plain.url("/")])
    };
    let client = Client::with_lookup(settings, names(&[("a.example", &["127.0.0.1"])])).unwrap();
    assert_denied(client.send(get(url)).await);
    assert!(plain.seen().is_empty());
}

#[tokio::test]
async fn http2_is_spoken_where_the_server_offers_it() {
    let authority = Authority::new();
    let acceptor = authority.server("a.example", false, &[b"h2", b"http/1.1"]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!(
        "https://a.example:{}/x",
        listener.local_addr().unwrap().port()
    );
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake(acceptor.accept(stream).await.unwrap())
            .await
            .unwrap();
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            let mut response = axum::http::Response::new(());
            *response.status_mut() = axum::http::StatusCode::NO_CONTENT;
            response
                .headers_mut()
                .insert("x-path", request.uri().path().parse().unwrap());
            respond.send_response(response, true).unwrap();
        }
    });
    let client = secure(
        &url,
        Transport {
            ca_file: authority.ca_file(),
            ..Transport::default()
        },
    );
    let (one, two) = tokio::join!(
        client.send(get(url.as_str())),
        client.send(get(url.as_str()))
    );
    for response in [one.unwrap(), two.unwrap()] {
        assert_eq!(response.status, 204);
        assert!(
            response
                .headers
                .contains(&("x-path".to_owned(), "/x".to_owned()))
        );
    }
}

/// Plain requests are answered by the proxy itself; tunnels end at the port on the loopback, whatever the name.
async fn http_proxy(seen: Arc<Mutex<Vec<Seen>>>) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let seen = Arc::clone(&seen);
            connections.spawn(async move {
                let request = read_request(&mut stream).await.unwrap().unwrap();
                seen.lock().unwrap().push(request.clone());
                match request.line.strip_prefix("CONNECT ") {
                    None => {
                        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nproxy";
                        stream.write_all(answer).await.unwrap();
                    }
                    Some(target) => {
                        let port: u16 = target.rsplit_once(':').unwrap().1.parse().unwrap();
                        let mut upstream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                        let _ = tokio::io::copy_bidirectional(&mut stream, &mut upstream).await;
                    }
                }
            });
        }
    });
    (address, tasks)
}

fn proxied(url: &str, proxy: String, ca_file: Option<PathBuf>) -> Client {
    let transport = Transport {
        proxy: Some(Secret::new(proxy)),
        ca_file,
        ..Transport::default()
    };
    let mut settings = ClientSettings {
        transport,
        ..settings(&[url])
    };
    settings.operator_hosts.clear();
    // Nothing but the proxy may be looked up.
    Client::with_lookup(settings, names(&[("proxy.example", &["127.0.0.1"])])).unwrap()
}

#[tokio::test]
async fn an_http_proxy_carries_plain_requests_and_resolves_their_names() {
    let seen = Arc::default();
    let (proxy, _tasks) = http_proxy(Arc::clone(&seen)).await;
    let url = "http://public.example/x?y=1";
    let client = proxied(
        url,
        format!("http://me:proxyword@proxy.example:{}", proxy.port()),
        None,
    );
    assert_eq!(&client.send(get(url)).await.unwrap().body[..], b"proxy");
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0].line, "GET http://public.example/x?y=1");
    assert!(
        seen[0]
            .header("proxy-authorization")
            .unwrap()
            .starts_with("Basic ")
    );
}

#[tokio::test]
async fn an_http_proxy_carries_tls_in_a_tunnel() {
    let authority = Authority::new();
    let peer = authority.peer("public.example", false).await;
    let seen = Arc::default();
    let (proxy, _tasks) = http_proxy(Arc::clone(&seen)).await;
    let url = format!("https://public.example:{}/x", peer.address.port());
    let client = proxied(&url, format!("http://{proxy}"), authority.ca_file());
    assert_eq!(&client.send(get(url)).await.unwrap().body[..], b"over TLS");
    assert_eq!(
        seen.lock().unwrap()[0].line,
        format!("CONNECT public.example:{}", peer.address.port())
    );
    assert_eq!(peer.only().header("proxy-authorization"), None);
}

#[tokio::test]
async fn a_socks_proxy_is_given_the_name() {
    let peer = Peer::start(|_| ok("through socks")).await;
    let target = peer.address;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = listener.local_addr().unwrap();
    let asked = Arc::new(Mutex::new(String::new()));
    let log = Arc::clone(&asked);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        // RFC 1928: greeting, then CONNECT with a domain name.
        let mut greeting = [0; 2];
        stream.read_exact(&mut greeting).await.unwrap();
        let mut methods = vec![0; usize::from(greeting[1])];
        stream.read_exact(&mut methods).await.unwrap();
        stream.write_all(&[5, 0]).await.unwrap();
        let mut head = [0; 5];
        stream.read_exact(&mut head).await.unwrap();
        assert_eq!(head[..4], [5, 1, 0, 3], "a domain name");
        let mut name = vec![0; usize::from(head[4]) + 2];
        stream.read_exact(&mut name).await.unwrap();
        *log.lock().unwrap() = String::from_utf8_lossy(&name[..name.len() - 2]).into_owned();
        stream
            .write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])
            .await
            .unwrap();
        let mut upstream = TcpStream::connect(target).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut stream, &mut upstream).await;
    });
    let url = format!("http://public.example:{}/", target.port());
    let client = proxied(&url, format!("socks5://{proxy}"), None);
    assert_eq!(
        &client.send(get(url)).await.unwrap().body[..],
        b"through socks"
    );
    assert_eq!(*asked.lock().unwrap(), "public.example");
}

#[tokio::test]
async fn behind_a_proxy_literal_addresses_and_grants_are_still_checked() {
    let seen = Arc::default();
    let (proxy, _tasks) = http_proxy(Arc::clone(&seen)).await;
    for url in [
        "http://127.0.0.1:1/",
        "http://169.254.169.254/",
        "http://[::1]/",
        "http://localhost/",
    ] {
        let client = proxied(url, format!("http://{proxy}"), None);
        assert_denied(client.send(get(url)).await);
        assert!(matches!(
            client.check_target(url).await,
            Err(HttpError::Denied(_))
        ));
    }
    let client = proxied("http://public.example/", format!("http://{proxy}"), None);
    assert_denied(client.send(get("http://other.example/")).await);
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_dead_proxy_is_unreachable_and_its_password_is_not_shown() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = listener.local_addr().unwrap();
    drop(listener);
    let url = "https://public.example/";
    let result = proxied(url, format!("http://me:proxyword@{proxy}"), None)
        .send(get(url))
        .await;
    assert!(!format!("{result:?}").contains("proxyword"));
    assert_unreachable(result);
}

#[test]
fn what_is_no_proxy_or_pem_file_is_refused_at_start() {
    use super::super::client::ClientError;
    let with = |transport| {
        Client::new(ClientSettings {
            transport,
            ..settings(&["https://a.example/"])
        })
        .unwrap_err()
    };
    for proxy in ["", "proxy:3128", "ftp://proxy", "http://"] {
        let error = with(Transport {
            proxy: Some(Secret::new(proxy)),
            ..Transport::default()
        });
        assert_eq!(error, ClientError::Proxy, "{proxy}");
    }
    let dir = TempDir::new().unwrap();
    let missing = dir.path().join("missing.pem");
    let error = with(Transport {
        ca_file: Some(missing.clone()),
        ..Transport::default()
    });
    assert!(error.to_string().contains("missing.pem"), "{error}");
    let empty = dir.path().join("empty.pem");
    std::fs::write(&empty, "no certificate").unwrap();
    let error = with(Transport {
        client_certificate: Some(ClientCertificate {
            cert_file: empty.clone(),
            key_file: empty,
        }),
        ..Transport::default()
    });
    assert!(error.to_string().contains("no certificate"), "{error}");
}
