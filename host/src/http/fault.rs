//! What went wrong on the way: the library's errors as the contract's, with honest words on whether the request left.
//!
//! Only an error while connecting proves that nothing was sent: the connection (name, TCP, proxy, TLS) comes first, and
//! the request is handed to it afterwards. Every other error leaves it open.

use std::error::Error;

use super::dial::ResolveError;
use super::limits::Limits;
use super::message::HttpError;
use super::scrub::Scrubber;

/// An error of sending a request and waiting for its response head.
pub(super) fn of_sending(error: reqwest::Error, limits: &Limits, scrubber: &Scrubber) -> HttpError {
    let error = error.without_url();
    if let Some(denied) = denied_in(&error) {
        return HttpError::Denied(scrubber.scrub_text(&denied).into_owned());
    }
    if find::<hyper::Error>(&error).is_some_and(hyper::Error::is_parse_too_large) {
        return HttpError::ResponseTooLarge {
            limit_bytes: limits.max_response_header_bytes,
        };
    }
    let text = || scrubber.scrub_text(&causes(&error)).into_owned();
    if error.is_connect() {
        HttpError::Unreachable(text())
    } else if error.is_builder() {
        HttpError::Invalid(text())
    } else if error.is_timeout() {
        HttpError::TimedOut
    } else {
        HttpError::Interrupted(text())
    }
}

/// An error of reading the response body.
pub(super) fn of_reading(error: reqwest::Error, scrubber: &Scrubber) -> HttpError {
    let error = error.without_url();
    if error.is_timeout() {
        return HttpError::TimedOut;
    }
    HttpError::Interrupted(scrubber.scrub_text(&causes(&error)).into_owned())
}

fn denied_in(error: &reqwest::Error) -> Option<String> {
    match find::<ResolveError>(error)? {
        ResolveError::Denied(denied) => Some(denied.to_string()),
        ResolveError::Failed { .. } | ResolveError::Nothing { .. } => None,
    }
}

fn find<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    chain(error).find_map(|cause| cause.downcast_ref())
}

/// An error and its causes, outermost first.
fn chain<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}

/// The texts of an error and its causes. Outer errors that only repeat their cause are left out.
pub(super) fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    for cause in chain(error).map(ToString::to_string) {
        if text.contains(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    text
}
