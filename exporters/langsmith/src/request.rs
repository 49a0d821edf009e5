//! URLs, headers and bodies, and what LangSmith's replies mean. Sources: langsmith-sdk `client.py` and
//! `_internal/_operations.py`, LangSmith's pages on rate limits (read 2026-11).

use std::cell::Cell;
use std::time::Duration;

use mastra_exporter_sdk::http::{HttpError, Request, Response};
use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::outcome::{Fate, SendResult, Statuses};

use crate::config::Config;
use crate::wire::{Feedback, Form, Run};

/// 409 says that the run or feedback is there already.
const STATUSES: Statuses = Statuses::with(&[(409, 409, Fate::Delivered)]);

/// How long one call sends feedback one by one; what is left comes with the next call.
const SINGLE_BUDGET: Duration = Duration::from_secs(10);

/// How long to wait when a limit does not say. The limit of a minute is the shortest; a plan's is counted by the hour.
const LIMIT_WAIT: Duration = Duration::from_secs(60);

/// Sends runs and feedback; knows whether the server takes forms.
#[derive(Debug)]
pub struct Client {
    config: Config,
    takes_forms: Cell<bool>,
}

impl Client {
    /// A client that believes in forms until it is told otherwise.
    #[must_use]
    pub const fn new(config: Config) -> Self {
        Self {
            config,
            takes_forms: Cell::new(true),
        }
    }

    /// The settings.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Sends runs: as a form, or as a batch to a server that has no forms.
    #[must_use]
    pub fn runs(&self, runs: &[Run<'_>]) -> SendResult {
        let form = || {
            let mut form = Form::default();
            for run in runs {
                run.write_parts(&mut form);
            }
            form
        };
        if let Some(reply) = self.form(form) {
            return fate(&reply);
        }
        let mut body = JsonText::default();
        body.raw("{\"post\":")
            .array(runs, |text, run| run.write(text));
        body.raw("}");
        fate(&self.post("/runs/batch").json(body).send())
    }

    /// Sends feedback: as a form, or one by one to a server that has no forms.
    #[must_use]
    pub fn feedback(&self, items: &[Feedback<'_>]) -> SendResult {
        let form = || {
            let mut form = Form::default();
            for item in items {
                let mut text = JsonText::default();
                item.write(&mut text);
                form.part(&format!("feedback.{}", item.id), text.as_bytes());
            }
            form
        };
        if let Some(reply) = self.form(form) {
            return fate(&reply);
        }
        let mut is_limited = false;
        let result = STATUSES.one_by_one(items, SINGLE_BUDGET, |item| {
            let mut body = JsonText::default();
            item.write(&mut body);
            let reply = self.post("/feedback").json(body).send();
            is_limited = is_silent_limit(&reply);
            reply
        });
        if is_limited {
            result.not_before(Some(LIMIT_WAIT))
        } else {
            result
        }
    }

    /// The reply to a form; `None` when the server has none, now or before.
    fn form(&self, form: impl FnOnce() -> Form) -> Option<Result<Response, HttpError>> {
        if !self.takes_forms.get() {
            return None;
        }
        let request = self.post("/runs/multipart");
        let reply = request.bytes(&Form::content_type(), form().end()).send();
        if reply.as_ref().is_ok_and(|response| response.status == 404) {
            self.takes_forms.set(false);
            return None;
        }
        Some(reply)
    }

    fn post(&self, path: &str) -> Request {
        let settings = &self.config.settings;
        let request = Request::post(format!("{}{path}", self.config.base))
            .headers(&settings.headers)
            .secret_header("x-api-key", &settings.api_key);
        match &settings.workspace_id {
            Some(id) => request.header("x-tenant-id", id.as_str()),
            None => request,
        }
    }
}

fn fate(reply: &Result<Response, HttpError>) -> SendResult {
    let result = STATUSES.batch(reply);
    if is_silent_limit(reply) {
        result.not_before(Some(LIMIT_WAIT))
    } else {
        result
    }
}

/// Whether a limit is reached and the reply does not say for how long.
fn is_silent_limit(reply: &Result<Response, HttpError>) -> bool {
    reply
        .as_ref()
        .is_ok_and(|response| response.status == 429 && response.retry_after.is_none())
}
