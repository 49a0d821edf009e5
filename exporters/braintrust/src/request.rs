//! URLs, headers and bodies, and what Braintrust's replies mean. Sources: braintrust-openapi `spec.json`, the SDK's
//! `logger.py` (read 2026-11).

use std::cell::RefCell;

use mastra_exporter_sdk::http::{HttpError, Request, Response};
use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::outcome::{Fate, ItemResult, SendOutcome, SendResult, Statuses};
use mastra_exporter_sdk::raw::{member, text as json_text};

use crate::config::{Config, Home};

/// A project or experiment that is not there: an operator has to act, so that the exporter pauses and nothing is lost.
const STATUSES: Statuses = Statuses::with(&[(404, 404, Fate::Unauthorized)]);

/// Sends rows and feedback to where the settings say; finds the project once.
#[derive(Debug)]
pub struct Client {
    config: Config,
    /// Id of the project, once it is known.
    project: RefCell<Option<String>>,
}

impl Client {
    /// A client that knows no project yet.
    #[must_use]
    pub const fn new(config: Config) -> Self {
        Self {
            config,
            project: RefCell::new(None),
        }
    }

    /// Sends `{"events": ...}`.
    #[must_use]
    pub fn rows(&self, body: JsonText) -> SendResult {
        self.at_home(|kind, id| {
            let url = format!("{}/v1/{kind}/{id}/insert", self.config.base);
            self.post(url, body)
        })
    }

    /// Sends `{"events": ..., "feedback": ...}` in one request.
    #[must_use]
    pub fn judgements(&self, content: &JsonText) -> SendResult {
        self.at_home(|kind, id| {
            let mut body = JsonText::with_capacity(content.len() + 100);
            let mut object = body.object();
            let mut by_id = object.key(kind).object();
            by_id.raw(id, content.as_str());
            by_id.end();
            object.end();
            self.post(format!("{}/v1/insert", self.config.base), body)
        })
    }

    /// One write, at the project or experiment; both are spelled the same in paths and bodies.
    fn at_home(&self, send: impl FnOnce(&str, &str) -> Request) -> SendResult {
        let (kind, id) = match &self.config.home {
            Home::Experiment(id) => ("experiment", id.clone()),
            Home::Project(id) => ("project_logs", id.clone()),
            Home::NamedProject(name) => match self.project(name) {
                Ok(id) => ("project_logs", id),
                Err(result) => return result,
            },
        };
        let reply = send(kind, &id).send();
        if reply.as_ref().is_ok_and(|response| response.status == 404) {
            self.project.replace(None);
        }
        STATUSES.batch(&reply)
    }

    /// The project's id; Braintrust makes the project when there is none of the name.
    fn project(&self, name: &str) -> Result<String, SendResult> {
        if let Some(id) = self.project.borrow().as_ref() {
            return Ok(id.clone());
        }
        let mut body = JsonText::default();
        let mut object = body.object();
        object.string("name", name);
        let organization = self.config.settings.org_name.as_ref();
        object.string_if("org_name", organization.filter(|name| !name.is_empty()));
        object.end();
        let reply = self
            .post(format!("{}/v1/project", self.config.base), body)
            .send();
        let id = project_id(&reply)?;
        self.project.replace(Some(id.clone()));
        Ok(id)
    }

    fn post(&self, url: String, body: JsonText) -> Request {
        Request::post(url)
            .json(body)
            .headers(&self.config.settings.headers)
            .bearer(&self.config.settings.api_key)
            .gzip()
    }
}

/// The id in the reply. No item is at fault when there is none: what may pass is tried again; a refusal pauses, since an
/// operator has to act.
fn project_id(reply: &Result<Response, HttpError>) -> Result<String, SendResult> {
    let Ok(response) = reply else {
        return Err(STATUSES.batch(reply));
    };
    let again = |why: &str| Err(SendResult::all(ItemResult::Retry(why.to_owned())));
    let status = response.status;
    match STATUSES.fate(status) {
        Fate::Delivered => member(response.text(), "id")
            .and_then(json_text)
            .map(std::borrow::Cow::into_owned)
            .filter(|id| !id.is_empty())
            .map_or_else(|| again("the reply names no project"), Ok),
        Fate::Retry => Err(STATUSES.batch(reply)),
        // A name and nothing else is not too large: something on the way does not take it now.
        Fate::TooLarge => again("the question for the project was answered with status 413"),
        Fate::Unauthorized if matches!(status, 401 | 403) => Err(STATUSES.batch(reply)),
        Fate::Unauthorized | Fate::Isolate | Fate::Rejected => {
            Err(SendResult::of(SendOutcome::Unauthorized(format!(
                "the project is refused with status {status}: check project_name, org_name and endpoint"
            ))))
        }
    }
}
