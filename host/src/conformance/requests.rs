//! What was sent over the whole test, and where to: hosts, placeholders, secrets.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::scorecard::{Group, Judgement, Scorecard};
use super::sight::Secrets;
use super::subject::{Delivery, Subject};
use crate::event::Signal;
use crate::http::message::HttpError;
use crate::http::secrets::PLACEHOLDER_PREFIX;
use crate::plugin::outcome::{ItemResult, SendOutcome};

/// What has been seen so far.
#[derive(Default)]
pub(super) struct Watch {
    requests: usize,
    /// Whether anything left the component, by whatever way.
    has_left: bool,
    denied: BTreeSet<String>,
    invalid: BTreeSet<String>,
    /// Places in which a placeholder was left standing.
    leaks: BTreeSet<String>,
    /// Places in which a reason shows a placeholder.
    told: BTreeSet<String>,
    used: BTreeSet<String>,
}

impl Watch {
    /// Takes a delivery in.
    pub(super) fn look(&mut self, subject: &Subject, signal: Signal, delivery: &Delivery) {
        for refused in &delivery.refused {
            match refused {
                HttpError::Denied(reason) => self.denied.insert(reason.clone()),
                other => self.invalid.insert(other.to_string()),
            };
        }
        let secrets = Secrets::of(subject);
        for request in &delivery.requests {
            let used = secrets.in_request(request);
            self.used.extend(used.into_iter().map(str::to_owned));
            if shows_placeholder(request.url.as_bytes()) {
                self.leaks.insert("the URL".to_owned());
            }
            for (name, value) in &request.headers {
                if shows_placeholder(value.as_bytes()) {
                    self.leaks.insert(format!("the header `{name}`"));
                }
            }
            if shows_placeholder(&request.body) {
                self.leaks.insert("the body".to_owned());
            }
        }
        self.requests += delivery.requests.len();
        self.has_left |= delivery.has_left();
        if shows_placeholder(delivery.lines.as_bytes()) {
            self.leaks.insert("the output".to_owned());
        }
        let mut rows = delivery.rows.iter();
        if rows.any(|(_, row)| shows_placeholder(row.content.as_bytes())) {
            self.leaks.insert("the store".to_owned());
        }
        if let Ok(answer) = &delivery.answer {
            let of_batch = match &answer.outcome {
                SendOutcome::Isolate(reason)
                | SendOutcome::Unauthorized(reason)
                | SendOutcome::Partial { reason, .. } => Some(reason),
                _ => None,
            };
            let of_items = answer.fates.iter().filter_map(|fate| match fate {
                ItemResult::Skipped(reason)
                | ItemResult::Retry(reason)
                | ItemResult::Rejected(reason) => Some(reason),
                ItemResult::Delivered | ItemResult::Held => None,
            });
            let mut reasons = of_batch.into_iter().chain(of_items);
            if reasons.any(|reason| shows_placeholder(reason.as_bytes())) {
                self.told.insert(signal.name().to_owned());
            }
        }
    }

    /// Judges what was seen.
    pub(super) fn check(&self, subject: &Subject, card: &mut Scorecard) {
        let mut add = |name: &str, judgement| card.add(Group::Requests, None, name, judgement);
        let listed =
            |texts: &BTreeSet<String>| texts.iter().cloned().collect::<Vec<_>>().join("; ");
        add(
            "something is sent",
            if self.has_left || subject.keeps_state() {
                Judgement::pass(format!("{} requests", self.requests))
            } else {
                Judgement::fail(
                    "nothing left the component for any event: most of it could not be tried",
                    "give the settings that it needs with --set NAME=VALUE",
                )
            },
        );
        add(
            "hosts that it asked for",
            if self.denied.is_empty() {
                Judgement::pass("none was denied")
            } else {
                Judgement::fail(
                    listed(&self.denied),
                    "ask for the host in `hosts`, or do not send there",
                )
            },
        );
        add(
            "well formed",
            if self.invalid.is_empty() {
                Judgement::pass("the host could send every request")
            } else {
                Judgement::fail(
                    listed(&self.invalid),
                    "mend the request; placeholders are filled in in header values, query values and JSON bodies",
                )
            },
        );
        add("placeholders", self.placeholders(&listed));
        let secrets = Secrets::of(subject);
        let is_unused = |name: &&str| !self.used.contains(*name);
        let unused: Vec<&str> = secrets.names().into_iter().filter(is_unused).collect();
        if self.requests > 0 && !secrets.names().is_empty() {
            add(
                "secrets are used",
                if unused.is_empty() {
                    Judgement::pass("each secret setting was sent")
                } else {
                    Judgement::warn(
                        format!("never sent: {}", unused.join(", ")),
                        "send it, or leave the setting out",
                    )
                },
            );
        }
    }

    fn placeholders(&self, listed: &dyn Fn(&BTreeSet<String>) -> String) -> Judgement {
        if !self.leaks.is_empty() {
            return Judgement::fail(
                format!("a placeholder was left standing in {}", listed(&self.leaks)),
                "hand placeholders on as they are: the host does not find one that is encoded or in a compressed body",
            );
        }
        if !self.told.is_empty() {
            return Judgement::warn(
                format!("a reason shows a placeholder ({})", listed(&self.told)),
                "reasons are for people: leave settings out of them",
            );
        }
        Judgement::pass("none was left standing")
    }
}

/// Whether a placeholder is in there, as it is or in Base64 at any of the three offsets.
fn shows_placeholder(bytes: &[u8]) -> bool {
    let contains = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    let plain = PLACEHOLDER_PREFIX.as_bytes();
    if contains(plain) {
        return true;
    }
    // Of the prefix 12 bytes are whole groups of three at each offset, which Base64 spells alike.
    (0..3).any(|offset| {
        let inner = plain.get(offset..offset + 9);
        inner.is_some_and(|inner| contains(STANDARD.encode(inner).as_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_is_found_in_base64_whatever_stands_before_it() {
        let placeholder = format!("{PLACEHOLDER_PREFIX}key.0123");
        assert!(shows_placeholder(placeholder.as_bytes()));
        for before in ["", "a", "ab", "abc", "abcd"] {
            let encoded = STANDARD.encode(format!("{before}{placeholder}"));
            assert!(shows_placeholder(encoded.as_bytes()), "{before}");
        }
        assert!(!shows_placeholder(b"mastra-sec mastra.secret"));
    }
}
