//! LangSmith's ingest API as its cloud serves it, and stricter where the real one would lose data in silence after its 202.
//!
//! Serves runs and feedback as forms, runs as a JSON batch, and single feedback; without forms for an older server. Refuses
//! wrong keys, other media types and codings, bodies over the documented size, parts without their length, and runs whose
//! `dotted_order` disagrees with their ids and start. A run that is there already is answered with 409. Sources:
//! langchain-ai/langsmith-sdk @bc8dd672 `openapi/openapi.yaml`, PyPI langsmith 0.15.0 `_internal/_operations.py` (read 2026-11).
//!
//! Used by the langsmith exporter's tests and the end-to-end tests.

mod form;
mod runs;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;

use serde_json::{Value, json};

use super::{Answer, Fake, Request, Stored, lock};

/// Runs and feedback as forms.
pub const FORMS: &str = "/runs/multipart";
/// Runs as JSON.
pub const BATCH: &str = "/runs/batch";
/// One piece of feedback as JSON.
pub const FEEDBACK: &str = "/feedback";

/// Kind of a stored run.
pub const RUN: &str = "run";
/// Kind of stored feedback.
pub const VERDICT: &str = "feedback";

/// The fake.
#[derive(Debug)]
pub struct LangSmith {
    /// Value of the header `x-api-key`.
    pub api_key: String,
    /// Whether it serves [`FORMS`].
    pub takes_forms: bool,
    /// Largest decoded body, as `GET /info` tells it.
    pub max_body_bytes: usize,
    known: Mutex<HashSet<String>>,
}

impl Default for LangSmith {
    fn default() -> Self {
        Self {
            api_key: "lsv2_pt_test".to_owned(),
            takes_forms: true,
            max_body_bytes: 20_971_520,
            known: Mutex::default(),
        }
    }
}

impl LangSmith {
    /// What every endpoint asks of a request before its body is looked at.
    fn admit(&self, request: &Request, media_type: &str) -> Result<(), Answer> {
        if request.method != "POST" {
            return Err(refuse(405, format!("{} is not served", request.method)));
        }
        if request.header("x-api-key") != Some(self.api_key.as_str()) {
            return Err(refuse(401, "Invalid token".to_owned()));
        }
        if let Some(encoding) = request.header("content-encoding") {
            return Err(refuse(
                415,
                format!("content-encoding {encoding:?} is not served"),
            ));
        }
        if request.body.len() > self.max_body_bytes {
            return Err(refuse(
                413,
                format!("body is larger than {} bytes", self.max_body_bytes),
            ));
        }
        if request.media_type().as_deref() != Some(media_type) {
            let given = request.header("content-type");
            return Err(refuse(
                422,
                format!("content-type {given:?} is not {media_type}"),
            ));
        }
        Ok(())
    }

    fn json(&self, request: &Request) -> Result<Value, Answer> {
        self.admit(request, "application/json")?;
        request
            .json()
            .map_err(|error| refuse(422, format!("{error:#}")))
    }

    fn batch(&self, request: &Request) -> Result<Answer, Answer> {
        let body = self.json(request)?;
        let posted = runs::batch(&body).map_err(|reason| refuse(422, reason))?;
        self.store(posted)
    }

    fn feedback(&self, request: &Request) -> Result<Answer, Answer> {
        let body = self.json(request)?;
        let stored = runs::feedback(&body).map_err(|reason| refuse(422, reason))?;
        Ok(Answer::json(200, &body).with_stored(vec![stored]))
    }

    fn forms(&self, request: &Request) -> Result<Answer, Answer> {
        if !self.takes_forms {
            return Err(refuse(404, format!("{FORMS} is not served")));
        }
        self.admit(request, "multipart/form-data")?;
        let parts = form::parts(request).map_err(|reason| refuse(422, reason))?;
        let stored = records(parts).map_err(|reason| refuse(422, reason))?;
        self.store(stored)
    }

    /// 409 when all of it is there already.
    fn store(&self, records: Vec<Stored>) -> Result<Answer, Answer> {
        let mut known = lock(&self.known);
        let is_new = |record: &Stored| record.kind == VERDICT || !known.contains(&record.id);
        let new: Vec<Stored> = records.into_iter().filter(is_new).collect();
        if new.is_empty() {
            return Err(refuse(409, "payload already received".to_owned()));
        }
        known.extend(new.iter().map(|record| record.id.clone()));
        Ok(Answer::json(202, &json!({"message": "Runs batch ingested"})).with_stored(new))
    }
}

/// The runs and feedback of a form.
fn records(parts: Vec<(String, Value)>) -> Result<Vec<Stored>, String> {
    let mut posted: BTreeMap<String, Value> = BTreeMap::new();
    let mut stored = Vec::new();
    for (name, value) in parts {
        let steps: Vec<&str> = name.split('.').collect();
        match steps.as_slice() {
            ["post", id] => {
                runs::head(id, &value)?;
                if posted.insert((*id).to_owned(), value).is_some() {
                    return Err(format!("run {id} comes twice"));
                }
            }
            [
                "post",
                id,
                part @ ("inputs" | "outputs" | "events" | "extra" | "error" | "serialized"),
            ] => {
                let run = posted.get_mut(*id);
                let run = run.ok_or_else(|| format!("part {name:?} comes before its run"))?;
                if let Some(run) = run.as_object_mut() {
                    run.insert((*part).to_owned(), value);
                }
            }
            ["feedback", id] => {
                let record = runs::feedback(&value)?;
                if record.id != *id {
                    return Err(format!("part {name:?} holds feedback {}", record.id));
                }
                stored.push(record);
            }
            _ => return Err(format!("part {name:?} is not known")),
        }
    }
    for run in posted.values() {
        stored.push(runs::run(run)?);
    }
    if stored.is_empty() {
        return Err("the form has no parts".to_owned());
    }
    Ok(stored)
}

impl Fake for LangSmith {
    fn answer(&self, request: &Request) -> Answer {
        let answer = match request.path.as_str() {
            FORMS => self.forms(request),
            BATCH => self.batch(request),
            FEEDBACK => self.feedback(request),
            path => Err(refuse(404, format!("{path} is not served"))),
        };
        answer.unwrap_or_else(|refusal| refusal)
    }
}

fn refuse(status: u16, reason: String) -> Answer {
    let body = json!({"detail": reason});
    Answer::refusal(status, reason, &body)
}
