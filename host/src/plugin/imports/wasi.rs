//! WASI 0.2 with nothing granted: no file system, no network, no environment, no arguments. What a guest prints goes
//! into the host's log at debug level, line by line, capped for each call.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::{io, mem};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use tokio::time::Instant;
use wasmtime_wasi::WasiCtx;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::clocks::HostMonotonicClock;
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// Bytes of output that one call may log, so that a chatty guest does not drown the host's own log.
const MAX_BYTES_A_CALL: usize = 16 * 1024;
/// Longer lines are cut here.
const MAX_LINE_BYTES: usize = 1024;
/// `wasi:random` in one piece; key material and hash seeds need a few dozen bytes.
const MAX_RANDOM_BYTES: u64 = 64 * 1024;

/// The log of one instance's standard output and error.
#[derive(Clone, Debug)]
pub(in crate::plugin) struct GuestLog {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    guest: Arc<str>,
    bytes_left: AtomicUsize,
    stdout: Mutex<Vec<u8>>,
    stderr: Mutex<Vec<u8>>,
}

impl GuestLog {
    pub(in crate::plugin) fn new(guest: &Arc<str>) -> Self {
        Self {
            shared: Arc::new(Shared {
                guest: Arc::clone(guest),
                bytes_left: AtomicUsize::new(MAX_BYTES_A_CALL),
                stdout: Mutex::default(),
                stderr: Mutex::default(),
            }),
        }
    }

    /// The exporter's id, or the component's file before it has one.
    pub(super) fn guest(&self) -> &str {
        &self.shared.guest
    }

    /// Whether so many bytes may be logged of this call.
    pub(super) fn take(&self, bytes: usize) -> bool {
        self.shared.take(bytes) == bytes
    }

    /// Before each call.
    pub(in crate::plugin) fn refill(&self) {
        self.shared
            .bytes_left
            .store(MAX_BYTES_A_CALL, Ordering::Relaxed);
    }
}

impl Shared {
    /// How many of these bytes may be logged; says once a call that it was too much.
    fn take(&self, bytes: usize) -> usize {
        let left = self.bytes_left.load(Ordering::Relaxed);
        let allowed = bytes.min(left);
        self.bytes_left.store(left - allowed, Ordering::Relaxed);
        if left > 0 && allowed < bytes {
            tracing::warn!(
                guest = &*self.guest,
                cap_bytes = MAX_BYTES_A_CALL,
                "The exporter logs or prints too much; the rest of this call was dropped."
            );
        }
        allowed
    }
}

#[derive(Clone, Copy, Debug)]
enum Channel {
    Stdout,
    Stderr,
}

/// One of the two streams. Never blocks, never fails: what is over the cap is dropped.
#[derive(Clone, Debug)]
struct Printer {
    shared: Arc<Shared>,
    channel: Channel,
}

impl Printer {
    fn print(&self, bytes: &[u8]) {
        if !tracing::enabled!(tracing::Level::DEBUG) {
            return;
        }
        let allowed = self.shared.take(bytes.len());
        let partial = match self.channel {
            Channel::Stdout => &self.shared.stdout,
            Channel::Stderr => &self.shared.stderr,
        };
        let mut partial = partial.lock().unwrap_or_else(PoisonError::into_inner);
        for &byte in bytes.get(..allowed).unwrap_or_default() {
            if byte != b'\n' {
                partial.push(byte);
            }
            if byte == b'\n' || partial.len() >= MAX_LINE_BYTES {
                self.log(&mem::take(&mut *partial));
            }
        }
    }

    fn log(&self, line: &[u8]) {
        let guest = &*self.shared.guest;
        let line = String::from_utf8_lossy(line);
        match self.channel {
            Channel::Stdout => tracing::debug!(guest, stdout = &*line, "Guest printed."),
            Channel::Stderr => tracing::debug!(guest, stderr = &*line, "Guest printed."),
        }
    }
}

impl IsTerminal for Printer {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Printer {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Printer {
    async fn ready(&mut self) {}
}

impl OutputStream for Printer {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.print(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MAX_BYTES_A_CALL)
    }
}

impl AsyncWrite for Printer {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.print(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What a new instance's monotonic clock says: Go's runtime takes zero for a broken clock and ends.
const FIRST_NANOS: u64 = 1;

/// The runtime's clock, by which the host's own limits go: where tests pause it, it stands still for the guest, too.
struct RuntimeClock(Instant);

impl HostMonotonicClock for RuntimeClock {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        let elapsed = u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX);
        elapsed.saturating_add(FIRST_NANOS)
    }
}

/// A context that grants nothing: the builder's defaults are an empty environment, no arguments, no directories, closed
/// standard input and no address that may be dialled.
pub(super) fn context(log: &GuestLog) -> WasiCtx {
    let printer = |channel| Printer {
        shared: Arc::clone(&log.shared),
        channel,
    };
    WasiCtx::builder()
        .stdout(printer(Channel::Stdout))
        .stderr(printer(Channel::Stderr))
        .monotonic_clock(RuntimeClock(Instant::now()))
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .max_random_size(MAX_RANDOM_BYTES)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_stands_still_never_says_zero() {
        let clock = RuntimeClock(Instant::now());
        assert_eq!(clock.now(), FIRST_NANOS);
        tokio::time::advance(std::time::Duration::from_nanos(9)).await;
        assert_eq!(clock.now(), FIRST_NANOS + 9);
    }
}
