//! A component's request on its way to the wire: checked, then filled in, signed and compressed.
//!
//! Two steps with the policy check between them: [`Outgoing::check`] reads the request and refuses what is malformed, and
//! no secret is touched; [`Outgoing::seal_body`] and [`Outgoing::head`] fill the secrets in.

use std::borrow::Cow;
use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use reqwest::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName,
    HeaderValue, USER_AGENT,
};
use sha2::Sha256;
use url::Url;

use super::fill::{self, Filler};
use super::hop::HOP_HEADER;
use super::limits::Limits;
use super::message::{Auth, Compression, HttpError, Request};

/// Unless the component sets its own.
const DEFAULT_USER_AGENT: &str = concat!("mastra-host/", env!("CARGO_PKG_VERSION"));

/// The connection is the host's business (RFC 9110 7.6.1), and so is the body's length; all of `proxy-*` too.
const FORBIDDEN: [&str; 11] = [
    "host",
    "content-length",
    "connection",
    "keep-alive",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "http2-settings",
    "expect",
    HOP_HEADER,
];

/// Bodies above this are compressed on a thread of their own, so that they do not hold up other exporters. 64 KiB of JSON
/// take about a millisecond.
const INLINE_COMPRESSION_BYTES: usize = 64 << 10;

/// A request that is well formed. Nothing is filled in yet.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) method: Method,
    pub(super) url: Url,
    headers: Vec<(HeaderName, String)>,
    body: Bytes,
    compress: Option<Compression>,
    auth: Option<Auth>,
}

/// A body as it goes over the wire.
#[derive(Clone, Debug, Default)]
pub(super) struct SealedBody {
    /// Filled and compressed.
    pub(super) wire: Bytes,
    /// Filled, not compressed: what a signature covers.
    plain: Bytes,
    encoding: Option<&'static str>,
}

fn invalid(text: impl Into<String>) -> HttpError {
    HttpError::Invalid(text.into())
}

impl Outgoing {
    /// Reads a request. Whether it may be sent is the policy's to say.
    pub(super) fn check(
        request: Request,
        limits: &Limits,
        filler: &Filler,
    ) -> Result<Self, HttpError> {
        let method = match request.verb.to_ascii_uppercase().as_str() {
            "GET" => Method::GET,
            "POST" => Method::POST,
            "PUT" => Method::PUT,
            "PATCH" => Method::PATCH,
            "DELETE" => Method::DELETE,
            _ => return Err(invalid("the verb must be GET, POST, PUT, PATCH or DELETE")),
        };
        let url = check_url(&request.url, filler)?;
        if request.body.len() > limits.max_request_bytes {
            let (len, limit) = (request.body.len(), limits.max_request_bytes);
            return Err(invalid(format!(
                "the body has {len} bytes, more than the limit of {limit}"
            )));
        }
        let headers = check_headers(request.headers, request.compress.is_some(), limits, filler)?;
        if let Some(auth) = &request.auth {
            check_auth(auth, filler)?;
        }
        Ok(Self {
            method,
            url,
            headers,
            body: request.body,
            compress: request.compress,
            auth: request.auth,
        })
    }

    pub(super) fn has_body(&self) -> bool {
        !self.body.is_empty()
    }

    fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers
            .iter()
            .find(|(header, _)| header == name)
            .map(|(_, value)| value.as_str())
    }

    /// The URL with its path and query filled in.
    pub(super) fn filled_url(&self, filler: &Filler) -> Result<Url, HttpError> {
        let mut url = self.url.clone();
        if let Cow::Owned(path) = filler.fill_path(self.url.path()) {
            url.set_path(&path);
        }
        if let Some(query) = self.url.query() {
            url.set_query(Some(&filler.fill_query(query)?));
        }
        Ok(url)
    }

    /// Fills the body in if it is JSON, and compresses it where the component asks for it and `is_compressed` allows it.
    pub(super) async fn seal_body(
        &self,
        filler: &Filler,
        is_compressed: bool,
    ) -> Result<SealedBody, HttpError> {
        let is_encoded = self
            .header(&CONTENT_ENCODING)
            .is_some_and(|value| !value.eq_ignore_ascii_case("identity"));
        let plain = if is_encoded {
            self.body.clone()
        } else if fill::is_json(self.header(&CONTENT_TYPE).unwrap_or_default()) {
            filler.fill_json(&self.body)?
        } else {
            filler.refuse_in("body, which is not of a JSON content type", &self.body)?;
            self.body.clone()
        };
        let Some(compression) = self.compress.filter(|_| is_compressed && !plain.is_empty()) else {
            return Ok(SealedBody {
                wire: plain.clone(),
                plain,
                encoding: None,
            });
        };
        let wire = if plain.len() > INLINE_COMPRESSION_BYTES {
            let plain = plain.clone();
            tokio::task::spawn_blocking(move || compressed(&plain, compression))
                .await
                .unwrap_or_else(|error| Err(io::Error::other(error)))
        } else {
            compressed(&plain, compression)
        };
        let wire =
            wire.map_err(|error| invalid(format!("the body cannot be compressed: {error}")))?;
        let encoding = match compression {
            Compression::Gzip => "gzip",
            Compression::Deflate => "deflate",
            Compression::Zstd => "zstd",
        };
        Ok(SealedBody {
            wire,
            plain,
            encoding: Some(encoding),
        })
    }

    /// The headers, filled in, and the URL with the query's credential. `body` is nothing where a redirect dropped it:
    /// then what describes it is left out too.
    pub(super) fn head(
        &self,
        url: &mut Url,
        body: Option<&SealedBody>,
        hop: &str,
        filler: &Filler,
    ) -> Result<HeaderMap, HttpError> {
        let mut headers = HeaderMap::with_capacity(self.headers.len() + 4);
        for (name, value) in &self.headers {
            if body.is_none() && name.as_str().starts_with("content-") {
                continue;
            }
            headers.append(
                name,
                header_value(name.as_str(), &filled_header(name, value, filler)?)?,
            );
        }
        if !headers.contains_key(USER_AGENT) {
            headers.insert(USER_AGENT, HeaderValue::from_static(DEFAULT_USER_AGENT));
        }
        headers.insert(HOP_HEADER, header_value(HOP_HEADER, hop)?);
        if let Some(encoding) = body.and_then(|body| body.encoding) {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        if let Some(auth) = &self.auth {
            let signed = body.map_or(&[][..], |body| &body.plain);
            authorize(auth, &mut headers, url, signed, filler)?;
        }
        Ok(headers)
    }
}

fn check_url(text: &str, filler: &Filler) -> Result<Url, HttpError> {
    // Before parsing: the parser lowers a host's case and encodes a path, and neither may hide a placeholder.
    let before_query = text.split(['?', '#']).next().unwrap_or_default();
    let place = "host or path of the URL";
    let written = filler.pieces_of_url(place, before_query)?;
    let mut url =
        Url::parse(text).map_err(|error| invalid(format!("the URL cannot be read: {error}")))?;
    // Path and query of a secret URL stand for themselves there, and nowhere before them.
    if filler.pieces_of_url(place, url.path())? != written {
        filler.refuse_in(place, before_query.as_bytes())?;
    }
    if let Some(fragment) = url.fragment() {
        filler.refuse_in("fragment of the URL", fragment.as_bytes())?;
        url.set_fragment(None);
    }
    Ok(url)
}

fn check_headers(
    headers: Vec<(String, String)>,
    is_compressed: bool,
    limits: &Limits,
    filler: &Filler,
) -> Result<Vec<(HeaderName, String)>, HttpError> {
    if headers.len() > limits.max_request_headers {
        let (count, limit) = (headers.len(), limits.max_request_headers);
        return Err(invalid(format!(
            "the request has {count} headers, more than the limit of {limit}"
        )));
    }
    let size: usize = headers
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if size > limits.max_request_header_bytes {
        let limit = limits.max_request_header_bytes;
        return Err(invalid(format!(
            "the headers have {size} bytes, more than the limit of {limit}"
        )));
    }
    let mut checked = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        let name = header_name(&name, filler)?;
        if name == CONTENT_ENCODING && is_compressed {
            return Err(invalid(
                "header `content-encoding` is the host's when it compresses the body",
            ));
        }
        // What can be decoded is the host's to say; clients of other languages set it without being asked.
        if name != ACCEPT_ENCODING {
            checked.push((name, value));
        }
    }
    Ok(checked)
}

/// A header name that a component may set.
fn header_name(name: &str, filler: &Filler) -> Result<HeaderName, HttpError> {
    filler.refuse_in("name of a header", name.as_bytes())?;
    let parsed = HeaderName::from_bytes(name.as_bytes());
    let parsed =
        parsed.map_err(|_| invalid(format!("`{}` is not a header name", shortened(name))))?;
    if FORBIDDEN.contains(&parsed.as_str()) || parsed.as_str().starts_with("proxy-") {
        return Err(invalid(format!(
            "header `{parsed}` is the host's; leave it out"
        )));
    }
    Ok(parsed)
}

/// A component's text for a message: without control characters, and not all of it.
fn shortened(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_debug).collect()
}

fn check_auth(auth: &Auth, filler: &Filler) -> Result<(), HttpError> {
    match auth {
        Auth::Basic(..) | Auth::Bearer(_) => Ok(()),
        Auth::Header(name, _) => header_name(name, filler).map(drop),
        Auth::Query(name, _) => filler.refuse_in("name of a query parameter", name.as_bytes()),
        Auth::HmacSha256 {
            header_name: name,
            prefix,
            ..
        } => {
            filler.refuse_in("prefix of the signature", prefix.as_bytes())?;
            header_name(name, filler).map(drop)
        }
    }
}

/// A header's value with its secrets. A client of another language may have made the Basic credential itself.
fn filled_header(name: &HeaderName, value: &str, filler: &Filler) -> Result<String, HttpError> {
    if name == AUTHORIZATION
        && let Some((scheme, token)) = value.split_once(' ')
        && scheme.eq_ignore_ascii_case("basic")
        && let Ok(decoded) = STANDARD.decode(token.trim())
        && let Ok(decoded) = String::from_utf8(decoded)
    {
        return Ok(format!(
            "{scheme} {}",
            STANDARD.encode(filler.fill_plain(&decoded).as_bytes())
        ));
    }
    Ok(filler.fill_plain(value).into_owned())
}

/// Every value is marked as sensitive: it may hold a secret, and HTTP/2 must then not keep it in its table.
fn header_value(name: &str, value: &str) -> Result<HeaderValue, HttpError> {
    let mut parsed = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| {
        invalid(format!(
            "the value of header `{name}` has a control character"
        ))
    })?;
    parsed.set_sensitive(true);
    Ok(parsed)
}

fn authorize(
    auth: &Auth,
    headers: &mut HeaderMap,
    url: &mut Url,
    signed: &[u8],
    filler: &Filler,
) -> Result<(), HttpError> {
    match auth {
        Auth::Basic(user, password) => {
            let user = filler.fill_plain(user);
            if user.contains(':') {
                return Err(invalid("the user of basic auth has a colon"));
            }
            let token = STANDARD.encode(format!("{user}:{}", filler.fill_plain(password)));
            headers.insert(
                AUTHORIZATION,
                header_value("authorization", &format!("Basic {token}"))?,
            );
        }
        Auth::Bearer(token) => {
            let value = format!("Bearer {}", filler.fill_plain(token));
            headers.insert(AUTHORIZATION, header_value("authorization", &value)?);
        }
        Auth::Header(name, value) => {
            let name = header_name(name, filler)?;
            let value = header_value(name.as_str(), &filler.fill_plain(value))?;
            headers.insert(name, value);
        }
        Auth::Query(name, value) => {
            let pair = format!(
                "{}={}",
                fill::percent_encoded(name),
                fill::percent_encoded(&filler.fill_plain(value))
            );
            let query = match url.query() {
                Some(query) if !query.is_empty() => format!("{query}&{pair}"),
                _ => pair,
            };
            url.set_query(Some(&query));
        }
        Auth::HmacSha256 {
            key,
            header_name: name,
            prefix,
        } => {
            let name = header_name(name, filler)?;
            let mut mac = Hmac::<Sha256>::new_from_slice(filler.fill_plain(key).as_bytes())
                .map_err(|_| invalid("the key of the signature cannot be used"))?;
            mac.update(signed);
            let digest: String = mac
                .finalize()
                .into_bytes()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            let value = header_value(name.as_str(), &format!("{prefix}{digest}"))?;
            headers.insert(name, value);
        }
    }
    Ok(())
}

/// The fast levels: telemetry is repetitive, and CPU is what the host pays with.
fn compressed(body: &[u8], compression: Compression) -> io::Result<Bytes> {
    let out = Vec::with_capacity(body.len() / 4);
    let level = flate2::Compression::fast();
    let out = match compression {
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(out, level);
            encoder.write_all(body)?;
            encoder.finish()?
        }
        Compression::Deflate => {
            let mut encoder = flate2::write::ZlibEncoder::new(out, level);
            encoder.write_all(body)?;
            encoder.finish()?
        }
        Compression::Zstd => zstd::bulk::compress(body, 1)?,
    };
    Ok(out.into())
}
