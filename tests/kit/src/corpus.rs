//! Compares what an exporter writes for the recorded events with what the official exporter wrote for them, leaf by leaf.
//!
//! A recording (`tests/corpus/<exporter>.json`) holds `items`: one record per span, row, run or score, independent of
//! batching. A test turns our requests into items of the same kinds and keys and calls [`Recording::compare`]. Every leaf
//! that differs must be listed in the exporter's `differences.json`, by its exact path, with both values and the reason;
//! an entry that is not needed is an error, as is a share of equal leaves below the bound.

#![expect(
    clippy::indexing_slicing,
    reason = "`Value[key]` answers null for what is not there"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use serde_json::{Map, Value, json};

/// At least this share of the leaves must be equal.
pub const MIN_SHARE: f64 = 0.9;

/// One record, however it was batched.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// `otlp.span`, `langfuse.ingestion`, ...
    pub kind: String,
    /// Unique within its kind.
    pub key: String,
    /// The record.
    pub value: Value,
}

/// What an official exporter put on the wire for the recorded events.
#[derive(Clone, Debug)]
pub struct Recording {
    /// How the official exporter was set up.
    pub config: Value,
    /// Sorted by kind and key.
    pub items: Vec<Item>,
    /// Paths that differ between two runs of the official exporter.
    volatile: BTreeSet<String>,
    /// Paths that say something of the official exporter's own process.
    artefacts: BTreeSet<String>,
}

impl Recording {
    /// Reads a recording.
    ///
    /// # Errors
    /// The file cannot be read or has another form.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let whole: Value = serde_json::from_str(&text)
            .with_context(|| format!("{} is not JSON", path.display()))?;
        let items = whole["items"]
            .as_array()
            .context("a recording has `items`")?;
        let text_of = |value: &Value| {
            value
                .as_str()
                .map(str::to_owned)
                .context("items have a kind and a key")
        };
        let items = items
            .iter()
            .map(|item| {
                Ok(Item {
                    kind: text_of(&item["kind"])?,
                    key: text_of(&item["key"])?,
                    value: item["value"].clone(),
                })
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        let volatile = whole["volatile"]["paths"]
            .as_array()
            .context("a recording has `volatile.paths`")?;
        let volatile = volatile
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        Ok(Self {
            config: whole["config"].clone(),
            items,
            volatile,
            artefacts: BTreeSet::new(),
        })
    }

    /// Declares paths (spelled as in `volatile.paths`) that describe the official exporter's own process, such as the
    /// line of its code that made a record. Nobody else can write them: they are counted apart, and not compared.
    #[must_use]
    pub fn with_artefacts(mut self, paths: &[&str]) -> Self {
        self.artefacts = paths.iter().map(|path| (*path).to_owned()).collect();
        self
    }

    /// Compares our items with the recorded ones. Items that only one side has count with all their leaves.
    #[must_use]
    pub fn compare(&self, ours: &[Item]) -> Comparison {
        let mut pairs: BTreeMap<(&str, &str), [Option<&Value>; 2]> = BTreeMap::new();
        for (side, items) in [&self.items[..], ours].into_iter().enumerate() {
            for item in items {
                pairs.entry((&item.kind, &item.key)).or_default()[side] = Some(&item.value);
            }
        }
        let mut comparison = Comparison {
            equal: 0,
            artefacts: 0,
            differences: Vec::new(),
        };
        for ((kind, key), sides) in pairs {
            let mut leaves: BTreeMap<String, [Option<Value>; 2]> = BTreeMap::new();
            for (side, value) in sides.into_iter().enumerate() {
                let Some(value) = value else { continue };
                flatten(value, &mut Vec::new(), &mut |steps, leaf| {
                    let path = volatile_path(kind, steps);
                    if self.artefacts.contains(&path) {
                        comparison.artefacts += 1;
                    } else if !self.volatile.contains(&path) {
                        leaves.entry(pointer(steps)).or_default()[side] = Some(leaf.clone());
                    }
                });
            }
            for (path, [official, ours]) in leaves {
                if official == ours {
                    comparison.equal += 1;
                } else {
                    comparison.differences.push(Difference {
                        item: format!("{kind}/{key}"),
                        path,
                        official,
                        ours,
                    });
                }
            }
        }
        comparison
    }
}

/// A leaf that differs.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// `kind/key`
    pub item: String,
    /// JSON Pointer (RFC 6901) inside the item's value.
    pub path: String,
    /// What the official exporter wrote; `None` when nothing.
    pub official: Option<Value>,
    /// What we write; `None` when nothing.
    pub ours: Option<Value>,
}

/// The outcome of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Leaves that are the same.
    pub equal: usize,
    /// Leaves that were not compared, see [`Recording::with_artefacts`].
    pub artefacts: usize,
    /// Leaves that are not, by item and path.
    pub differences: Vec<Difference>,
}

impl Comparison {
    /// Leaves compared: those of either side, without the volatile ones.
    #[must_use]
    pub fn leaves(&self) -> usize {
        self.equal + self.differences.len()
    }

    /// Share of equal leaves.
    #[must_use]
    pub fn share(&self) -> f64 {
        self.equal as f64 / self.leaves().max(1) as f64
    }

    /// Checks that the share is high enough and that exactly the differing leaves are listed in `file` under `recording`.
    /// With `UPDATE_DIFFERENCES=1` rewrites them there, keeping known reasons; new entries then still lack theirs.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    #[expect(
        clippy::print_stdout,
        reason = "the share is for people who read the test's output"
    )]
    pub fn check(&self, file: &Path, recording: &str) -> anyhow::Result<()> {
        println!(
            "{recording}: {} of {} leaves equal, {:.1} %; {} of the official exporter's own process",
            self.equal,
            self.leaves(),
            self.share() * 100.0,
            self.artefacts
        );
        if std::env::var_os("UPDATE_DIFFERENCES").is_some() {
            self.update(file, recording)?;
        }
        let listed = read_list(file)?;
        let listed = listed
            .get(recording)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let mut wrong = Vec::new();
        let mut unused: Vec<&Value> = listed.iter().collect();
        for difference in &self.differences {
            match unused
                .iter()
                .position(|entry| difference.is_listed_as(entry))
            {
                Some(at) => {
                    let reason = unused.remove(at)["reason"].as_str().unwrap_or_default();
                    if reason.trim().is_empty() {
                        wrong.push(format!(
                            "no reason: {} {}",
                            difference.item, difference.path
                        ));
                    }
                }
                None => wrong.push(format!("not listed: {}", difference.to_json(""))),
            }
        }
        wrong.extend(unused.iter().map(|entry| format!("not needed: {entry}")));
        ensure!(
            wrong.is_empty(),
            "{} of {}:\n{}",
            file.display(),
            recording,
            wrong.join("\n")
        );
        ensure!(
            self.share() >= MIN_SHARE,
            "{recording}: only {:.1} % of the leaves are equal",
            self.share() * 100.0
        );
        Ok(())
    }

    fn update(&self, file: &Path, recording: &str) -> anyhow::Result<()> {
        let mut all = read_list(file).unwrap_or_default();
        let known = all
            .get(recording)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let entries = self.differences.iter().map(|difference| {
            let same_place = |entry: &&Value| {
                entry["item"] == difference.item && entry["path"] == difference.path
            };
            let reason = known
                .iter()
                .find(same_place)
                .and_then(|entry| entry["reason"].as_str())
                .unwrap_or_default();
            difference.to_json(reason)
        });
        all.insert(recording.to_owned(), entries.collect());
        fs::write(file, serde_json::to_string_pretty(&all)? + "\n")
            .with_context(|| format!("cannot write {}", file.display()))
    }
}

impl Difference {
    fn is_listed_as(&self, entry: &Value) -> bool {
        entry["item"] == self.item
            && entry["path"] == self.path
            && entry.get("official") == self.official.as_ref()
            && entry.get("ours") == self.ours.as_ref()
    }

    fn to_json(&self, reason: &str) -> Value {
        let mut entry = Map::new();
        entry.insert("item".to_owned(), json!(self.item));
        entry.insert("path".to_owned(), json!(self.path));
        for (name, value) in [("official", &self.official), ("ours", &self.ours)] {
            if let Some(value) = value {
                entry.insert(name.to_owned(), value.clone());
            }
        }
        entry.insert("reason".to_owned(), json!(reason));
        Value::Object(entry)
    }
}

fn read_list(file: &Path) -> anyhow::Result<Map<String, Value>> {
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    match serde_json::from_str(&text)? {
        Value::Object(lists) => Ok(lists),
        _ => bail!(
            "{} must be an object from recording to list",
            file.display()
        ),
    }
}

#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

/// Calls `found` for each scalar and each empty array or object.
fn flatten<'a>(
    value: &'a Value,
    steps: &mut Vec<Step<'a>>,
    found: &mut impl FnMut(&[Step<'a>], &'a Value),
) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (key, member) in members {
                steps.push(Step::Key(key));
                flatten(member, steps, found);
                steps.pop();
            }
        }
        Value::Array(elements) if !elements.is_empty() => {
            for (index, element) in elements.iter().enumerate() {
                steps.push(Step::Index(index));
                flatten(element, steps, found);
                steps.pop();
            }
        }
        leaf => found(steps, leaf),
    }
}

fn pointer(steps: &[Step<'_>]) -> String {
    steps
        .iter()
        .map(|step| match step {
            Step::Key(key) => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
            Step::Index(index) => format!("/{index}"),
        })
        .collect()
}

/// As recordings spell it: `kind.key.key[*].key`.
fn volatile_path(kind: &str, steps: &[Step<'_>]) -> String {
    let mut path = kind.to_owned();
    for step in steps {
        match step {
            Step::Key(key) => {
                path.push('.');
                path.push_str(key);
            }
            Step::Index(_) => path.push_str("[*]"),
        }
    }
    path
}

/// The spans of an OTLP/JSON request as items of kind `otlp.span`: attributes as maps, resource and scope on each span.
#[must_use]
pub fn otlp_span_items(request: &Value) -> Vec<Item> {
    let mut items = Vec::new();
    for of_resource in array(&request["resourceSpans"]) {
        let resource = attribute_map(&of_resource["resource"]["attributes"]);
        for of_scope in array(&of_resource["scopeSpans"]) {
            for span in array(&of_scope["spans"]) {
                let mut value = json!({"resource": resource, "scope": of_scope["scope"]});
                for (key, member) in span.as_object().into_iter().flatten() {
                    value[key] = match key.as_str() {
                        "attributes" => attribute_map(member),
                        "events" | "links" => {
                            array(member).iter().map(with_attribute_map).collect()
                        }
                        _ => member.clone(),
                    };
                }
                let key = span["spanId"].as_str().unwrap_or_default().to_owned();
                items.push(Item {
                    kind: "otlp.span".to_owned(),
                    key,
                    value,
                });
            }
        }
    }
    items
}

/// The records of an OTLP/JSON request of logs as items of kind `otlp.log`, in the same form; the key is time, severity and
/// body.
#[must_use]
pub fn otlp_log_items(request: &Value) -> Vec<Item> {
    let mut items = Vec::new();
    for of_resource in array(&request["resourceLogs"]) {
        let resource = attribute_map(&of_resource["resource"]["attributes"]);
        for of_scope in array(&of_resource["scopeLogs"]) {
            for record in array(&of_scope["logRecords"]) {
                let mut value = json!({"resource": resource, "scope": of_scope["scope"]});
                for (key, member) in record.as_object().into_iter().flatten() {
                    value[key] = if key == "attributes" {
                        attribute_map(member)
                    } else {
                        member.clone()
                    };
                }
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                items.push(Item {
                    kind: "otlp.log".to_owned(),
                    key: format!(
                        "{}|{}|{}",
                        text(&record["timeUnixNano"]),
                        text(&record["severityText"]),
                        text(&record["body"]["stringValue"])
                    ),
                    value,
                });
            }
        }
    }
    items
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn with_attribute_map(object: &Value) -> Value {
    let mut object = object.clone();
    object["attributes"] = attribute_map(&object["attributes"]);
    object
}

fn attribute_map(attributes: &Value) -> Value {
    let pairs = array(attributes).iter().map(|attribute| {
        (
            attribute["key"].as_str().unwrap_or_default().to_owned(),
            attribute["value"].clone(),
        )
    });
    Value::Object(pairs.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording(value: Value) -> Recording {
        let items = vec![Item {
            kind: "k".to_owned(),
            key: "1".to_owned(),
            value,
        }];
        Recording {
            config: Value::Null,
            items,
            volatile: ["k.list[*].at".to_owned()].into(),
            artefacts: BTreeSet::new(),
        }
    }

    fn ours(value: Value) -> [Item; 1] {
        [Item {
            kind: "k".to_owned(),
            key: "1".to_owned(),
            value,
        }]
    }

    #[test]
    fn leaves_of_both_sides_count_and_volatile_ones_do_not() {
        let official =
            recording(json!({"a": 1, "b": {}, "list": [{"at": 1, "x/y": "s"}], "gone": null}));
        let comparison = official.compare(&ours(
            json!({"a": 1, "b": {}, "list": [{"at": 2, "x/y": "t"}], "new": []}),
        ));
        assert_eq!(comparison.equal, 2);
        let paths: Vec<_> = comparison
            .differences
            .iter()
            .map(|difference| difference.path.as_str())
            .collect();
        assert_eq!(paths, ["/gone", "/list/0/x~1y", "/new"]);
        assert_eq!(comparison.leaves(), 5);
    }

    #[test]
    fn artefacts_are_counted_apart() {
        let official =
            recording(json!({"a": 1, "list": [{"line": 299}]})).with_artefacts(&["k.list[*].line"]);
        let comparison = official.compare(&ours(json!({"a": 1})));
        assert_eq!((comparison.equal, comparison.artefacts), (1, 1));
        assert_eq!(comparison.differences, []);
    }

    #[test]
    fn items_of_one_side_count_with_all_leaves() {
        let comparison = recording(json!({"a": 1, "b": 2})).compare(&[]);
        assert_eq!((comparison.equal, comparison.differences.len()), (0, 2));
    }

    fn checked(list: &Value) -> Result<(), String> {
        let file = std::env::temp_dir().join(format!(
            "differences-{}-{:p}.json",
            std::process::id(),
            &list
        ));
        fs::write(&file, list.to_string()).unwrap();
        let many: Map<String, Value> = (0..20)
            .map(|number| (format!("e{number:02}"), json!(number)))
            .collect();
        let mut official = Value::Object(many.clone());
        official["x"] = json!(1);
        let checked = recording(official)
            .compare(&ours(Value::Object(many)))
            .check(&file, "r");
        fs::remove_file(&file).unwrap();
        checked.map_err(|error| error.to_string())
    }

    #[test]
    fn every_difference_must_be_listed_exactly_and_with_a_reason() {
        let entry = json!({"item": "k/1", "path": "/x", "official": 1, "reason": "not ours"});
        assert_eq!(checked(&json!({"r": [entry]})), Ok(()));
        assert!(
            checked(&json!({"r": []}))
                .unwrap_err()
                .contains("not listed")
        );
        let wrong_value = json!({"item": "k/1", "path": "/x", "official": 2, "reason": "not ours"});
        assert!(
            checked(&json!({"r": [wrong_value]}))
                .unwrap_err()
                .contains("not needed")
        );
        assert!(
            checked(&json!({"r": [entry, entry]}))
                .unwrap_err()
                .contains("not needed")
        );
        let silent = json!({"item": "k/1", "path": "/x", "official": 1, "reason": " "});
        assert!(
            checked(&json!({"r": [silent]}))
                .unwrap_err()
                .contains("no reason")
        );
    }

    #[test]
    fn too_few_equal_leaves_fail_even_when_listed() {
        let comparison = Comparison {
            equal: 8,
            artefacts: 0,
            differences: Vec::new(),
        };
        assert_eq!(comparison.share(), 1.0);
        let half = recording(json!({"a": 1, "b": 2})).compare(&ours(json!({"a": 1, "b": 3})));
        assert!(half.share() < MIN_SHARE);
    }
}
