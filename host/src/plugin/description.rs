//! What a component says of itself (`lifecycle.describe`), checked and in the host's own words. The rest of the host
//! reads settings, limits and hosts from here alone.

use std::collections::BTreeSet;
use std::time::Duration;

use semver::Version;
use serde_json::{Map, Value};

use super::bindings::exported::lifecycle as wit;
use super::load_error::LoadError;
use super::records::Reads;
use super::{imports, limits};
use crate::config::component::Grouping;
use crate::config::settings::{bounds, marks};
use crate::event::Signal;
use crate::event::signal_set::SignalSet;
use crate::event::span_phases::SpanPhases;
use crate::http::grant::HostRequest;

/// `lifecycle.description`, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// Kebab-case noun of the destination; the default exporter id.
    pub name: String,
    /// Version of the component.
    pub version: Version,
    /// The JSON Schema of the settings, as the component wrote it: an object.
    pub settings_schema: Value,
    /// The schema's properties with their marks, in the schema's order.
    pub settings: Vec<Setting>,
    /// Most items of one batch, at least 1.
    pub max_items: u32,
    /// Most bytes of one batch's JSON text, at least 1.
    pub max_bytes: u32,
    /// Span events wanted.
    pub phases: SpanPhases,
    /// How events are to be grouped.
    pub grouping: Grouping,
    /// Signals whose records the backend recognises when they come twice.
    pub idempotent: SignalSet,
    /// Set by stateful components: how often `flush` is to be called. At least 100 ms.
    pub flush_interval: Option<Duration>,
    /// The places that the component asks to speak to.
    pub hosts: Vec<HostRequest>,
    /// Which optional fields of records it looks at.
    pub reads: Reads,
}

/// A component that asks for more frequent flushes gets them this often: each is a call.
const LEAST_FLUSH_INTERVAL: Duration = Duration::from_millis(100);

/// Origins and settings that name hosts, of one component.
const MAX_HOSTS: usize = 64;
/// A version has a dozen bytes, with the hash of a commit some sixty.
const MAX_VERSION_BYTES: usize = 128;

/// One property of the settings schema.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Setting {
    /// The property's name.
    pub name: String,
    /// `description`, for people.
    pub description: Option<String>,
    /// Whether the schema's `required` names it.
    pub required: bool,
    /// `default`
    pub default: Option<Value>,
    /// `x-env`: environment variables that fill it, first found wins.
    pub env: Vec<String>,
    /// `x-secret`: the guest sees a placeholder.
    pub secret: bool,
    /// `x-in-body`: the placeholder is filled in in JSON string bodies too.
    pub in_body: bool,
    /// `x-output`: names the target of the `output` import.
    pub output: bool,
    /// `format: "uri"`
    pub uri: bool,
}

/// Checks a description of a component that exports `signals`.
///
/// # Errors
/// [`LoadError::Description`] for a field that cannot be used.
pub(super) fn check(
    described: wit::Description,
    signals: SignalSet,
) -> Result<Description, LoadError> {
    let bad = |field, reason: String| LoadError::Description { field, reason };
    if !is_kebab_case(&described.name) {
        let name = super::limits::short(&described.name);
        return Err(bad(
            "name",
            format!("`{name}` is not kebab-case of at most 64 letters, such as `my-backend`"),
        ));
    }
    let version = version(&described.version).map_err(|reason| bad("version", reason))?;
    let settings_schema =
        schema(&described.settings_schema).map_err(|reason| bad("settings-schema", reason))?;
    let settings = settings(&settings_schema).map_err(|reason| bad("settings-schema", reason))?;
    marks::check(&settings_schema)
        .map_err(|reason| bad("settings-schema", limits::short(&reason)))?;
    let wit::BatchLimits {
        max_items,
        max_bytes,
    } = described.limits;
    if max_items == 0 || max_bytes == 0 {
        return Err(bad(
            "limits",
            format!("max-items {max_items} and max-bytes {max_bytes} must be above 0"),
        ));
    }
    let phases = SpanPhases {
        started: described.phases.contains(wit::SpanPhases::STARTED),
        updated: described.phases.contains(wit::SpanPhases::UPDATED),
        ended: described.phases.contains(wit::SpanPhases::ENDED),
    };
    if described.flush_interval == Some(0) {
        return Err(bad("flush-interval", "must be above 0".to_owned()));
    }
    if signals.contains(Signal::Traces) && !(phases.started || phases.updated || phases.ended) {
        return Err(bad(
            "phases",
            "empty, so that `traces` would never be called: name at least `ended`".to_owned(),
        ));
    }
    let grouping =
        grouping(described.grouping, phases).map_err(|reason| bad("grouping", reason))?;
    if described.hosts.len() > MAX_HOSTS {
        let count = described.hosts.len();
        return Err(bad(
            "hosts",
            format!("{count}; at most {MAX_HOSTS} are granted"),
        ));
    }
    extra(described.extra.as_deref()).map_err(|reason| bad("extra", reason))?;
    let hosts = described
        .hosts
        .into_iter()
        .map(|request| host(request, &settings));
    Ok(Description {
        name: described.name,
        version,
        hosts: hosts
            .collect::<Result<_, _>>()
            .map_err(|reason| bad("hosts", reason))?,
        settings_schema,
        settings,
        max_items,
        max_bytes,
        phases,
        grouping,
        idempotent: signal_set(described.idempotent),
        reads: reads(described.reads).map_err(|reason| bad("reads", reason))?,
        flush_interval: described
            .flush_interval
            .map(|nanos| Duration::from_nanos(nanos).max(LEAST_FLUSH_INTERVAL)),
    })
}

fn version(text: &str) -> Result<Version, String> {
    let shown = limits::short(text);
    if text.len() > MAX_VERSION_BYTES {
        return Err(format!(
            "`{shown}` is longer than {MAX_VERSION_BYTES} bytes"
        ));
    }
    Version::parse(text).map_err(|error| format!("`{shown}` is not semver: {error}"))
}

/// Refused by its size before it is parsed, and by its form before anything is made of it.
fn schema(text: &str) -> Result<Value, String> {
    if text.len() > bounds::MAX_SCHEMA_BYTES {
        let (bytes, most) = (text.len(), bounds::MAX_SCHEMA_BYTES);
        return Err(format!("{bytes} bytes long; {most} are read"));
    }
    let schema = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    bounds::check(&schema)?;
    Ok(schema)
}

fn grouping(grouping: wit::Grouping, phases: SpanPhases) -> Result<Grouping, String> {
    let whole = match grouping {
        wit::Grouping::Ungrouped => return Ok(Grouping::Ungrouped),
        wit::Grouping::Ordered => return Ok(Grouping::Ordered),
        wit::Grouping::WholeTrace(whole) => whole,
    };
    if !phases.ended {
        let why = "`whole-trace` needs the phase `ended`, with which a trace is complete";
        return Err(why.to_owned());
    }
    if whole.max_wait == 0 || whole.max_spans == 0 {
        return Err("`max-wait` and `max-spans` of `whole-trace` must be above 0".to_owned());
    }
    Ok(Grouping::WholeTrace {
        max_wait: Duration::from_nanos(whole.max_wait),
        max_spans: whole.max_spans,
    })
}

/// A word of lower-case letters and digits, or several joined by single hyphens; starts with a letter.
fn is_kebab_case(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.split('-').all(|word| {
            !word.is_empty()
                && word
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        })
}

fn signal_set(flags: wit::Signals) -> SignalSet {
    let pairs = [
        (Signal::Traces, wit::Signals::TRACES),
        (Signal::Logs, wit::Signals::LOGS),
        (Signal::Metrics, wit::Signals::METRICS),
        (Signal::Scores, wit::Signals::SCORES),
        (Signal::Feedback, wit::Signals::FEEDBACK),
    ];
    pairs
        .into_iter()
        .filter(|(_, flag)| flags.contains(*flag))
        .map(|(signal, _)| signal)
        .collect()
}

fn reads(reads: Vec<wit::SignalReads>) -> Result<Reads, String> {
    let signal = |reads: wit::SignalReads| (imports::signal_from(reads.of_signal), reads.fields);
    let listed: Vec<_> = reads.into_iter().map(signal).collect();
    Reads::new(&listed)
}

/// What later contracts add is read by later hosts; that it can be read is seen now.
fn extra(text: Option<&str>) -> Result<(), String> {
    let Some(text) = text else { return Ok(()) };
    let object = serde_json::from_str::<Map<String, Value>>(text);
    object
        .map(|_| ())
        .map_err(|error| format!("not a JSON object: {}", limits::short(&error.to_string())))
}

fn host(request: wit::HostRequest, settings: &[Setting]) -> Result<HostRequest, String> {
    match request {
        wit::HostRequest::FromSetting(name)
            if settings.iter().any(|setting| setting.name == name) =>
        {
            Ok(HostRequest::FromSetting(name))
        }
        wit::HostRequest::FromSetting(name) => {
            let name = limits::short(&name);
            Err(format!("`{name}` is not a property of the settings schema"))
        }
        wit::HostRequest::Origin(origin) => match origin.parse() {
            Ok(origin) => Ok(HostRequest::Origin(origin)),
            Err(error) => Err(limits::short(&error.to_string())),
        },
    }
}

fn settings(schema: &Value) -> Result<Vec<Setting>, String> {
    let schema = schema.as_object().ok_or("not a JSON object")?;
    let none = Map::new();
    let properties = match schema.get("properties") {
        None => &none,
        Some(properties) => properties
            .as_object()
            .ok_or("`properties` is not an object")?,
    };
    let required: BTreeSet<&str> = match schema.get("required") {
        None => BTreeSet::new(),
        Some(names) => strings(names)
            .ok_or("`required` is not an array of strings")?
            .into_iter()
            .collect(),
    };
    if let Some(name) = required
        .iter()
        .find(|name| !properties.contains_key(**name))
    {
        let name = limits::short(name);
        return Err(format!(
            "`required` names `{name}`, which `properties` does not have"
        ));
    }
    let settings = properties
        .iter()
        .map(|(name, property)| setting(name, property, required.contains(name.as_str())));
    let settings: Vec<Setting> = settings.collect::<Result<_, _>>()?;
    check_output(&settings)?;
    Ok(settings)
}

/// Where output goes is the operator's to say; a component may only suggest the stream that the operator sees anyway.
fn check_output(settings: &[Setting]) -> Result<(), String> {
    let mut targets = settings.iter().filter(|setting| setting.output);
    let Some(target) = targets.next() else {
        return Ok(());
    };
    if let Some(other) = targets.next() {
        let (one, other) = (
            super::limits::short(&target.name),
            super::limits::short(&other.name),
        );
        return Err(format!(
            "properties `{one}` and `{other}` are both marked `x-output`; mark one"
        ));
    }
    match &target.default {
        None => Ok(()),
        Some(Value::String(default)) if default == "stdout" => Ok(()),
        Some(default) => {
            let (name, default) = (&target.name, default.to_string());
            let default = super::limits::short(&default);
            Err(format!(
                "property `{name}` is marked `x-output` and has the default {default}; the only default of an output target is \"stdout\", since others come from the operator"
            ))
        }
    }
}

fn setting(name: &str, property: &Value, required: bool) -> Result<Setting, String> {
    let property = property
        .as_object()
        .ok_or_else(|| format!("property `{name}` is not an object"))?;
    let mark = |keyword: &str| match property.get(keyword) {
        None => Ok(false),
        Some(Value::Bool(mark)) => Ok(*mark),
        Some(_) => Err(format!(
            "`{keyword}` of property `{name}` is not true or false"
        )),
    };
    let env = match property.get("x-env") {
        None => Vec::new(),
        Some(names) => {
            let names = strings(names).ok_or_else(|| {
                format!("`x-env` of property `{name}` is not an array of strings")
            })?;
            names.into_iter().map(str::to_owned).collect()
        }
    };
    Ok(Setting {
        name: name.to_owned(),
        description: property
            .get("description")
            .and_then(Value::as_str)
            .map(limits::short),
        required,
        default: property.get("default").cloned(),
        env,
        secret: mark("x-secret")?,
        in_body: mark("x-in-body")?,
        output: mark("x-output")?,
        uri: property.get("format").and_then(Value::as_str) == Some("uri"),
    })
}

fn strings(value: &Value) -> Option<Vec<&str>> {
    value.as_array()?.iter().map(Value::as_str).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn described() -> wit::Description {
        wit::Description {
            name: "my-backend2".to_owned(),
            version: "1.2.3-rc.1".to_owned(),
            settings_schema: r#"{
                "type": "object",
                "required": ["key"],
                "properties": {
                    "url": {"type": "string", "format": "uri", "default": "https://a.example", "x-env": ["A_URL", "A_HOST"]},
                    "key": {"type": "string", "description": "from the project's page", "x-secret": true, "x-in-body": true},
                    "to": {"type": "string", "x-output": true}
                }
            }"#
            .to_owned(),
            limits: wit::BatchLimits { max_items: 100, max_bytes: 1_000_000 },
            phases: wit::SpanPhases::ENDED,
            grouping: wit::Grouping::Ungrouped,
            idempotent: wit::Signals::TRACES | wit::Signals::SCORES,
            flush_interval: None,
            reads: Vec::new(),
            prefers_otlp: wit::Signals::empty(),
            extra: None,
            hosts: vec![
                wit::HostRequest::Origin("https://*.example.com:8443".to_owned()),
                wit::HostRequest::FromSetting("url".to_owned()),
            ],
        }
    }

    fn all() -> SignalSet {
        Signal::ALL.into_iter().collect()
    }

    /// The field that the error names.
    fn refusal(change: impl FnOnce(&mut wit::Description)) -> String {
        let mut changed = described();
        change(&mut changed);
        match check(changed, all()).unwrap_err() {
            LoadError::Description { field, .. } => field.to_owned(),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_good_description_keeps_everything() {
        let description = check(described(), all()).unwrap();
        assert_eq!(
            description.idempotent,
            [Signal::Traces, Signal::Scores].into_iter().collect()
        );
        assert_eq!(description.settings.len(), 3);
        let url = &description.settings[0];
        assert_eq!(
            (url.name.as_str(), url.uri, url.required),
            ("url", true, false)
        );
        assert_eq!(url.env, ["A_URL", "A_HOST"]);
        let key = &description.settings[1];
        assert!(key.required && key.secret && key.in_body && !key.output);
        assert!(description.settings[2].output);
    }

    #[test]
    fn names_are_kebab_case() {
        for name in ["a", "a-b", "grafana-cloud", "x2"] {
            assert!(is_kebab_case(name), "{name}");
        }
        let long = "a".repeat(65);
        for name in [
            "", "A", "a_b", "a--b", "-a", "a-", "2a", "a/b", "../a", &long,
        ] {
            assert!(!is_kebab_case(name), "{name}");
        }
    }

    #[test]
    fn each_bad_field_is_named() {
        assert_eq!(refusal(|d| d.name = "My Backend".to_owned()), "name");
        assert_eq!(refusal(|d| d.version = "1.2".to_owned()), "version");
        assert_eq!(refusal(|d| d.limits.max_items = 0), "limits");
        assert_eq!(refusal(|d| d.phases = wit::SpanPhases::empty()), "phases");
        assert_eq!(refusal(|d| d.flush_interval = Some(0)), "flush-interval");
        for extra in ["", "[]", "{\"a\":", "{} {}"] {
            assert_eq!(
                refusal(|d| d.extra = Some(extra.to_owned())),
                "extra",
                "{extra}"
            );
        }
        let misspelt = wit::SignalReads {
            of_signal: crate::plugin::bindings::types::Signal::Logs,
            fields: vec!["datum".to_owned()],
        };
        assert_eq!(refusal(|d| d.reads = vec![misspelt.clone()]), "reads");
        assert_eq!(
            refusal(|d| d.hosts = vec![wit::HostRequest::FromSetting("nope".to_owned())]),
            "hosts"
        );
        assert_eq!(
            refusal(|d| d.hosts = vec![wit::HostRequest::Origin("example.com/x".to_owned())]),
            "hosts"
        );
        for schema in [
            "{",
            "[]",
            r#"{"properties": 1}"#,
            r#"{"required": ["x"]}"#,
            r#"{"properties": {"a": {"x-secret": "yes"}}}"#,
            r#"{"properties": {"a": {"x-env": "A"}}}"#,
            r#"{"properties": {"a": {"properties": {"b": {"x-secret": true}}}}}"#,
        ] {
            assert_eq!(
                refusal(|d| d.settings_schema = schema.to_owned()),
                "settings-schema",
                "{schema}"
            );
        }
    }

    #[test]
    fn whole_traces_need_a_wait_a_size_and_the_end_of_spans() {
        let whole = |max_wait, max_spans| {
            wit::Grouping::WholeTrace(wit::WholeTrace {
                max_wait,
                max_spans,
            })
        };
        assert_eq!(refusal(|d| d.grouping = whole(0, 1)), "grouping");
        assert_eq!(refusal(|d| d.grouping = whole(1, 0)), "grouping");
        let started = |d: &mut wit::Description| {
            d.grouping = whole(1, 1);
            d.phases = wit::SpanPhases::STARTED;
        };
        assert_eq!(refusal(started), "grouping");
    }

    #[test]
    fn flush_interval_is_kept_within_reason() {
        for (nanos, kept) in [
            (1, LEAST_FLUSH_INTERVAL),
            (60_000_000_000, Duration::from_secs(60)),
        ] {
            let mut stateful = described();
            stateful.flush_interval = Some(nanos);
            let description = check(stateful, all()).unwrap();
            assert_eq!(description.flush_interval, Some(kept));
        }
    }

    #[test]
    fn a_component_chooses_no_output_target() {
        let with = |properties: Value| settings(&json!({ "properties": properties })).map(drop);
        let target = |default: Value| json!({"to": {"x-output": true, "default": default}});
        assert!(with(target(json!("stdout"))).is_ok());
        for default in [json!("file:/home/user/.bashrc"), json!("dir:x"), json!(1)] {
            let error = with(target(default)).unwrap_err();
            assert!(
                error.contains("since others come from the operator"),
                "{error}"
            );
        }
        let twice = json!({"a": {"x-output": true}, "b": {"x-output": true}});
        let error = with(twice).unwrap_err();
        assert!(error.contains("both marked `x-output`"), "{error}");
    }
}
