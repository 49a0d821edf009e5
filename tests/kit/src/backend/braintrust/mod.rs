//! Braintrust's data plane as its REST API serves it, and stricter where the real one would lose data in silence.
//!
//! Serves projects (get or make by name), rows of project logs and of one experiment, feedback on rows, the insert across
//! objects, and the SDK's own `/logs3`. Refuses wrong keys, other media types and codings, bodies over the SDK's size,
//! unknown projects, and rows that would replace what an earlier request stored. Sources: braintrustdata/braintrust-openapi
//! @b561b12d `openapi/spec.json`; PyPI braintrust 0.47.0 `logger.py` (read 2026-11).
//!
//! Used by the braintrust exporter's tests and the end-to-end tests.

mod rows;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::Mutex;

use serde_json::{Value, json};

use self::rows::{Definition, check};
use super::{Answer, Fake, Request, Stored, lock};

/// Projects.
pub const PROJECT: &str = "/v1/project";
/// The insert across objects.
pub const INSERT: &str = "/v1/insert";
/// What the official SDK sends to.
pub const LOGS3: &str = "/logs3";

/// Kind of a stored row.
pub const ROW: &str = "row";
/// Kind of stored feedback.
pub const FEEDBACK: &str = "feedback";
/// Kind of a project that was asked for.
pub const PROJECTS: &str = "project";

/// The fake.
#[derive(Debug)]
pub struct Braintrust {
    /// Bearer token.
    pub api_key: String,
    /// Id of the only project.
    pub project_id: String,
    /// Id of the only experiment.
    pub experiment_id: String,
    /// Largest decoded body: what the SDK keeps below.
    pub max_body_bytes: usize,
    rows: Mutex<HashSet<String>>,
}

impl Default for Braintrust {
    fn default() -> Self {
        Self {
            api_key: "sk-bt-test".to_owned(),
            project_id: "11111111-1111-4111-8111-111111111111".to_owned(),
            experiment_id: "22222222-2222-4222-8222-222222222222".to_owned(),
            max_body_bytes: 6 << 20,
            rows: Mutex::default(),
        }
    }
}

impl Braintrust {
    /// Path of the project's rows.
    #[must_use]
    pub fn rows_path(&self) -> String {
        format!("/v1/project_logs/{}/insert", self.project_id)
    }

    /// Path of the experiment's rows.
    #[must_use]
    pub fn experiment_path(&self) -> String {
        format!("/v1/experiment/{}/insert", self.experiment_id)
    }

    /// Path of the project's feedback.
    #[must_use]
    pub fn feedback_path(&self) -> String {
        format!("/v1/project_logs/{}/feedback", self.project_id)
    }

    /// What every endpoint asks of a request before its body is looked at.
    fn admit(&self, request: &Request) -> Result<Value, Answer> {
        if request.method != "POST" {
            return Err(refuse(405, format!("{} is not served", request.method)));
        }
        let bearer = format!("Bearer {}", self.api_key);
        if request.header("authorization") != Some(bearer.as_str()) {
            return Err(refuse(401, "Unauthorized: invalid API key".to_owned()));
        }
        let encoding = request.header("content-encoding").unwrap_or("gzip");
        if encoding != "gzip" {
            return Err(refuse(
                400,
                format!("content-encoding {encoding:?} is not gzip"),
            ));
        }
        if let Some(reason) = &request.undecodable {
            return Err(refuse(400, reason.clone()));
        }
        if request.body.len() > self.max_body_bytes {
            return Err(refuse(
                413,
                format!("body is larger than {} bytes", self.max_body_bytes),
            ));
        }
        if request.media_type().as_deref() != Some("application/json") {
            let given = request.header("content-type");
            return Err(refuse(
                400,
                format!("content-type {given:?} is not application/json"),
            ));
        }
        request
            .json()
            .map_err(|error| refuse(400, format!("{error:#}")))
    }

    fn project(&self, request: &Request) -> Result<Answer, Answer> {
        let body = self.admit(request)?;
        let members = body
            .as_object()
            .ok_or_else(|| refuse(400, "not an object".to_owned()))?;
        if let Some(other) = members
            .keys()
            .find(|key| !matches!(key.as_str(), "name" | "org_name" | "description"))
        {
            return Err(refuse(400, format!("unknown key {other:?}")));
        }
        if members.values().any(|value| !value.is_string()) {
            return Err(refuse(400, "name and org_name are strings".to_owned()));
        }
        let name = body.get("name").and_then(Value::as_str).unwrap_or_default();
        if name.is_empty() {
            return Err(refuse(400, "name is missing or empty".to_owned()));
        }
        let stored = Stored {
            kind: PROJECTS,
            id: name.to_owned(),
            value: body.clone(),
        };
        let answer = json!({"id": self.project_id, "org_id": "org-1", "name": name});
        Ok(Answer::json(200, &answer).with_stored(vec![stored]))
    }

    fn insert(&self, request: &Request) -> Result<Answer, Answer> {
        let body = self.admit(request)?;
        let stored = self.checked(Definition::Insert, &body)?;
        Ok(Answer::json(200, &row_ids(&stored)).with_stored(stored))
    }

    fn feedback(&self, request: &Request) -> Result<Answer, Answer> {
        let body = self.admit(request)?;
        let stored = self.checked(Definition::Feedback, &body)?;
        Ok(Answer::json(200, &json!({"status": "success"})).with_stored(stored))
    }

    fn logs3(&self, request: &Request) -> Result<Answer, Answer> {
        let body = self.admit(request)?;
        let stored = self.checked(Definition::Logs3, &body)?;
        let other = stored.iter().find_map(|row| {
            let project = row.value.get("project_id").and_then(Value::as_str);
            project.filter(|project| *project != self.project_id)
        });
        if let Some(project) = other {
            return Err(refuse(404, format!("there is no project {project}")));
        }
        Ok(Answer::json(200, &json!({"ids": ids(&stored)})).with_stored(stored))
    }

    /// `{"project_logs" | "experiment": {"<id>": {"events": [...], "feedback": [...]}}}`
    fn insert_across(&self, request: &Request) -> Result<Answer, Answer> {
        let body = self.admit(request)?;
        let kinds = body.as_object().filter(|kinds| !kinds.is_empty());
        let kinds = kinds.ok_or_else(|| refuse(400, "names no object".to_owned()))?;
        let mut stored = Vec::new();
        for (kind, objects) in kinds {
            let known = match kind.as_str() {
                "project_logs" => &self.project_id,
                "experiment" => &self.experiment_id,
                _ => return Err(refuse(400, format!("{kind:?} is no kind of object"))),
            };
            let objects = objects.as_object();
            let objects = objects.ok_or_else(|| refuse(400, format!("{kind} is not a map")))?;
            for (id, content) in objects {
                if id != known {
                    return Err(refuse(404, format!("there is no {kind} {id:?}")));
                }
                let content = content.as_object();
                let content =
                    content.ok_or_else(|| refuse(400, format!("{id} is not an object")))?;
                for (part, records) in content {
                    let definition = match part.as_str() {
                        "events" => Definition::Insert,
                        "feedback" => Definition::Feedback,
                        _ => return Err(refuse(400, format!("unknown key {part:?}"))),
                    };
                    stored.extend(self.checked(definition, &json!({part: records}))?);
                }
            }
        }
        Ok(Answer::json(
            200,
            &json!({"project_logs": {&self.project_id: row_ids(&stored)}}),
        )
        .with_stored(stored))
    }

    /// The records of a body, with what later requests must not do to its rows.
    fn checked(&self, definition: Definition, body: &Value) -> Result<Vec<Stored>, Answer> {
        let stored = check(definition, body).map_err(|reason| refuse(400, reason))?;
        let mut known = lock(&self.rows);
        for row in stored.iter().filter(|stored| stored.kind == ROW) {
            let is_merge = row.value.get("_is_merge") == Some(&Value::Bool(true));
            if known.contains(&row.id) && !is_merge {
                return Err(refuse(
                    400,
                    format!(
                        "row {:?} would replace what is there: set _is_merge",
                        row.id
                    ),
                ));
            }
        }
        known.extend(
            stored
                .iter()
                .filter(|stored| stored.kind == ROW)
                .map(|row| row.id.clone()),
        );
        Ok(stored)
    }
}

impl Fake for Braintrust {
    fn answer(&self, request: &Request) -> Answer {
        let path = request.path.as_str();
        let answer = match path {
            PROJECT => self.project(request),
            INSERT => self.insert_across(request),
            LOGS3 => self.logs3(request),
            _ if path == self.rows_path() || path == self.experiment_path() => self.insert(request),
            _ if path == self.feedback_path() => self.feedback(request),
            _ => Err(refuse(404, format!("{path} is not served"))),
        };
        answer.unwrap_or_else(|refusal| refusal)
    }
}

fn row_ids(stored: &[Stored]) -> Value {
    json!({"row_ids": ids(stored)})
}

fn ids(stored: &[Stored]) -> Vec<&str> {
    let rows = stored.iter().filter(|stored| stored.kind == ROW);
    rows.map(|row| row.id.as_str()).collect()
}

fn refuse(status: u16, reason: String) -> Answer {
    let body = json!({"error": reason});
    Answer::refusal(status, reason, &body)
}
