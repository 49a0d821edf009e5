//! What a component's page is asked and answers (`page.render`). A guest's answer is input like any other.

use super::bindings::exported::page as wit;
use super::limits::short;
use super::outcome::CallError;

/// Longer pages are refused. A scrape of ten thousand series is a tenth of it.
pub const MAX_PAGE_BYTES: usize = 8 << 20;

/// Longer content types are refused.
const MAX_CONTENT_TYPE_BYTES: usize = 256;

/// `page.page-request`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageRequest {
    /// Without the leading slash and without the query.
    pub path: String,
    /// The raw query, without `?`.
    pub query: String,
    /// The `Accept` header.
    pub accept: Option<String>,
}

/// `page.page-response`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageResponse {
    /// HTTP status, 200 to 599.
    pub status: u16,
    /// A type, as RFC 9110 wants header values: visible ASCII and single spaces.
    pub content_type: String,
    /// At most [`MAX_PAGE_BYTES`].
    pub body: Vec<u8>,
}

impl PageRequest {
    pub(super) fn lower(&self) -> wit::PageRequest<'_> {
        wit::PageRequest {
            path: &self.path,
            query: &self.query,
            accept: self.accept.as_deref(),
        }
    }
}

/// Checks and converts a page.
///
/// # Errors
/// [`CallError::Contract`] if it cannot be served.
pub(super) fn checked(answer: wit::PageResponse) -> Result<PageResponse, CallError> {
    let wit::PageResponse {
        status,
        content_type,
        body,
    } = answer;
    let refused = |what: String| Err(CallError::Contract(what));
    if !(200..600).contains(&status) {
        return refused(format!("a page of status {status}"));
    }
    let is_plain = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    let is_type = content_type.len() <= MAX_CONTENT_TYPE_BYTES
        && content_type.contains('/')
        && content_type.trim() == content_type
        && content_type.bytes().all(is_plain);
    if !is_type {
        return refused(format!("a page of content type {:?}", short(&content_type)));
    }
    if body.len() > MAX_PAGE_BYTES {
        return refused(format!(
            "a page of {} bytes; {MAX_PAGE_BYTES} are served",
            body.len()
        ));
    }
    Ok(PageResponse {
        status,
        content_type,
        body,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(status: u16, content_type: &str, bytes: usize) -> Result<PageResponse, CallError> {
        checked(wit::PageResponse {
            status,
            content_type: content_type.to_owned(),
            body: vec![b'x'; bytes],
        })
    }

    #[test]
    fn page_is_served_only_as_http_can() {
        let plain = "text/plain; version=0.0.4; charset=utf-8";
        assert_eq!(page(200, plain, 3).unwrap().content_type, plain);
        assert!(page(404, "application/json", MAX_PAGE_BYTES).is_ok());
        for (status, content_type, bytes) in [
            (199, plain, 1),
            (600, plain, 1),
            (0, plain, 1),
            (200, "", 1),
            (200, "text", 1),
            (200, " text/plain", 1),
            (200, "text/plain\r\nset-cookie: a=b", 1),
            (200, "text/pläin", 1),
            (200, plain, MAX_PAGE_BYTES + 1),
        ] {
            let answer = page(status, content_type, bytes);
            assert!(
                matches!(answer, Err(CallError::Contract(_))),
                "{status} {content_type:?} {bytes}"
            );
        }
    }
}
