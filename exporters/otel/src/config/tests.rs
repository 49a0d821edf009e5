#![allow(
    clippy::unwrap_used,
    reason = "a failed helper of a test is a failed test"
)]

use super::*;

fn checked(json: &str) -> Result<Config, Vec<String>> {
    kit::exporter::checked(json, Settings::check)
}

#[test]
fn a_base_gets_the_paths_and_a_signals_own_endpoint_is_verbatim() {
    for base in ["http://c:4318", "http://c:4318/", "http://c:4318/v1/traces"] {
        let config = checked(&format!("{{\"endpoint\":\"{base}\"}}")).unwrap();
        assert_eq!(config.traces_url, "http://c:4318/v1/traces");
        assert_eq!(config.logs_url, "http://c:4318/v1/logs");
        assert_eq!(config.metrics_url, "http://c:4318/v1/metrics");
        assert_eq!(config.auth, None);
    }
    let config =
        checked(r#"{"endpoint":"http://c/otlp","logs_endpoint":"https://l/anything"}"#).unwrap();
    assert_eq!(config.traces_url, "http://c/otlp/v1/traces");
    assert_eq!(config.logs_url, "https://l/anything");
}

#[test]
fn each_vendor_has_its_place_key_and_encoding() {
    for (settings, traces_url, auth, encoding) in [
        (
            r#"{"dash0_api_key":"k","dash0_endpoint":"https://ingress.eu.dash0.com"}"#,
            "https://ingress.eu.dash0.com/v1/traces",
            Auth::Bearer("k".to_owned()),
            Encoding::Protobuf,
        ),
        (
            r#"{"signoz_api_key":"k","signoz_region":"eu"}"#,
            "https://ingest.eu.signoz.cloud/v1/traces",
            Auth::Header("signoz-ingestion-key".to_owned(), "k".to_owned()),
            Encoding::Protobuf,
        ),
        (
            r#"{"newrelic_api_key":"k"}"#,
            "https://otlp.nr-data.net/v1/traces",
            Auth::Header("api-key".to_owned(), "k".to_owned()),
            Encoding::Protobuf,
        ),
        (
            r#"{"traceloop_api_key":"k","traceloop_destination_id":"d"}"#,
            "https://api.traceloop.com/v1/traces",
            Auth::Bearer("k".to_owned()),
            Encoding::Json,
        ),
        (
            r#"{"laminar_api_key":"k"}"#,
            "https://api.lmnr.ai/v1/traces",
            Auth::Bearer("k".to_owned()),
            Encoding::Protobuf,
        ),
        (
            r#"{"honeycomb_api_key":"k"}"#,
            "https://api.honeycomb.io/v1/traces",
            Auth::Header("x-honeycomb-team".to_owned(), "k".to_owned()),
            Encoding::Protobuf,
        ),
        (
            r#"{"grafana_token":"k","grafana_instance_id":"1","grafana_endpoint":"https://otlp-gateway-z.grafana.net/otlp"}"#,
            "https://otlp-gateway-z.grafana.net/otlp/v1/traces",
            Auth::Basic("1".to_owned(), "k".to_owned()),
            Encoding::Protobuf,
        ),
    ] {
        let config = checked(settings).unwrap();
        assert_eq!(
            (config.traces_url.as_str(), config.auth, config.encoding),
            (traces_url, Some(auth), encoding)
        );
        assert_eq!(config.metrics.is_cumulative, settings.contains("grafana"));
    }
    let config = checked(r#"{"traceloop_api_key":"k","traceloop_destination_id":"d"}"#).unwrap();
    assert_eq!(
        config.headers.get("x-traceloop-destination-id").unwrap(),
        "d"
    );
}

#[test]
fn a_key_goes_to_no_other_vendor() {
    assert_eq!(
        checked(r#"{"signoz_api_key":"a","honeycomb_api_key":"b"}"#).unwrap_err(),
        ["preset"]
    );
    let config =
        checked(r#"{"preset":"honeycomb","signoz_api_key":"a","honeycomb_api_key":"b"}"#).unwrap();
    assert_eq!(
        config.auth,
        Some(Auth::Header("x-honeycomb-team".to_owned(), "b".to_owned()))
    );
    let config = checked(r#"{"endpoint":"http://c","signoz_api_key":"a"}"#).unwrap();
    assert_eq!(config.auth, None);
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    for (settings, at_fault) in [
        ("{}", &["endpoint"][..]),
        (
            r#"{"endpoint":"ftp://c"}"#,
            &["traces_endpoint", "logs_endpoint", "metrics_endpoint"],
        ),
        (
            r#"{"preset":"dash0"}"#,
            &["dash0_endpoint", "dash0_api_key"],
        ),
        (
            r#"{"preset":"grafana","grafana_token":"k","grafana_endpoint":"https://g"}"#,
            &["grafana_instance_id"],
        ),
        (
            r#"{"endpoint":"http://c","histogram_bounds":"1,5,5"}"#,
            &["histogram_bounds"],
        ),
        (
            r#"{"endpoint":"http://c","histogram_bounds":"1,x"}"#,
            &["histogram_bounds"],
        ),
    ] {
        assert_eq!(checked(settings).unwrap_err(), at_fault, "{settings}");
    }
}

#[test]
fn lists_of_the_specification_are_read() {
    let config = checked(
        r#"{"endpoint":"http://c","header_list":"a=1, Authorization=Basic%20eA==,broken,=x","headers":{"a":"2"},
            "resource_attribute_list":"service.namespace=shop%2Ceu,b=%","timeout":5,"compression":"none",
            "temporality":"Cumulative","histogram_bounds":"1, 2.5"}"#,
    )
    .unwrap();
    let headers: Vec<_> = config.headers.into_iter().collect();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        headers,
        [pair("Authorization", "Basic eA=="), pair("a", "2")]
    );
    assert_eq!(
        config.resource_attributes,
        [pair("b", "%"), pair("service.namespace", "shop,eu")]
    );
    assert_eq!(
        (config.timeout, config.is_compressed),
        (Duration::from_millis(5), false)
    );
    assert_eq!(
        (config.metrics.is_cumulative, &config.metrics.bounds[..]),
        (true, &[1.0, 2.5][..])
    );
}
