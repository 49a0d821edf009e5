//! Config files in, configs or lists of problems out.

use std::time::Duration;

use super::*;
use crate::event::records::Instrument;

fn environment() -> Environment {
    [("TOKEN", "s3cret"), ("KEY", "12345"), ("COUNT", "7")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// Problems as users see them, one a line.
fn problems(text: &str) -> Vec<String> {
    load(text, &environment())
        .problems
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn valid(text: &str) -> Config {
    let loaded = load(text, &environment());
    assert_eq!(loaded.problems, vec![]);
    loaded.config
}

const EVERYTHING: &str = r#"
receivers:
  http:
    endpoint: "[::1]:4319"
    max_request_body_size: 16MiB
    max_connections: 99
    auth:
      tokens:
        - { label: team-a, token: "${env:TOKEN}" }
  grpc: { endpoint: "[::]:4320" }
  metric_kinds: { queue_depth: gauge }
plugins: { directory: components, discovery: off }
storage: { directory: /var/lib/mastra-host }
sending_queue:
  max_memory: 64MiB
  repeat_window: 10m
  max_index_memory: 32MiB
  dead_letters: { exporters: { max_size: 10MiB, max_age: 2h }, receivers: { max_size: 1MiB } }
exporters:
  json:
  langfuse/eu:
    component: langfuse
    settings:
      base_url: https://eu.example
      public_key: ${env:KEY}
      flush: 3
      tags: [a, 1, true]
    signals: [traces, scores]
    shape:
      span_types: { drop: [model_chunk], max_wait: 5s }
      log_levels: { keep: [error, fatal] }
      sampling_percentage: 12.5
      redaction: { credentials: false, keys: [ssn], patterns: ['\d{3}-\d{4}'] }
      max_string_bytes: 32KiB
    sending_queue: { on_full: drop_oldest, max_lag_bytes: 1GB, start_at: oldest }
    batch: { max_items: 50, max_bytes: 1MiB, timeout: 250ms }
    retry_on_failure: { initial_interval: 2s, max_interval: 1m, max_elapsed_time: 1h, on_unknown_outcome: dead_letter }
    timeout: 20s
    num_consumers: ${env:COUNT}
    limits: { memory: 64MiB, cpu_time: 5s, call_timeout: 40s, output_size: 5MiB, store_size: 6MiB }
    http: { proxy: "http://u:pw@proxy:3128", ca_file: ca.pem, client_cert: c.pem, client_key: k.pem, max_response_body_size: 1MiB, allow_metadata: true }
"#;

#[test]
#[allow(clippy::too_many_lines, reason = "each key has its line")]
fn every_key_arrives() {
    let config = valid(EVERYTHING);
    let http = &config.receivers.http;
    assert_eq!(
        http.endpoint,
        Endpoint {
            host: "::1".to_owned(),
            port: 4319
        }
    );
    assert_eq!(
        (http.max_request_body_bytes, http.connections.max),
        (16 << 20, 99)
    );
    assert_eq!(
        config.receivers.grpc.endpoint,
        Listen::At("[::]:4320".parse().unwrap())
    );
    assert_eq!(http.access.tokens[0].label, "team-a");
    assert_eq!(http.access.tokens[0].token.expose(), "s3cret");
    assert_eq!(
        config.receivers.metric_kinds["queue_depth"],
        Instrument::Gauge
    );
    assert_eq!(config.plugins.directory, PathBuf::from("components"));
    assert_eq!(config.plugins.discovery, Discovery::Off);
    assert_eq!(
        config.storage.directory,
        PathBuf::from("/var/lib/mastra-host")
    );
    assert_eq!(config.sending_queue.max_memory_bytes, 64 << 20);
    assert_eq!(config.sending_queue.repeat_window, Duration::from_secs(600));
    assert_eq!(config.sending_queue.max_index_bytes, 32 << 20);
    let letters = config.sending_queue.dead_letters;
    assert_eq!(
        (letters.exporters.max_bytes, letters.exporters.max_age),
        (10 << 20, Duration::from_secs(7200))
    );
    assert_eq!(
        (letters.receivers.max_bytes, letters.receivers.max_age),
        (1 << 20, defaults::LETTERS_AGE)
    );

    let eu = &config.exporters[&"langfuse/eu".parse().unwrap()];
    assert_eq!(eu.component, ComponentRef::Name("langfuse".to_owned()));
    assert_eq!(
        eu.at,
        Position {
            line: 21,
            column: 3
        }
    );
    let wanted = serde_json::json!({"base_url": "https://eu.example", "public_key": "12345", "flush": 3, "tags": ["a", 1, true]});
    assert_eq!(Value::Object(eu.settings.values.clone()), wanted);
    assert_eq!(eu.settings.positions["public_key"].line, 25);
    assert_eq!(
        eu.signals,
        SignalChoice::Only([Signal::Traces, Signal::Scores].into())
    );
    assert_eq!(eu.delivery.queue.on_full, OnFull::DropOldest);
    assert_eq!(eu.delivery.queue.max_lag_bytes, Some(1_000_000_000));
    assert_eq!(eu.delivery.queue.start_at, StartAt::Oldest);
    assert_eq!(
        (eu.delivery.batch.max_items, eu.delivery.batch.max_bytes),
        (50, 1 << 20)
    );
    assert_eq!(eu.delivery.batch.timeout, Duration::from_millis(250));
    assert_eq!(
        eu.delivery.retry.max_elapsed_time,
        Some(Duration::from_secs(3600))
    );
    assert_eq!(
        eu.delivery.retry.on_unknown_outcome,
        OnUnknownOutcome::DeadLetter
    );
    assert_eq!(eu.delivery.num_consumers, 7);
    assert_eq!(
        (eu.limits.memory_bytes, eu.limits.call_timeout),
        (64 << 20, Duration::from_secs(40))
    );
    assert_eq!(
        (eu.limits.output_bytes, eu.limits.store_bytes),
        (5 << 20, Some(6 << 20))
    );
    assert_eq!(eu.http.timeout, Duration::from_secs(20));
    assert_eq!(
        eu.http.proxy.as_ref().and_then(Url::host_str),
        Some("proxy")
    );
    assert!(eu.http.client_certificate.is_some() && eu.http.allows_metadata);

    let json = &config.exporters[&"json".parse().unwrap()];
    assert_eq!(json.component, ComponentRef::Name("json".to_owned()));
    assert_eq!(json.signals, SignalChoice::AllSupported);
}

#[test]
fn dead_letters_follow_the_size_of_the_queue_and_leave_room_for_events() {
    let letters = valid("sending_queue: {max_disk: 256MiB}")
        .sending_queue
        .dead_letters;
    assert_eq!(
        (letters.exporters.max_bytes, letters.receivers.max_bytes),
        (32 << 20, 8 << 20)
    );
    let text = "sending_queue: {max_disk: 256MiB, dead_letters: {exporters: {max_size: 200MiB}}, max_index_memory: 1KiB}";
    let said = problems(text);
    assert!(
        said[0].contains(
            "dead letters of 208 MiB leave too little of sending_queue.max_disk (256 MiB)"
        ),
        "{said:?}"
    );
    assert!(
        said[1].contains("max_index_memory: 1 KiB is too little; write at least 1 MiB"),
        "{said:?}"
    );
}

#[test]
fn grpc_can_be_turned_off() {
    let config = valid("receivers: {grpc: {endpoint: off}}");
    assert_eq!(config.receivers.grpc.endpoint, Listen::Off);
    let loaded = load("receivers: {grpc: {endpoint: none}}", &environment());
    let told = loaded.problems[0].to_string();
    let expected = "receivers.grpc.endpoint: `none` is not an endpoint; write `address:port`, such as `127.0.0.1:4317`, or `off`";
    assert!(told.ends_with(expected), "{told}");
}

#[test]
fn an_empty_file_is_all_defaults() {
    for text in ["", "# nothing\n", "---\n", "{}", "exporters:\n"] {
        let config = valid(text);
        assert_eq!(
            config.receivers.http.endpoint.to_string(),
            defaults::ENDPOINT,
            "{text:?}"
        );
        let grpc = defaults::GRPC_ENDPOINT.parse().unwrap();
        assert_eq!(config.receivers.grpc.endpoint, Listen::At(grpc));
        assert!(config.receivers.http.access.tokens.is_empty());
        assert!(config.exporters.is_empty());
    }
    assert_eq!(
        ExporterConfig::default().delivery.retry.max_elapsed_time,
        None
    );
}

#[test]
fn debug_output_shows_no_secret() {
    let shown = format!("{:?}", valid(EVERYTHING));
    for secret in ["s3cret", "12345", "pw"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

#[test]
fn all_problems_come_at_once_with_line_column_and_fix() {
    let text = r#"recievers: {}
receivers:
  http:
    endpoint: 4318
    max_request_body_size: 64 megs
    max_connections: 0
    auth: { tokens: [ { label: a }, { token: 5, label: a } ] }
exporters:
  Langfuse: {}
  langfuse/eu:
    compnent: langfuse
    signals: [traces, score, traces]
    sending_queue: { on_full: drop }
    batch: { max_items: many, timeout: 5 }
    retry_on_failure: { initial_interval: 1m, max_interval: 1s }
    timeout: 90s
    limits: nothing
    http: { proxy: ftp://x, client_cert: a.pem }
"#;
    let wanted = [
        "1:1: recievers: unknown key; did you mean `receivers`?",
        "4:15: receivers.http.endpoint: `4318` is not an endpoint; write `address:port`, such as `127.0.0.1:4318`, or `0.0.0.0:4318` for all addresses",
        "5:28: receivers.http.max_request_body_size: `64 megs` is not a size above zero; write a number with a unit, such as `512KiB`, `64MiB` or `1GB`",
        "6:22: receivers.http.max_connections: `0` is not such a number; write a whole number from 1 to 65536",
        "7:23: receivers.http.auth.tokens[0]: a token needs `label` and `token`; write both",
        "7:46: receivers.http.auth.tokens[1].token: not text; put the token in quotes",
        "9:3: exporters.Langfuse: `Langfuse` is not an exporter id; write `name` or `name/label` in small letters, digits and single hyphens, such as `acme/eu`",
        "11:5: exporters.langfuse/eu.compnent: unknown key; did you mean `component`?",
        "12:23: exporters.langfuse/eu.signals[1]: `score` is not a signal; did you mean `scores`?",
        "12:30: exporters.langfuse/eu.signals[2]: `traces` is listed twice; remove one",
        "13:31: exporters.langfuse/eu.sending_queue.on_full: `drop` is not a choice; write one of refuse, drop_oldest",
        "14:25: exporters.langfuse/eu.batch.max_items: `many` is not such a number; write a whole number from 1 to 1000000",
        "14:40: exporters.langfuse/eu.batch.timeout: `5` is not a duration; write a number with a unit, such as `500ms`, `10s`, `5m` or `1h`",
        "15:43: exporters.langfuse/eu.retry_on_failure.initial_interval: the first wait of 1m is longer than max_interval of 1s; lower the one or raise the other",
        "16:14: exporters.langfuse/eu.timeout: a request may take 1m30s, but the call that makes it only 1m; raise limits.call_timeout above it",
        "17:13: exporters.langfuse/eu.limits: `nothing` where a mapping is wanted; write `key: value` lines",
        "18:20: exporters.langfuse/eu.http.proxy: not a proxy URL; write `http://host:port`, `https://host:port` or `socks5://host:port`",
        "18:42: exporters.langfuse/eu.http.client_cert: a client certificate needs client_cert and client_key; write both",
    ];
    let found = problems(text);
    assert_eq!(found, wanted, "\n{}", found.join("\n"));
}

#[test]
fn single_problems_name_place_and_fix() {
    let cases = [
        ("a: [", "not YAML"),
        (
            "exporters: {json: {}}\nexporters: {}",
            "2:1: exporters: key written twice; it is already on line 1; keep one of the two",
        ),
        (
            "storage: {directory: x}\n---\nstorage: {directory: y}",
            "a second document; remove `---` and what follows it",
        ),
        (
            "storage: {directory: 5}",
            "1:22: storage.directory: `5` is not text; put it in quotes: \"5\"",
        ),
        (
            "storage: {directory: }",
            "1:20: storage.directory: empty; write a text, or remove the key",
        ),
        (
            "storage: {directory: [a]}",
            "1:22: storage.directory: a list where text is wanted",
        ),
        (
            "storage: {directory: \"${env:NONE}\"}",
            "1:22: storage.directory: environment variable NONE is not set; set it, or write `${env:NONE:-default}`",
        ),
        (
            "storage: {directory: \"${HOME}\"}",
            "1:22: storage.directory: `${HOME}` is not a reference to an environment variable; write `${env:NAME}`, or `$${` for the characters themselves",
        ),
        (
            "storage: !here {directory: x}",
            "tag `!here` is not known; remove the tag",
        ),
        (
            "- a",
            "1:1: a list where a mapping is wanted; write `key: value` lines",
        ),
        (
            "sending_queue: {max_memory: 1MiB}",
            "two requests of 64 MiB do not fit into sending_queue.max_memory of 1 MiB",
        ),
        (
            "exporters: {a: {signals: []}}",
            "exporters.a.signals: no signal is listed; list at least one, or remove the key for all",
        ),
        (
            "exporters: {a: {signals: traces}}",
            "exporters.a.signals: `traces` where a list is wanted; write `[a, b]` or one `- item` a line",
        ),
        (
            "exporters: {a: {component: My Thing}}",
            "`My Thing` is not the name of a component",
        ),
        (
            "exporters: {a: {limits: {memory: 5TiB}}}",
            "exporters.a.limits.memory: 5 TiB is out of range; write a size from 1MiB to 4GiB",
        ),
        (
            "exporters: {a: {batch: {max_bytes: 1}}}",
            "exporters.a.batch.max_bytes: 1 B is out of range",
        ),
        (
            "exporters: {a: {zzz: 1}}",
            "exporters.a.zzz: unknown key; known here: component, settings, signals",
        ),
        (
            "receivers: {metric_kinds: {x: timer}}",
            "receivers.metric_kinds.x: `timer` is not a kind of metric; write one of counter, histogram, gauge",
        ),
    ];
    for (text, wanted) in cases {
        let found = problems(text).join("\n");
        assert!(
            found.contains(wanted),
            "{text:?} gave\n{found}\nwanted\n{wanted}"
        );
    }
}

#[test]
fn a_message_never_shows_what_the_environment_holds() {
    let found = problems(
        "sending_queue: {max_memory: \"${env:TOKEN}\"}\nreceivers: {http: {auth: {tokens: [{label: x, token: [\"${env:TOKEN}\"]}]}}}",
    );
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].contains("`${env:TOKEN}` is not a size"),
        "{found:?}"
    );
    assert!(!found.join("").contains("s3cret"));
}

#[test]
fn aliases_are_followed_but_cannot_grow_without_bound() {
    let config = valid("exporters:\n  a: { batch: &b { max_items: 5 } }\n  c: { batch: *b }\n");
    assert_eq!(
        config.exporters[&"c".parse().unwrap()]
            .delivery
            .batch
            .max_items,
        5
    );
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let list = vec![format!("*a{}", level - 1); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{list}]\n"));
    }
    assert!(
        problems(&text)
            .iter()
            .any(|problem| problem.contains("aliases add more than 10000 values"))
    );
}

#[test]
fn endpoints_need_an_address_and_a_port() {
    for good in [
        "127.0.0.1:4318",
        "0.0.0.0:0",
        "[::1]:4318",
        "localhost:80",
        "my-host.local:1",
    ] {
        assert_eq!(good.parse::<Endpoint>().unwrap().to_string(), good);
    }
    for bad in [
        "",
        "4318",
        ":4318",
        "localhost",
        "localhost:",
        "localhost:99999",
        "::1:4318",
        "[::1:4318",
        "[x]:1",
        "http://x:1",
        "a b:1",
    ] {
        assert!(bad.parse::<Endpoint>().is_err(), "{bad}");
    }
}

#[test]
fn plain_scalars_keep_what_they_mean() {
    let config = valid(
        "exporters: {a: {settings: {i: 5, big: 18446744073709551615, f: 1.5, yes: true, no: null, zero: 007, text: hello, quoted: \"5\", date: 2024-01-01, version: 1.2.3}}}",
    );
    let settings = &config.exporters[&"a".parse().unwrap()].settings.values;
    let wanted = serde_json::json!({"i": 5, "big": 18_446_744_073_709_551_615_u64, "f": 1.5, "yes": true, "no": null, "zero": "007",
        "text": "hello", "quoted": "5", "date": "2024-01-01", "version": "1.2.3"});
    assert_eq!(Value::Object(settings.clone()), wanted);
}

#[test]
fn every_key_of_a_shape_arrives() {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let wanted = shape::Shape {
        span_types: Some(shape::NameFilter::Drop(names(&["model_chunk"]))),
        max_wait: Duration::from_secs(5),
        log_levels: Some(shape::NameFilter::Keep(names(&["error", "fatal"]))),
        sampling_percentage: 12.5,
        redaction: shape::Redaction {
            credentials: false,
            keys: vec!["ssn".to_owned()],
            patterns: vec![r"\d{3}-\d{4}".to_owned()],
        },
        max_string_bytes: Some(32 << 10),
    };
    let config = valid(EVERYTHING);
    let eu = &config.exporters[&"langfuse/eu".parse().unwrap()];
    assert_eq!(eu.shape, wanted);
}

#[test]
fn a_shape_that_cannot_be_meant_is_told_with_what_to_write() {
    let shape = |yaml: &str| {
        let all = problems(&format!("exporters:\n  a:\n    shape: {{{yaml}}}\n"));
        assert_eq!(all.len(), 1, "{all:?}");
        all.concat()
    };
    for (yaml, wanted) in [
        ("redacton: {}", "did you mean `redaction`"),
        ("log_levels: {drop: [wran]}", "did you mean `warn`"),
        (
            "log_levels: {drop: [debug], keep: [error]}",
            "write one of them",
        ),
        ("span_types: {dorp: [x]}", "did you mean `drop`"),
        ("sampling_percentage: 101", "from 0 to 100"),
        ("sampling_percentage: half", "from 0 to 100"),
        (
            "redaction: {patterns: ['(']}",
            "not a regular expression: unclosed group",
        ),
        ("redaction: {patterns: ['x*']}", "matches everything"),
        ("redaction: {keys: ['--']}", "has no letter"),
        ("redaction: {credentials: maybe}", "true, false"),
        ("max_string_bytes: 8B", "write a size from 64"),
    ] {
        let said = shape(yaml);
        assert!(said.contains(wanted), "{yaml}: {said}");
    }
}

/// The one block of YAML in the documentation.
fn documented() -> &'static str {
    let page = include_str!("../../../docs/configuration.md");
    let (_, block) = page.split_once("```yaml\n").unwrap();
    block.split_once("```").unwrap().0
}

#[test]
fn documented_values_are_the_defaults() {
    let written = valid(documented());
    let defaults = valid("exporters: { example: }");
    let shown = |config: &Config| {
        let mut config = config.clone();
        for exporter in config.exporters.values_mut() {
            exporter.at = Position::default();
        }
        format!("{config:#?}")
    };
    assert_eq!(shown(&written), shown(&defaults));
}
