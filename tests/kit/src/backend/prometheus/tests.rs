//! The fake takes good requests and refuses what is broken. There is no official exporter whose requests were recorded.

use super::*;
use crate::mutate;

#[test]
fn every_mutated_request_is_refused_for_its_own_reason() {
    for table in ["prometheus/mutations.json", "prometheus/mutations-2.json"] {
        mutate::check(&Prometheus::default(), &mutate::read(table).unwrap()).unwrap();
    }
}

#[test]
fn an_older_one_does_not_know_version_two() {
    let old = Prometheus {
        knows_version_two: false,
        ..Prometheus::default()
    };
    let table = mutate::read("prometheus/mutations-2.json").unwrap();
    let refused = mutate::check(&old, &table).unwrap_err().to_string();
    assert!(refused.contains("415"), "{refused}");
}
