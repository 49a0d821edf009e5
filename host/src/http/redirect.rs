//! What a 3xx answer means. Pure; the client follows, after a new policy check.
//!
//! Methods as in RFC 9110 15.4, where it leaves a choice the one that loses no data:
//! - 307 and 308: the same request again, body included.
//! - 303: a `GET` without body; the request itself was processed.
//! - 301 and 302: `GET`, and `DELETE` without body, again. A request with a body is answered with the redirect itself:
//!   browsers would turn it into a `GET`, and a page that answers 200 would pass for a delivery.
//!
//! Credentials: a redirect is only ever followed to a granted origin, and there headers and `auth` are the component's
//! own again, filled in anew, as if the component had asked for that URL. The query is the server's: nothing is filled
//! in there, and the one of the first request is not carried over. From `https` to `http` no redirect is followed.

use reqwest::{Method, StatusCode};
use url::Url;

/// A component's request is sent at most this often beyond the first.
pub(super) const MAX_REDIRECTS: usize = 5;

/// What to do with a response.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It is the component's.
    Answer,
    /// Ask there.
    Follow {
        /// Without fragment.
        url: Url,
        /// Whether method and body stay; otherwise `GET` without body.
        is_same_request: bool,
    },
    /// It points from `https` to `http`.
    Downgrade,
}

/// Decides on a response. `location` is the header's value, if it was text.
pub(super) fn next(
    status: StatusCode,
    method: &Method,
    has_body: bool,
    from: &Url,
    location: Option<&str>,
) -> Next {
    let is_same_request = match status.as_u16() {
        307 | 308 => true,
        303 => method == Method::GET,
        301 | 302 if !has_body && (method == Method::GET || method == Method::DELETE) => true,
        _ => return Next::Answer,
    };
    let Some(mut url) = location.and_then(|location| from.join(location).ok()) else {
        return Next::Answer;
    };
    url.set_fragment(None);
    if from.scheme() == "https" && url.scheme() == "http" {
        return Next::Downgrade;
    }
    Next::Follow {
        url,
        is_same_request,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(status: u16, method: &str, has_body: bool, location: Option<&str>) -> Next {
        let from = Url::parse("https://a.example/in/put?key=1#f").unwrap();
        next(
            StatusCode::from_u16(status).unwrap(),
            &method.parse().unwrap(),
            has_body,
            &from,
            location,
        )
    }

    fn follow(url: &str, is_same_request: bool) -> Next {
        Next::Follow {
            url: Url::parse(url).unwrap(),
            is_same_request,
        }
    }

    #[test]
    fn a_body_is_sent_again_only_for_307_and_308() {
        for status in [307, 308] {
            assert_eq!(
                decide(status, "POST", true, Some("/x")),
                follow("https://a.example/x", true)
            );
        }
        for status in [301, 302] {
            for method in ["POST", "PUT", "PATCH", "DELETE"] {
                assert_eq!(
                    decide(status, method, true, Some("/x")),
                    Next::Answer,
                    "{status} {method}"
                );
            }
        }
    }

    #[test]
    fn see_other_is_a_get() {
        for method in ["POST", "PUT", "DELETE"] {
            assert_eq!(
                decide(303, method, true, Some("/x")),
                follow("https://a.example/x", false)
            );
        }
    }

    #[test]
    fn requests_without_body_follow() {
        for status in [301, 302, 303, 307, 308] {
            assert_eq!(
                decide(status, "GET", false, Some("/x")),
                follow("https://a.example/x", true),
                "{status}"
            );
        }
        assert_eq!(
            decide(302, "DELETE", false, Some("/x")),
            follow("https://a.example/x", true)
        );
        assert_eq!(
            decide(302, "POST", false, Some("/x")),
            Next::Answer,
            "a write must not become a read"
        );
    }

    #[test]
    fn locations_are_relative_to_the_request() {
        assert_eq!(
            decide(307, "POST", true, Some("out?b=2#g")),
            follow("https://a.example/in/out?b=2", true)
        );
        assert_eq!(
            decide(307, "POST", true, Some("//b.example/x")),
            follow("https://b.example/x", true)
        );
    }

    #[test]
    fn what_points_nowhere_is_the_answer() {
        assert_eq!(decide(307, "POST", true, None), Next::Answer);
        assert_eq!(decide(307, "POST", true, Some("https://[")), Next::Answer);
        for status in [200, 300, 304, 305, 306, 399, 400] {
            assert_eq!(decide(status, "GET", false, Some("/x")), Next::Answer);
        }
    }

    #[test]
    fn no_redirect_leaves_tls() {
        assert_eq!(
            decide(307, "POST", true, Some("http://a.example/x")),
            Next::Downgrade
        );
    }
}
