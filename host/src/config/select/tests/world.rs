//! A directory of components, approvals, and what is built in, for the tests of plans.

use serde_json::json;

use super::super::*;
use crate::approvals::ApprovedBy;
use crate::config::claims::{Claims, Declared};
use crate::config::{Environment, load};

pub(super) const KEY: [(&str, &str); 1] = [("LANGFUSE_PUBLIC_KEY", "pk-1")];

pub(super) fn langfuse() -> ComponentFacts {
    let schema = json!({
        "required": ["public_key"],
        "properties": {"public_key": {"type": "string", "x-env": ["LANGFUSE_PUBLIC_KEY"]}, "rate": {"type": "number", "x-env": ["LANGFUSE_RATE"]}},
    });
    ComponentFacts::sample("langfuse", &[Signal::Traces, Signal::Scores], schema)
}

pub(super) fn json_lines() -> ComponentFacts {
    ComponentFacts::sample(
        "json",
        &Signal::ALL,
        json!({"properties": {"target": {"type": "string", "default": "stdout", "x-output": true}}}),
    )
}

pub(super) fn digest_of(component: &ComponentFacts) -> String {
    component.digest.clone()
}

/// What of a plan tests look at.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) exporters: BTreeMap<ExporterId, Planned>,
    pub(super) idle: Vec<Idle>,
    pub(super) problems: Vec<Problem>,
    pub(super) waiting: BTreeMap<ExporterId, String>,
    pub(super) unapproved: Vec<PathBuf>,
    pub(super) record: Vec<Approval>,
}

/// A directory `plugins` with langfuse, json, and a file that does not load. Both are built in unless a test says otherwise.
pub(super) struct World {
    pub(super) components: BTreeMap<PathBuf, ComponentFacts>,
    /// What was approved, by digest: its bytes are kept.
    pub(super) kept: BTreeMap<String, ComponentFacts>,
    pub(super) approvals: Approvals,
    pub(super) built_in: BTreeMap<String, String>,
}

impl World {
    pub(super) fn new() -> Self {
        let components = [langfuse(), json_lines()];
        Self {
            built_in: components
                .iter()
                .map(|component| (component.name.clone(), component.digest.clone()))
                .collect(),
            components: components
                .into_iter()
                .map(|component| (path(&component.name), component))
                .collect(),
            kept: BTreeMap::new(),
            approvals: Approvals::default(),
        }
    }

    /// Nothing is built in or approved.
    pub(super) fn strange() -> Self {
        Self {
            built_in: BTreeMap::new(),
            ..Self::new()
        }
    }

    pub(super) fn approve(&mut self, name: &str, variables: &[&str]) {
        let component = self.components[&path(name)].clone();
        self.approvals.add(Approval {
            exporter: name.to_owned(),
            digest: component.digest.clone(),
            name: component.name.clone(),
            version: component.version.clone(),
            file: component.real_file.clone(),
            grants: component.grants(),
            variables: variables.iter().map(|name| (*name).to_owned()).collect(),
            by: ApprovedBy::Command,
            approved_at: String::new(),
        });
        self.kept.insert(component.digest.clone(), component);
    }

    pub(super) fn change(&mut self, name: &str, change: impl FnOnce(&mut ComponentFacts)) {
        let component = self.components.get_mut(&path(name)).unwrap();
        component.digest = format!("sha256:new-{name}");
        change(component);
    }

    pub(super) fn files(&self, wanted: &BTreeSet<PathBuf>) -> Files {
        let mut files: Files = BTreeMap::new();
        for file in wanted {
            if file == &path("broken") {
                files.insert(file.clone(), Err("not a component".to_owned()));
            } else if let Some(component) = self.components.get(file) {
                let facts = FileFacts {
                    real: component.real_file.clone().unwrap(),
                    digest: component.digest.clone(),
                    size_bytes: component.size_bytes,
                    contract: component.contract.clone(),
                    signals: component.signals.clone(),
                    imports: component.imports.clone(),
                };
                files.insert(file.clone(), Ok(facts));
            }
        }
        files
    }

    pub(super) fn load(&self, source: &Source) -> Result<ComponentFacts, String> {
        let found = match source {
            Source::File(file) => self.components.get(file),
            Source::Kept { digest, .. } => self.kept.get(digest),
            Source::BuiltIn(name) => self.components.get(&path(name)),
        };
        let found = found.cloned().ok_or_else(|| "not a component".to_owned())?;
        Ok(ComponentFacts {
            source: source.clone(),
            ..found
        })
    }

    pub(super) fn plan(
        &self,
        config: &str,
        plugins: &[&str],
        environment: &[(&str, &str)],
    ) -> Plan {
        let environment: Environment = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let loaded = load(config, &environment);
        assert_eq!(loaded.problems, vec![]);
        let plugins: Vec<PathBuf> = plugins.iter().map(PathBuf::from).collect();
        let mut listing: Vec<PathBuf> = self.components.keys().cloned().collect();
        listing.insert(0, path("broken"));
        let request = Request {
            config: &loaded.config,
            plugins: &plugins,
            directory: Path::new("./plugins"),
            listing: &listing,
            approvals: &self.approvals,
            built_in: &self.built_in,
        };
        let choice = request.choose(&self.files(&request.files()));
        let ours = |(name, digest): (&String, &String)| Declared {
            name: name.clone(),
            digest: digest.clone(),
            variables: Vec::new(),
        };
        let built_in = self.built_in.iter().map(ours).collect();
        let claims = Claims::new(built_in, &self.approvals);
        let around = Surroundings {
            config: &loaded.config,
            environment: &environment,
            claims: &claims,
            now: "now",
        };
        let mut plan = Plan {
            idle: choice.idle,
            problems: choice.problems,
            waiting: choice.waiting,
            unapproved: choice.unapproved,
            ..Plan::default()
        };
        for wanted in &choice.wanted {
            let mut outcomes = vec![self.outcome(wanted, &around)];
            if let Some(fallback) = wanted.fallback.as_deref()
                && outcomes[0].exporters.is_empty()
            {
                outcomes.push(self.outcome(fallback, &around));
            }
            for outcome in outcomes {
                plan.exporters.extend(outcome.exporters);
                plan.idle.extend(outcome.idle);
                plan.problems.extend(outcome.problems);
                plan.waiting.extend(outcome.waiting);
                plan.record.extend(outcome.record);
            }
        }
        plan.idle.sort_by(|left, right| left.file.cmp(&right.file));
        plan
    }

    pub(super) fn outcome(&self, wanted: &Wanted, around: &Surroundings<'_>) -> Outcome {
        match self.load(&wanted.source) {
            Ok(facts) => wanted.plan(&facts, around),
            Err(reason) => wanted.failed(&reason),
        }
    }
}

pub(super) fn path(name: &str) -> PathBuf {
    PathBuf::from(format!("plugins/{name}.wasm"))
}

pub(super) fn digest<'a>(plan: &'a Plan, id: &str) -> &'a str {
    &plan.exporters[&id.parse().unwrap()].component.digest
}
