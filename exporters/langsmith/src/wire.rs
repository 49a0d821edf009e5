//! LangSmith's own records: the run (<https://docs.langchain.com/langsmith/run-data-format>), feedback
//! (<https://docs.langchain.com/langsmith/feedback-data-format>) and the multipart form that carries them
//! (langsmith-sdk `_internal/_operations.py`); all read 2026-11. They only know how to write themselves.

use mastra_exporter_sdk::json::JsonText;
use mastra_exporter_sdk::time::iso;
use mastra_llm::merged::Merged;

/// A run, complete.
#[derive(Clone, Debug, PartialEq)]
pub struct Run<'a> {
    /// UUID.
    pub id: String,
    /// UUID of the root run.
    pub trace_id: String,
    /// UUID; none for the root.
    pub parent_run_id: Option<String>,
    /// Start and id of every ancestor and of the run.
    pub dotted_order: String,
    /// Not empty.
    pub name: &'a str,
    /// llm, chain, tool, retriever, embedding, prompt, parser
    pub run_type: &'static str,
    /// Unix nanoseconds; to the microsecond what `dotted_order` says.
    pub start: u64,
    /// Unix nanoseconds.
    pub end: u64,
    /// JSON text of an object.
    pub inputs: String,
    /// JSON text of an object.
    pub outputs: Option<String>,
    /// Sets the run's status.
    pub error: Option<&'a str>,
    /// `extra.metadata`
    pub metadata: Merged<'a>,
    /// When the first token came, in unix nanoseconds.
    pub first_token: Option<u64>,
    /// LangSmith shows those of roots.
    pub tags: &'a [String],
    /// Name of the project.
    pub session_name: String,
}

impl Run<'_> {
    /// What is small: everything but inputs, outputs, error, events and extra.
    fn head(&self, object: &mut mastra_exporter_sdk::json::Object<'_>) {
        object
            .string("id", &self.id)
            .string("trace_id", &self.trace_id)
            .string_if("parent_run_id", self.parent_run_id.as_ref())
            .string("dotted_order", &self.dotted_order)
            .string("name", self.name)
            .string("run_type", self.run_type)
            .string("start_time", &microseconds(self.start))
            .string("end_time", &microseconds(self.end))
            .string("session_name", &self.session_name);
        if !self.tags.is_empty() {
            object.strings("tags", self.tags);
        }
    }

    /// The other parts, each a name and JSON text.
    fn parts(&self) -> Vec<(&'static str, String)> {
        let mut parts = vec![("inputs", self.inputs.clone())];
        parts.extend(self.outputs.clone().map(|outputs| ("outputs", outputs)));
        if let Some(error) = self.error {
            let mut text = JsonText::default();
            text.string(error);
            parts.push(("error", text.into_string()));
        }
        if let Some(time) = self.first_token {
            parts.push((
                "events",
                format!(
                    "[{{\"name\":\"new_token\",\"time\":\"{}\"}}]",
                    iso(time).as_str()
                ),
            ));
        }
        let mut text = JsonText::default();
        let mut extra = text.object();
        self.metadata.write(extra.key("metadata"));
        let mut runtime = extra.key("runtime").object();
        runtime
            .string("sdk", "mastra-host")
            .string("sdk_version", env!("CARGO_PKG_VERSION"));
        runtime.end();
        extra.end();
        parts.push(("extra", text.into_string()));
        parts
    }

    /// Writes the whole run as one object.
    pub fn write(&self, text: &mut JsonText) {
        let mut object = text.object();
        self.head(&mut object);
        for (name, json) in self.parts() {
            object.raw(name, &json);
        }
        object.end();
    }

    /// Writes the run as parts of a form.
    pub fn write_parts(&self, form: &mut Form) {
        let name = format!("post.{}", self.id);
        let mut text = JsonText::default();
        let mut object = text.object();
        self.head(&mut object);
        object.end();
        form.part(&name, text.as_bytes());
        for (part, json) in self.parts() {
            form.part(&format!("{name}.{part}"), json.as_bytes());
        }
    }
}

/// `2026-03-04T05:06:07.003000Z`: the precision of `dotted_order`.
fn microseconds(unix_nanos: u64) -> String {
    let text = iso(unix_nanos - unix_nanos % 1_000_000_000);
    let seconds = text.as_str().get(..19).unwrap_or_default();
    format!("{seconds}.{:06}Z", unix_nanos / 1_000 % 1_000_000)
}

/// A step of `dotted_order`: `20260304T050607003000Z<uuid>`.
#[must_use]
pub fn step(unix_nanos: u64, id: &str) -> String {
    let mut stamp = microseconds(unix_nanos);
    stamp.retain(|character| !matches!(character, '-' | ':' | '.'));
    stamp.push_str(id);
    stamp
}

/// What feedback says.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict<'a> {
    /// `score`
    Number(f64),
    /// `value`
    Words(&'a str),
    /// `value`, and 1 or 0 as `score`.
    Thumb(&'a str, bool),
}

/// Feedback on a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Feedback<'a> {
    /// UUID, the upsert key.
    pub id: String,
    /// UUID of the run.
    pub run_id: String,
    /// UUID of the trace's root run.
    pub trace_id: String,
    /// What is judged; not empty.
    pub key: &'a str,
    /// Number or words.
    pub verdict: Verdict<'a>,
    /// Free text.
    pub comment: Option<&'a str>,
    /// `feedback_source.type`: api, app, model
    pub source: &'static str,
    /// `feedback_source.metadata`
    pub metadata: Merged<'a>,
    /// Unix nanoseconds.
    pub created_at: u64,
}

impl Feedback<'_> {
    /// Writes the object.
    pub fn write(&self, text: &mut JsonText) {
        let mut object = text.object();
        object
            .string("id", &self.id)
            .string("run_id", &self.run_id)
            .string("trace_id", &self.trace_id)
            .string("key", self.key);
        match self.verdict {
            Verdict::Number(number) => object.float("score", number),
            Verdict::Words(words) => object.string("value", words),
            Verdict::Thumb(words, is_up) => object
                .unsigned("score", u64::from(is_up))
                .string("value", words),
        };
        if let Some(comment) = self.comment {
            object.string("comment", comment);
        }
        let mut source = object.key("feedback_source").object();
        source.string("type", self.source);
        self.metadata.write(source.key("metadata"));
        source.end();
        object.time("created_at", self.created_at);
        object.end();
    }
}

/// Ends a line of the form; no JSON text has a line that begins with two hyphens.
const BOUNDARY: &str = "----mastra-host-form-boundary";

/// A body of `multipart/form-data` whose parts are JSON and say their length, as LangSmith wants it.
#[derive(Clone, Debug, Default)]
pub struct Form {
    bytes: Vec<u8>,
}

impl Form {
    /// The content type with the boundary.
    #[must_use]
    pub fn content_type() -> String {
        format!("multipart/form-data; boundary={BOUNDARY}")
    }

    /// Adds a part.
    pub fn part(&mut self, name: &str, json: &[u8]) {
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\nContent-Type: application/json; length={}\r\n\r\n",
            json.len()
        );
        self.bytes.extend_from_slice(head.as_bytes());
        self.bytes.extend_from_slice(json);
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// The whole body.
    #[must_use]
    pub fn end(mut self) -> Vec<u8> {
        self.bytes
            .extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_have_microseconds_and_no_separators() {
        assert_eq!(
            microseconds(1_772_600_767_003_004_999),
            "2026-03-04T05:06:07.003004Z"
        );
        assert_eq!(
            step(1_772_600_767_003_004_999, "u"),
            "20260304T050607003004Zu"
        );
        assert_eq!(step(0, ""), "19700101T000000000000Z");
    }

    #[test]
    fn a_form_names_the_length_of_each_part() {
        let mut form = Form::default();
        form.part("post.1", "{\"é\":1}".as_bytes());
        let text = String::from_utf8(form.end()).unwrap();
        let expected = concat!(
            "------mastra-host-form-boundary\r\nContent-Disposition: form-data; name=\"post.1\"\r\n",
            "Content-Type: application/json; length=8\r\n\r\n{\"é\":1}\r\n------mastra-host-form-boundary--\r\n"
        );
        assert_eq!(text, expected);
    }
}
