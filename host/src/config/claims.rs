//! Who declares which environment variables, among the components that the host knows: those that are built in, and those
//! that the operator approved. A component's own variables are told from those of others by it.

use std::collections::BTreeSet;

use super::variables::{self, Claim, Consent, Warning, classify};
use crate::approvals::Approvals;

/// A component with the variables that it declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// The component's name.
    pub name: String,
    /// `sha256:` and hex.
    pub digest: String,
    /// Its variables.
    pub variables: Vec<String>,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    built_in: Vec<Declared>,
    approved: Vec<Declared>,
}

impl Claims {
    /// What is built in and what was approved.
    #[must_use]
    pub fn new(built_in: Vec<Declared>, approvals: &Approvals) -> Self {
        let approved = approvals.iter().map(|approval| Declared {
            name: approval.name.clone(),
            digest: approval.digest.clone(),
            variables: approval.grants.environment.iter().cloned().collect(),
        });
        Self {
            approved: approved.collect(),
            built_in,
        }
    }

    /// Variables that a component may read once it is named: those that are built in with it, or that begin with its name.
    #[must_use]
    pub fn own(&self, name: &str, digest: &str, declared: &[String]) -> BTreeSet<String> {
        let is_embedded = self.built_in.iter().any(|ours| ours.digest == digest);
        let claim = Claim {
            component: name,
            variables: declared,
        };
        let (built_in, approved) = (claims(&self.built_in), claims(&self.approved));
        classify(claim, is_embedded, &built_in, &approved)
            .into_iter()
            .filter(|variable| variable.consent != Consent::ByName)
            .map(|variable| variable.name)
            .collect()
    }

    /// What the operator should know before approving a variable for a component.
    #[must_use]
    pub fn warnings(&self, component: &str, variable: &str) -> Vec<Warning> {
        let is_other = |declared: &&Declared| declared.name != component;
        let others = self.built_in.iter().chain(&self.approved).filter(is_other);
        let others: Vec<Claim<'_>> = others.map(claim).collect();
        variables::warnings(variable, &others)
    }
}

fn claims(declared: &[Declared]) -> Vec<Claim<'_>> {
    declared.iter().map(claim).collect()
}

fn claim(declared: &Declared) -> Claim<'_> {
    Claim {
        component: &declared.name,
        variables: &declared.variables,
    }
}
