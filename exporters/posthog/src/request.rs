//! URLs, headers and bodies, and what PostHog's replies mean. Sources: PyPI posthog 7.91.1 (`request.py`, `consumer.py`),
//! posthog-node, posthog.com's pages on capture and on AI observability (read 2026-11).

use std::cell::Cell;
use std::time::Duration;

use mastra_exporter_sdk::http::{HttpError, Request, Response};
use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::outcome::{Fate, ItemResult, SendOutcome, SendResult, Statuses};
use mastra_exporter_sdk::raw::{elements, inside_quotes};
use mastra_llm::chat::object_member;

use crate::config::Config;
use crate::wire::Event;

/// 402: the plan is used up. An operator has to act; nothing is lost.
const STATUSES: Statuses = Statuses::with(&[(402, 402, Fate::Unauthorized)]);

/// How long to wait when the plan's events are used up; PostHog does not say for how long they are.
const QUOTA_WAIT: Duration = Duration::from_secs(300);

/// An endpoint for events, and the largest event that it stores. It answers 200 and drops larger ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Route {
    path: &'static str,
    max_event_bytes: usize,
}

/// For AI events, in the cloud.
const AI: Route = Route {
    path: "/i/v0/ai/batch/",
    max_event_bytes: 8 << 20,
};

/// For all events, everywhere.
const ANY: Route = Route {
    path: "/batch/",
    max_event_bytes: 900 << 10,
};

/// The events of one item, or why it is not sent.
pub type Item<'a> = Result<Vec<Event<'a>>, &'static str>;

/// Sends events and logs; knows whether the server has the route for AI events.
#[derive(Debug)]
pub struct Client {
    config: Config,
    has_ai_route: Cell<bool>,
}

impl Client {
    /// A client that believes in the route for AI events until it is told otherwise.
    #[must_use]
    pub const fn new(config: Config) -> Self {
        Self {
            config,
            has_ai_route: Cell::new(true),
        }
    }

    /// The settings.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Sends the events of items in one request.
    #[must_use]
    pub fn events(&self, items: &[Item<'_>]) -> SendResult {
        let texts: Vec<Result<String, &'static str>> = items
            .iter()
            .map(|item| {
                item.as_ref()
                    .map(|events| joined(events))
                    .map_err(|&reason| reason)
            })
            .collect();
        if self.has_ai_route.get() {
            let (result, is_there) = self.batch(AI, items, &texts);
            if is_there {
                return result;
            }
            self.has_ai_route.set(false);
        }
        self.batch(ANY, items, &texts).0
    }

    /// The fates of the items, and whether the route is there.
    fn batch(
        &self,
        route: Route,
        items: &[Item<'_>],
        texts: &[Result<String, &'static str>],
    ) -> (SendResult, bool) {
        let refusal = |(item, text): (&Item<'_>, &Result<String, &'static str>)| match (item, text)
        {
            (Ok(events), Ok(text)) if is_over(events, text, route) => Some(ItemResult::Rejected(
                "an event is larger than PostHog stores".to_owned(),
            )),
            (_, Err(reason)) => Some(ItemResult::Skipped((*reason).to_owned())),
            _ => None,
        };
        let refusals: Vec<Option<ItemResult>> = items.iter().zip(texts).map(refusal).collect();
        if refusals.iter().all(Option::is_some) {
            return (
                SendResult::each(refusals.into_iter().flatten().collect()),
                true,
            );
        }
        let mut body = JsonText::default();
        let mut object = body.object();
        object.string("api_key", &self.config.settings.api_key);
        let sent = texts
            .iter()
            .zip(&refusals)
            .filter(|(_, refusal)| refusal.is_none());
        object.key("batch").array(sent, |body, (text, _)| {
            body.raw(text.as_ref().map_or("", String::as_str));
        });
        object.end();
        let reply = self.post(route.path, body).send();
        if route == AI && reply.as_ref().is_ok_and(|response| response.status == 404) {
            return (STATUSES.batch(&reply), false);
        }
        (woven(fate(&reply), refusals), true)
    }

    /// Sends OTLP log records.
    #[must_use]
    pub fn logs(&self, body: JsonText, items: usize) -> SendResult {
        let request = self.post("/i/v1/logs", body);
        let reply = request.bearer(&self.config.settings.api_key).send();
        mastra_otlp::reply::batch(STATUSES, &reply, items)
    }

    fn post(&self, path: &str, body: JsonText) -> Request {
        Request::post(format!("{}{path}", self.config.base))
            .json(body)
            .headers(&self.config.settings.headers)
            .gzip()
    }
}

/// The events' texts with commas between them.
fn joined(events: &[Event<'_>]) -> String {
    let mut text = JsonText::default();
    for (place, event) in events.iter().enumerate() {
        if place > 0 {
            text.raw(",");
        }
        event.write(&mut text);
    }
    text.into_string()
}

/// Whether one of the events is larger than the route stores.
fn is_over(events: &[Event<'_>], text: &str, route: Route) -> bool {
    text.len() > route.max_event_bytes
        && events.iter().any(|event| {
            let mut text = JsonText::default();
            event.write(&mut text);
            text.len() > route.max_event_bytes
        })
}

/// 200 that says that the plan's events are used up has stored nothing.
fn fate(reply: &Result<Response, HttpError>) -> SendResult {
    match reply {
        Ok(response) if response.status < 300 && is_over_quota(response.text()) => {
            let reason = "the plan's events are used up".to_owned();
            SendResult::all(ItemResult::Retry(reason)).not_before(Some(QUOTA_WAIT))
        }
        _ => STATUSES.batch(reply),
    }
}

/// Whether a reply says that events were dropped because of the plan: `{"quota_limited": ["events"]}`.
fn is_over_quota(reply: &str) -> bool {
    let limited = object_member(reply, "quota_limited").unwrap_or("[]");
    elements(limited).any(|kind| inside_quotes(kind).is_some())
}

/// Puts the fates of what was sent between the refusals. An answer about the whole batch (too large, isolate, ...) stays
/// as it is: the host asks again with parts of it.
fn woven(result: SendResult, refusals: Vec<Option<ItemResult>>) -> SendResult {
    let SendOutcome::AllItems(fate) = &result.outcome else {
        return result;
    };
    if refusals.iter().all(Option::is_none) {
        return result;
    }
    let fates = refusals
        .into_iter()
        .map(|refusal| refusal.unwrap_or_else(|| fate.clone()));
    SendResult {
        outcome: SendOutcome::PerItem(fates.collect()),
        not_before: result.not_before,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_read_from_the_reply() {
        assert!(is_over_quota(
            r#"{"status":"Ok","quota_limited":["events"]}"#
        ));
        for fine in ["", "{}", r#"{"status":1}"#, r#"{"quota_limited":[]}"#] {
            assert!(!is_over_quota(fine), "{fine}");
        }
    }
}
