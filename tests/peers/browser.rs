//! Pages in a real Chromium beside the running host: one of a foreign origin, one of an allowed origin, and one of a name
//! that its owner made to resolve to this machine. Fails, not skips, where the browser is missing.

#![allow(
    clippy::indexing_slicing,
    reason = "`Value[key]` answers null for what is not there"
)]

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use e2e::{Config, lines, run};
use kit::host::{DEADLINE, RunningHost};
use peers::installed;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

const PAGE: &str = include_str!("browser/page.html");

/// The server of a page, under every name that leads to it, and what the page says of its tries.
struct Pages {
    port: u16,
    results: mpsc::Receiver<Value>,
    _serving: JoinSet<()>,
}

impl Pages {
    async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (sender, results) = mpsc::channel(1);
        let sender = Arc::new(sender);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let sender = Arc::clone(&sender);
                connections.spawn(async move {
                    // A browser opens connections that it does not use.
                    if let Ok(Some(results)) = serve(stream).await {
                        let _ = sender.send(results).await;
                    }
                });
            }
        });
        Ok(Self {
            port,
            results,
            _serving: serving,
        })
    }

    fn origin(&self, name: &str) -> String {
        format!("http://{name}:{}", self.port)
    }

    /// Opens the page under this name and waits for its results.
    async fn open(&mut self, name: &str, query: &str) -> anyhow::Result<Value> {
        let profile = tempfile::tempdir()?;
        let url = format!("{}/?{query}", self.origin(name));
        let mut browser = browser(&profile, &url)?;
        let seen = tokio::time::timeout(DEADLINE, self.results.recv()).await;
        let _ = browser.kill().await;
        let mut said = String::new();
        if let Some(mut stderr) = browser.stderr.take() {
            let _ = stderr.read_to_string(&mut said).await;
        }
        match seen {
            Ok(Some(results)) => Ok(results),
            _ => bail!("the page said nothing; the browser: {said}"),
        }
    }
}

/// One request of the browser: the page, or its results.
async fn serve(mut stream: TcpStream) -> anyhow::Result<Option<Value>> {
    let mut request = Vec::new();
    loop {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let is_result = head.starts_with("POST /results");
        let (answer, results) = match serde_json::from_str(body) {
            Ok(results) if is_result => ("", Some(results)),
            Err(_) if is_result => continue,
            _ => (PAGE, None),
        };
        let length = answer.len();
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n";
        let answer = format!("{head}content-length: {length}\r\n\r\n{answer}");
        stream.write_all(answer.as_bytes()).await?;
        return Ok(results);
    }
}

/// Every name leads to this machine, as the owner of a name can arrange.
fn browser(profile: &TempDir, url: &str) -> anyhow::Result<Child> {
    let root = installed::debian_file("usr/lib/chromium/chromium-headless-shell")?;
    let libraries = installed::debian_file("usr/lib/x86_64-linux-gnu")?;
    let libraries = format!("{0}:{0}/pulseaudio", libraries.display());
    Command::new(root)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
        ])
        .arg("--host-resolver-rules=MAP * 127.0.0.1")
        .arg(format!("--user-data-dir={}", profile.path().display()))
        // Stays open until it is killed.
        .args(["--remote-debugging-port=0", url])
        .env("LD_LIBRARY_PATH", libraries)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("cannot start Chromium")
}

async fn host(http: &str) -> anyhow::Result<(RunningHost, PathBuf, TempDir)> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("events.ndjson");
    let section = format!("receivers:\n  http:\n{http}");
    let config = Config::new().section(&section).json("json", &file)?;
    Ok((run(&config)?.start().await?, file, dir))
}

#[tokio::test]
async fn a_page_of_a_foreign_origin_sends_nothing_and_reads_nothing() -> anyhow::Result<()> {
    let (host, file, _dir) = host("    max_connections: 64\n").await?;
    let mut pages = Pages::start().await?;
    let at = format!("host=http://localhost:{}", host.address().port());
    let seen = pages.open("evil.example", &at).await?;
    for name in ["json", "metrics", "ready"] {
        assert_eq!(seen[name], "failed", "{seen}");
    }
    host.terminate().await?.expect_code(0)?;
    assert_eq!(lines(&file)?, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn a_page_whose_name_leads_to_the_host_is_foreign() -> anyhow::Result<()> {
    let (host, file, _dir) = host("    max_connections: 64\n").await?;
    let mut pages = Pages::start().await?;
    let at = format!("host=http://evil.example:{}", host.address().port());
    let seen = pages.open("evil.example", &at).await?;
    for name in ["json", "metrics", "ready"] {
        assert_eq!(seen[name], "failed", "{seen}");
    }
    host.terminate().await?.expect_code(0)?;
    assert_eq!(lines(&file)?, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_sends_events_and_reads_nothing_else() -> anyhow::Result<()> {
    let mut pages = Pages::start().await?;
    let cors = format!(
        "    cors: {{allowed_origins: [\"{}\"]}}\n",
        pages.origin("app.example")
    );
    let (host, file, _dir) = host(&cors).await?;
    let at = format!("host=http://localhost:{}", host.address().port());
    let seen = pages.open("app.example", &at).await?;
    assert_eq!(seen["json"], "cors 200", "{seen}");
    for name in ["metrics", "ready"] {
        assert_eq!(seen[name], "failed", "{seen}");
    }
    host.terminate().await?.expect_code(0)?;
    let delivered = lines(&file)?.concat();
    assert!(delivered.contains("json of a page"), "{delivered}");
    // Without a type, not even an allowed page is heard.
    assert!(!delivered.contains("untyped of a page"), "{delivered}");
    Ok(())
}

#[tokio::test]
async fn where_there_are_tokens_an_allowed_page_needs_one() -> anyhow::Result<()> {
    let mut pages = Pages::start().await?;
    let origin = pages.origin("app.example");
    let http = format!(
        "    cors: {{allowed_origins: [\"{origin}\"]}}\n    auth: {{tokens: [{{label: page, token: s3cret-0123}}]}}\n"
    );
    let (host, file, _dir) = host(&http).await?;
    let at = format!(
        "token=s3cret-0123&host=http://localhost:{}",
        host.address().port()
    );
    let seen = pages.open("app.example", &at).await?;
    assert_eq!(
        (&seen["json"], &seen["token"]),
        (&"cors 401".into(), &"cors 200".into()),
        "{seen}"
    );
    host.terminate().await?.expect_code(0)?;
    let delivered = lines(&file)?;
    assert_eq!(delivered.len(), 1, "{delivered:?}");
    assert!(
        delivered.concat().contains("token of a page"),
        "{delivered:?}"
    );
    Ok(())
}
