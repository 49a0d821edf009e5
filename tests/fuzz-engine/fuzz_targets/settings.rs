//! Settings schemas of components with settings of operators: a schema, a zero byte, the settings, a zero byte, and a text
//! for every environment variable that the schema names.
#![no_main]
#![allow(
    clippy::panic,
    missing_docs,
    reason = "a panic is what the fuzzer looks for"
)]

use libfuzzer_sys::fuzz_target;
use mastra_host::config::settings::{self, Variables, bounds, schema};
use mastra_host::config::{Environment, RawSettings};
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let mut parts = data.split(|byte| *byte == 0);
    let mut json =
        || serde_json::from_slice(parts.next().unwrap_or_default()).unwrap_or(Value::Null);
    let (given, operator, text) = (json(), json(), json());
    if let Err(reason) = bounds::check(&given) {
        assert!(reason.len() < 4096, "a reason of {} bytes", reason.len());
        return;
    }
    let mut raw = RawSettings::default();
    if let Value::Object(values) = operator {
        raw.values = values;
    }
    let text = text.as_str().unwrap_or("1").to_owned();
    let properties = given.get("properties").and_then(Value::as_object);
    let names = properties.into_iter().flatten();
    let names = names.flat_map(|(_, property)| schema::environment_names(property));
    let environment: Environment = names.map(|name| (name.to_owned(), text.clone())).collect();
    // Every second variable is the component's.
    let approved = environment.keys().step_by(2).cloned().collect();
    let variables = Variables {
        environment: &environment,
        approved: &approved,
    };
    for variables in [None, Some(&variables)] {
        match settings::resolve(&given, &raw, variables) {
            Ok(resolved) => assert!(format!("{resolved:?}").len() <= 2 * data.len() + 64),
            Err(problems) => {
                assert!(!problems.is_empty(), "refused without a reason");
                for problem in problems {
                    assert!(
                        problem.to_string().len() < 64 << 10,
                        "a problem of megabytes"
                    );
                }
            }
        }
    }
});
