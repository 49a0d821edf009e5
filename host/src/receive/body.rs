//! Reads a request's message: bounded in size, as sent and decoded, and in time. Called by `routes`.

use std::io::Read as _;
use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderName};
use bytes::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout_at};

use super::answer::RequestError;
use super::grpc;
use super::limits::{InflightBytes, Limits, Share};

/// What is set aside at once for a body whose length is known. It is address space until bytes come, and a body that
/// has to move while it grows costs its pages and its copies twice; still a promise alone should not take too much.
const FIRST_CAPACITY_BYTES: usize = 8 << 20;

/// A window of 8 MiB, which RFC 9659 sets as the most on the web: a larger one would cost memory that no limit counts.
const MAX_ZSTD_WINDOW_LOG: u32 = 23;

/// How much is decompressed before other tasks get their turn.
const DECODE_STEP_BYTES: usize = 256 << 10;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Identity,
    Gzip,
    Zstd,
}

/// How the message lies in a request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// It is the body.
    Http,
    /// It follows a flag and its length.
    Grpc,
}

impl Framing {
    const fn encoding_header(self) -> HeaderName {
        match self {
            Self::Http => CONTENT_ENCODING,
            Self::Grpc => grpc::ENCODING,
        }
    }

    const fn prefix_bytes(self) -> usize {
        match self {
            Self::Http => 0,
            Self::Grpc => grpc::PREFIX_BYTES,
        }
    }
}

/// Reads and decodes the message. The share is what it holds of the bytes on their way.
pub(super) async fn read(
    body: &mut Body,
    headers: &HeaderMap,
    framing: Framing,
    limits: &Limits,
    inflight: &InflightBytes,
) -> Result<(Bytes, Share), RequestError> {
    let encoding = encoding(headers, &framing.encoding_header())?;
    let mut share = Share::default();
    let limit = limits.max_body_bytes.saturating_add(framing.prefix_bytes());
    let promised = promised_length(headers);
    let body = collect(body, promised, limit, limits, inflight, &mut share).await?;
    let (sent, encoding) = match framing {
        Framing::Http => (body, encoding),
        Framing::Grpc => match grpc::message(&body)? {
            (message, true) => (message, encoding),
            (message, false) => (message, Encoding::Identity),
        },
    };
    match encoding {
        Encoding::Identity => Ok((sent, share)),
        Encoding::Gzip => {
            let decoder = MultiGzDecoder::new(&*sent);
            let decoded = decompress(decoder, sent.len(), limits, inflight, &mut share).await?;
            Ok((decoded, share))
        }
        Encoding::Zstd => {
            let decoder = zstd_decoder(&sent).map_err(|error| not_valid(&error))?;
            let decoded = decompress(decoder, sent.len(), limits, inflight, &mut share).await?;
            Ok((decoded, share))
        }
    }
}

/// Reads what is left of a refused request, so that the sender gets to read the answer: a connection that is closed
/// with data unread is reset, and the answer with it. Bounded in bytes and time.
pub(super) async fn discard(body: &mut Body, limits: &Limits) {
    let deadline = Instant::now() + limits.body_idle_timeout.min(Duration::from_secs(5));
    let mut left = limits.max_body_bytes.saturating_mul(2);
    while let Ok(Some(Ok(frame))) = timeout_at(deadline, body.frame()).await {
        let length = frame.data_ref().map_or(0, Bytes::len);
        match left.checked_sub(length) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

fn encoding(headers: &HeaderMap, header: &HeaderName) -> Result<Encoding, RequestError> {
    let mut values = headers.get_all(header).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return if headers.contains_key(header) {
            Err(RequestError::Encoding("several".to_owned()))
        } else {
            Ok(Encoding::Identity)
        };
    };
    let name = String::from_utf8_lossy(value.as_bytes())
        .trim()
        .to_ascii_lowercase();
    match name.as_str() {
        "" | "identity" => Ok(Encoding::Identity),
        "gzip" | "x-gzip" => Ok(Encoding::Gzip),
        "zstd" => Ok(Encoding::Zstd),
        _ => Err(RequestError::Encoding(crate::event::fields::excerpt(&name))),
    }
}

fn promised_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn collect(
    body: &mut Body,
    promised: Option<usize>,
    limit_bytes: usize,
    limits: &Limits,
    inflight: &InflightBytes,
    share: &mut Share,
) -> Result<Bytes, RequestError> {
    let too_large = || RequestError::TooLarge {
        limit_bytes: limits.max_body_bytes,
    };
    let slow = || RequestError::Slow {
        idle: limits.body_idle_timeout,
        total: limits.body_timeout,
    };
    if promised.is_some_and(|length| length > limit_bytes) {
        return Err(too_large());
    }
    let deadline = Instant::now() + limits.body_timeout;
    let mut collected = BytesMut::with_capacity(promised.unwrap_or(0).min(FIRST_CAPACITY_BYTES));
    loop {
        let patience = deadline.min(Instant::now() + limits.body_idle_timeout);
        let frame = match timeout_at(patience, body.frame())
            .await
            .map_err(|_| slow())?
        {
            None => return Ok(collected.freeze()),
            Some(frame) => frame.map_err(|error| RequestError::Body(error.to_string()))?,
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let length = collected.len() + data.len();
        if length > limit_bytes {
            return Err(too_large());
        }
        if !inflight.grow(share, length).await {
            return Err(RequestError::Busy);
        }
        if length > collected.capacity()
            && let Some(promised) = promised.filter(|promised| length <= *promised)
        {
            // Twice as much, but no more than is promised: an event holds on to the whole body that it came in.
            let capacity = promised.min(length.max(2 * collected.capacity()));
            let mut larger = BytesMut::with_capacity(capacity);
            larger.extend_from_slice(&collected);
            collected = larger;
        }
        collected.extend_from_slice(&data);
    }
}

fn zstd_decoder(sent: &[u8]) -> std::io::Result<zstd::Decoder<'_, &[u8]>> {
    let mut decoder = zstd::Decoder::with_buffer(sent)?;
    decoder.window_log_max(MAX_ZSTD_WINDOW_LOG)?;
    Ok(decoder)
}

fn not_valid(error: &std::io::Error) -> RequestError {
    RequestError::Body(format!("it is not what its content-encoding says: {error}"))
}

async fn decompress(
    mut decoder: impl std::io::Read,
    sent_bytes: usize,
    limits: &Limits,
    inflight: &InflightBytes,
    share: &mut Share,
) -> Result<Bytes, RequestError> {
    let mut decoded: Vec<u8> = Vec::new();
    loop {
        let step = (&mut decoder)
            .take(DECODE_STEP_BYTES as u64)
            .read_to_end(&mut decoded);
        let step = step.map_err(|error| not_valid(&error))?;
        if decoded.len() > limits.max_body_bytes {
            return Err(RequestError::TooLarge {
                limit_bytes: limits.max_body_bytes,
            });
        }
        if step == 0 {
            return Ok(Bytes::from(decoded));
        }
        if !inflight.grow(share, sent_bytes + decoded.len()).await {
            return Err(RequestError::Busy);
        }
        tokio::task::yield_now().await;
    }
}
