//! The client against real sockets on the loopback. The peers here are written by hand, so that they can misbehave.

mod credentials;
mod egress;
mod faults;
mod transport;
mod wire;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use url::Url;

use super::client::{Client, ClientSettings, Transport};
use super::dial::Lookup;
use super::hop::HopId;
use super::limits::Limits;
use super::message::{HttpError, Request, Response};
use super::origin::{HostPort, Origin};
use super::secrets::Secrets;
use crate::config::Compress;

/// What a peer was sent.
#[derive(Clone, Debug, Default)]
struct Seen {
    /// `POST /path?query`
    line: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Seen {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(header, _)| header == name)
            .map(|(_, value)| value.as_str())
    }
}

/// What a peer does when it has read a request.
#[derive(Clone, Debug)]
enum Reply {
    /// Sends these bytes and waits for the next request.
    Bytes(Vec<u8>),
    /// Sends these bytes and resets the connection.
    Reset(Vec<u8>),
    /// Sends these bytes, then a byte every few milliseconds for ever.
    Drip(Vec<u8>),
    /// Sends these bytes and nothing more.
    Hang(Vec<u8>),
}

/// A response with a length.
fn ok(body: impl AsRef<[u8]>) -> Reply {
    response(200, &[], body)
}

fn response(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Reply {
    let body = body.as_ref();
    let mut bytes = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        bytes.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut bytes = (bytes + "\r\n").into_bytes();
    bytes.extend_from_slice(body);
    Reply::Bytes(bytes)
}

fn redirect(status: u16, location: &str) -> Reply {
    response(status, &[("location", location)], "")
}

/// A peer on the loopback. Stops when dropped.
struct Peer {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    _tasks: JoinSet<()>,
}

impl Peer {
    async fn start(reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_with(reply, |stream| async { Some(stream) }).await
    }

    /// `accept` may put TLS on a connection.
    async fn start_with<S, F>(
        reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
        accept: impl Fn(TcpStream) -> F + Send + Sync + 'static,
    ) -> Self
    where
        S: AsyncRead + AsyncWrite + Linger + Unpin + Send + 'static,
        F: Future<Output = Option<S>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (reply, log) = (Arc::new(reply), Arc::clone(&seen));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (stream, reply, log) = (accept(stream), Arc::clone(&reply), Arc::clone(&log));
                connections.spawn(async move {
                    if let Some(stream) = stream.await {
                        let _ = serve(stream, &*reply, &log).await;
                    }
                });
            }
        });
        Self {
            address,
            seen,
            _tasks: tasks,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    fn only(&self) -> Seen {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen[0].clone()
    }
}

/// Resets instead of closing.
trait Linger {
    fn reset_on_drop(&self);
}

impl Linger for TcpStream {
    fn reset_on_drop(&self) {
        self.set_zero_linger().unwrap();
    }
}

impl Linger for tokio_rustls::server::TlsStream<TcpStream> {
    fn reset_on_drop(&self) {
        self.get_ref().0.reset_on_drop();
    }
}

async fn serve<S>(
    mut stream: S,
    reply: &(dyn Fn(&Seen) -> Reply + Send + Sync),
    log: &Mutex<Vec<Seen>>,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Linger + Unpin,
{
    while let Some(seen) = read_request(&mut stream).await? {
        log.lock().unwrap().push(seen.clone());
        match reply(&seen) {
            Reply::Bytes(bytes) => stream.write_all(&bytes).await?,
            Reply::Reset(bytes) => {
                stream.write_all(&bytes).await?;
                stream.flush().await?;
                stream.reset_on_drop();
                return Ok(());
            }
            Reply::Drip(bytes) => {
                stream.write_all(&bytes).await?;
                let mut ticks = tokio::time::interval(Duration::from_millis(5));
                loop {
                    ticks.tick().await;
                    stream.write_all(b"x").await?;
                }
            }
            Reply::Hang(bytes) => {
                stream.write_all(&bytes).await?;
                stream.flush().await?;
                std::future::pending::<()>().await;
            }
        }
        stream.flush().await?;
    }
    Ok(())
}

async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(Some(String::from_utf8_lossy(&head).into_owned()))
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Seen>> {
    let Some(head) = read_head(stream).await? else {
        return Ok(None);
    };
    let mut lines = head.lines();
    let line = lines
        .next()
        .unwrap_or_default()
        .trim_end_matches(" HTTP/1.1")
        .to_owned();
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let mut seen = Seen {
        line,
        headers,
        body: Vec::new(),
    };
    let length = seen
        .header("content-length")
        .map_or(0, |length| length.parse().unwrap());
    seen.body = vec![0; length];
    stream.read_exact(&mut seen.body).await?;
    Ok(Some(seen))
}

/// Settings that grant these URLs' origins, and let them be at private addresses as if the operator's settings named them.
fn settings(urls: &[&str]) -> ClientSettings {
    let urls: Vec<_> = urls.iter().map(|url| Url::parse(url).unwrap()).collect();
    ClientSettings {
        exporter: "test".to_owned(),
        origins: urls.iter().map(|url| Origin::of(url).unwrap()).collect(),
        operator_hosts: urls.iter().map(|url| HostPort::of(url).unwrap()).collect(),
        allows_metadata: false,
        own_listeners: Vec::new(),
        hop: HopId::random(),
        secrets: Secrets::default(),
        limits: Limits {
            timeout: Duration::from_secs(20),
            ..Limits::default()
        },
        transport: Transport {
            // The peers are on this machine.
            compression: Compress::Always,
            ..Transport::default()
        },
    }
}

fn client(settings: ClientSettings) -> Client {
    Client::new(settings).unwrap()
}

/// A name service: each lookup of a name takes the next of its answers, the last one for ever.
fn names(answers: &[(&str, &[&str])]) -> Lookup {
    let table: HashMap<String, Vec<Vec<IpAddr>>> = answers
        .iter()
        .map(|(name, answers)| {
            let parse = |answer: &&str| answer.split(' ').map(|ip| ip.parse().unwrap()).collect();
            ((*name).to_owned(), answers.iter().map(parse).collect())
        })
        .collect();
    let table = Mutex::new(table);
    Arc::new(move |host, port| {
        let mut table = table.lock().unwrap();
        let answer = table.get_mut(&host).map(|answers| {
            if answers.len() > 1 {
                answers.remove(0)
            } else {
                answers[0].clone()
            }
        });
        Box::pin(async move {
            let ips = answer.ok_or_else(|| io::Error::other("no such name"))?;
            Ok(ips
                .into_iter()
                .map(|ip| SocketAddr::new(ip, port))
                .collect())
        })
    })
}

fn get(url: impl Into<String>) -> Request {
    Request {
        verb: "GET".to_owned(),
        url: url.into(),
        headers: Vec::new(),
        body: Bytes::new(),
        compress: None,
        auth: None,
        timeout: None,
    }
}

fn post(url: impl Into<String>, content_type: &str, body: impl Into<Bytes>) -> Request {
    Request {
        verb: "POST".to_owned(),
        headers: vec![("content-type".to_owned(), content_type.to_owned())],
        body: body.into(),
        ..get(url)
    }
}

fn assert_denied(result: Result<Response, HttpError>) {
    assert!(matches!(result, Err(HttpError::Denied(_))), "{result:?}");
}

fn assert_invalid(result: Result<Response, HttpError>, contains: &str) {
    let Err(HttpError::Invalid(text)) = &result else {
        panic!("{result:?}")
    };
    assert!(text.contains(contains), "{text}");
}

fn assert_unreachable(result: Result<Response, HttpError>) {
    assert!(
        matches!(result, Err(HttpError::Unreachable(_))),
        "{result:?}"
    );
}

fn assert_interrupted(result: Result<Response, HttpError>) {
    assert!(
        matches!(result, Err(HttpError::Interrupted(_))),
        "{result:?}"
    );
}
