//! The caps on what one exporter may send, receive and keep in flight.

use std::time::Duration;

/// Caps of one exporter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of a request body as the component gives it, bytes.
    pub max_request_bytes: usize,
    /// Of all request headers as the component gives them, names and values, bytes.
    pub max_request_header_bytes: usize,
    /// The number of request headers that a component may give.
    pub max_request_headers: usize,
    /// Of a response body after decoding, bytes.
    pub max_response_bytes: usize,
    /// Of all response headers, names and values, bytes.
    pub max_response_header_bytes: usize,
    /// Of name lookup, TCP, proxy and TLS together. What is over it is proven not to have been sent.
    pub connect_timeout: Duration,
    /// Of a whole request: waiting for a place in flight, connecting, redirects, the last byte of the response.
    pub timeout: Duration,
    /// Requests at a time; more wait.
    pub max_in_flight: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // The biggest batch limit of a backend we know is 25 MB (Datadog's spans); an escape can double it.
            max_request_bytes: 64 << 20,
            // Servers refuse more than 8 to 32 KiB.
            max_request_header_bytes: 64 << 10,
            // Servers refuse more than 100 to 200, and a map of headers has room for 24,576 at most.
            max_request_headers: 256,
            // Partial failures are answered with an entry an item.
            max_response_bytes: 8 << 20,
            max_response_header_bytes: 64 << 10,
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            max_in_flight: 16,
        }
    }
}
