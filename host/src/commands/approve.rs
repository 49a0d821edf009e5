//! Approving components and taking approvals back: by a command, by a host that runs, or by the answer to a question.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::places::Shelf;
use super::{Context, Exit, causes, list_components};
use crate::approvals::{Approval, Approvals, ApprovedBy};
use crate::cli::{Output, PluginApproveArgs, PluginRevokeArgs};
use crate::config::ComponentRef;
use crate::config::component::ComponentFacts;
use crate::config::select::{Source, short, tidy};
use crate::print::plugins::{Granted, granted};
use crate::print::{Lines, Look, Tone, line};

/// Who records it, which decides what happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Where {
    /// This process, and no host runs.
    Here,
    /// A host that runs.
    InHost,
}

/// One component that is to be approved.
pub(super) struct Asked {
    facts: ComponentFacts,
    exporter: String,
    /// Variables beyond its own.
    variables: BTreeSet<String>,
    before: Option<Approval>,
    warnings: Vec<String>,
}

/// Records all components or, when one cannot be approved, none.
pub(super) fn approve(
    args: &PluginApproveArgs,
    shelf: &Shelf,
    place: Where,
    ctx: &mut Context<'_>,
) -> Exit {
    let output = args.output.format;
    let mut asked = Vec::new();
    let mut exit = Exit::Fine;
    for component in &args.components {
        match ask(component, args, shelf, ctx) {
            Ok(Some(one)) => asked.push(one),
            Ok(None) => {}
            Err(reason) => exit = ctx.fail(output, Exit::Failed, &reason),
        }
    }
    if exit != Exit::Fine {
        return exit;
    }
    if args.print_config {
        let text: Vec<String> = asked.iter().map(config_block).collect();
        ctx.print(&format!("exporters:\n{}", text.concat()));
        return Exit::Fine;
    }
    let mut text = String::new();
    for one in &asked {
        if let Err(reason) = record(one, shelf, ctx) {
            return ctx.fail(output, Exit::Failed, &reason);
        }
        text.push_str(&report(one, place, ctx.look));
    }
    match output {
        Output::Human => ctx.print(&text),
        Output::Json => {
            let approved: Vec<_> = asked.iter().map(as_json).collect();
            ctx.print(&line(&json!({ "approved": approved })));
        }
    }
    exit
}

/// What a component of a file asks for, to be approved by an answer.
///
/// # Errors
/// The component cannot be loaded.
pub(super) fn offer(file: &Path, shelf: &Shelf, ctx: &Context<'_>) -> Result<Asked, String> {
    let source = Source::File(file.to_owned());
    let facts = ctx
        .load_one(&source)
        .map_err(|reason| format!("{source}: {reason}"))?;
    asked_of(facts, None, &[], shelf)
}

impl Asked {
    /// For people: what it may do, the difference from the last approval, and warnings.
    pub(super) fn list(&self, look: Look) -> String {
        list(self, look)
    }

    /// Records the approval.
    ///
    /// # Errors
    /// The file has changed, or the state directory cannot be written.
    pub(super) fn record(&self, shelf: &Shelf, ctx: &Context<'_>) -> Result<(), String> {
        record(self, shelf, ctx)
    }
}

fn ask(
    component: &Path,
    args: &PluginApproveArgs,
    shelf: &Shelf,
    ctx: &mut Context<'_>,
) -> Result<Option<Asked>, String> {
    let source = source_of(component, shelf, ctx)?;
    let name = match &source {
        Source::BuiltIn(name) => Some(name.clone()),
        source => {
            let mut files = BTreeSet::new();
            if let Source::File(file) = source {
                files.insert(file.clone());
            }
            // Nothing of a file runs that is none: its reason is better than the engine's.
            let looked = ctx.components.examine(&files);
            match looked.values().next() {
                Some(Err(reason)) => return Err(format!("{source}: {reason}")),
                Some(Ok(facts)) => built_in_name(&facts.digest, shelf),
                None => None,
            }
        }
    };
    if let Some(name) = name {
        ctx.note(&format!(
            "{source} is the component {name} of this host, which needs no approval"
        ));
        return Ok(None);
    }
    let facts = ctx
        .load_one(&source)
        .map_err(|reason| format!("{source}: {reason}"))?;
    let exporter = args.exporter.as_ref().map(ToString::to_string);
    asked_of(facts, exporter, &args.variables, shelf).map(Some)
}

fn asked_of(
    facts: ComponentFacts,
    exporter: Option<String>,
    named: &[String],
    shelf: &Shelf,
) -> Result<Asked, String> {
    let declared = facts.grants().environment;
    if let Some(unknown) = named.iter().find(|name| !declared.contains(*name)) {
        let declared: Vec<&str> = declared.iter().map(String::as_str).collect();
        let known = match declared.as_slice() {
            [] => "it reads none".to_owned(),
            names => format!("it declares {}", names.join(", ")),
        };
        return Err(format!(
            "{}: the component does not declare the environment variable {unknown}; {known}",
            facts.source
        ));
    }
    let all: Vec<String> = declared.into_iter().collect();
    let own = shelf.claims.own(&facts.name, &facts.digest, &all);
    let extra: BTreeSet<String> = named.iter().cloned().collect();
    let warn = |variable: &String| {
        let warnings = shelf.claims.warnings(&facts.name, variable).into_iter();
        let words: Vec<String> = warnings.map(|warning| warning.to_string()).collect();
        (!words.is_empty()).then(|| format!("{variable}: {}", words.join("; ")))
    };
    let warnings = extra.iter().filter_map(warn).collect();
    let exporter = exporter.unwrap_or_else(|| facts.name.clone());
    let before = shelf
        .approvals
        .of_file(
            facts.real_file.as_deref().unwrap_or(Path::new("")),
            Some(&exporter),
        )
        .or_else(|| shelf.approvals.of_name(&exporter))
        .cloned();
    Ok(Asked {
        exporter,
        variables: own.union(&extra).cloned().collect(),
        before,
        warnings,
        facts,
    })
}

/// A digest means a file of the directory or kept bytes; a name means the file of the directory that may be approved.
fn source_of(component: &Path, shelf: &Shelf, ctx: &Context<'_>) -> Result<Source, String> {
    let text = component.to_string_lossy();
    if is_digest(&text) {
        return source_of_digest(&text, shelf, ctx);
    }
    if let ComponentRef::Name(name) = ComponentRef::parse(component) {
        let file = tidy(&shelf.directory).join(format!("{name}.wasm"));
        if file.exists() {
            return Ok(Source::File(file));
        }
    }
    shelf.source(component, ctx)
}

/// A digest, or a beginning of one that is as long as the host prints it: `sha256:` alone must not mean everything.
fn is_digest(text: &str) -> bool {
    short(text).len() == short(&"0".repeat(80)).len() && text.starts_with("sha256:")
}

fn source_of_digest(digest: &str, shelf: &Shelf, ctx: &Context<'_>) -> Result<Source, String> {
    let listed = list_components(&shelf.directory).unwrap_or_default();
    let files = ctx.components.examine(&listed.into_iter().collect());
    let mut found = files
        .into_iter()
        .filter(|(_, facts)| {
            facts
                .as_ref()
                .is_ok_and(|facts| facts.digest.starts_with(digest))
        })
        .map(|(file, _)| Source::File(file));
    match (found.next(), found.next()) {
        (Some(source), None) => Ok(source),
        (Some(_), Some(_)) => Err(format!(
            "{digest} fits several files of {}",
            shelf.directory.display()
        )),
        (None, _) => Err(format!(
            "no file of {} has the digest {digest}",
            shelf.directory.display()
        )),
    }
}

fn built_in_name(digest: &str, shelf: &Shelf) -> Option<String> {
    let mut all = shelf.built_in.iter();
    all.find(|(_, known)| *known == digest)
        .map(|(name, _)| name.clone())
}

fn record(one: &Asked, shelf: &Shelf, ctx: &Context<'_>) -> Result<(), String> {
    let bytes = ctx.components.bytes(&one.facts.source)?;
    record_bytes(&shelf.state, &bytes, approval(one))
}

/// Keeps the bytes and records the approval.
///
/// # Errors
/// The bytes are others than those of the approval, or the state directory cannot be written.
pub(super) fn record_bytes(
    state: &crate::approvals::StateDirectory,
    bytes: &[u8],
    approval: Approval,
) -> Result<(), String> {
    let digest = crate::approvals::digest(bytes);
    if digest != approval.digest {
        let (now, then) = (short(&digest), short(&approval.digest));
        return Err(format!(
            "the file has changed from {then} to {now} meanwhile; approve it again"
        ));
    }
    Approvals::keep_bytes(state, &digest, bytes).map_err(|error| causes(&error))?;
    Approvals::change(state, |approvals| approvals.add(approval))
        .map_err(|error| causes(&error))
        .map(drop)
}

fn approval(one: &Asked) -> Approval {
    let file = match &one.facts.source {
        Source::Kept { file, .. } => Some(file.clone()),
        _ => one.facts.real_file.clone(),
    };
    Approval {
        exporter: one.exporter.clone(),
        digest: one.facts.digest.clone(),
        name: one.facts.name.clone(),
        version: one.facts.version.clone(),
        file,
        grants: one.facts.grants(),
        variables: one.variables.clone(),
        by: ApprovedBy::Command,
        approved_at: now(),
    }
}

/// Now, RFC 3339.
pub(super) fn now() -> String {
    jiff::Timestamp::now().to_string()
}

/// The list, the difference from the last approval, and warnings.
fn list(one: &Asked, look: Look) -> String {
    let asked = one.facts.grants();
    let mut text = Lines::default();
    text.append(&granted(
        &Granted {
            name: &one.exporter,
            version: &one.facts.version,
            digest: &one.facts.digest,
            asked: &asked,
            variables: &one.variables,
            output: None,
        },
        look,
    ));
    if let Some(before) = one
        .before
        .as_ref()
        .filter(|before| before.digest != one.facts.digest)
    {
        let (version, digest) = (&before.version, short(&before.digest));
        let more = asked.beyond(&before.grants);
        let difference = if more.is_empty() {
            "nothing more".to_owned()
        } else {
            format!("also {}", more.join(", "))
        };
        text.line(format_args!(
            "  Since the last approval ({version}, {digest}) it asks for {difference}."
        ));
    }
    for warning in &one.warnings {
        let mark = look.paint(Tone::Warning, "warning:");
        text.line(format_args!("{mark} {warning}"));
    }
    text.into_text()
}

fn report(one: &Asked, place: Where, look: Look) -> String {
    let next = match place {
        Where::Here => "It runs with the next `mastra-host run`",
        Where::InHost => "The running host starts it now",
    };
    let held_back: Vec<String> = one
        .facts
        .grants()
        .environment
        .difference(&one.variables)
        .map(|name| format!("--env {name}"))
        .collect();
    let mut text = Lines::default();
    text.append(&list(one, look));
    text.line(format_args!("Approved. {next}."));
    if !held_back.is_empty() {
        text.line(format_args!(
            "It does not get the variables that are not its own. To let it have them: `mastra-host plugin approve {} {}`",
            one.facts.source,
            held_back.join(" ")
        ));
    }
    text.into_text()
}

fn as_json(one: &Asked) -> serde_json::Value {
    let more = one
        .before
        .as_ref()
        .map(|before| one.facts.grants().beyond(&before.grants));
    json!({
        "file": one.facts.source.to_string(),
        "name": one.facts.name,
        "exporter": one.exporter,
        "digest": one.facts.digest,
        "grants": one.facts.grants(),
        "variables": one.variables,
        "beyond_last_approval": more,
        "warnings": one.warnings,
    })
}

/// The approval as a config declares it.
fn config_block(one: &Asked) -> String {
    let quoted = |texts: &BTreeSet<String>| {
        let texts: Vec<String> = texts.iter().map(|text| format!("{text:?}")).collect();
        texts.join(", ")
    };
    let asked = one.facts.grants();
    let file = match &one.facts.source {
        Source::File(file) | Source::Kept { file, .. } => file.display().to_string(),
        Source::BuiltIn(name) => name.clone(),
    };
    let mut text = format!(
        "  {}:\n    component:\n      file: {file:?}\n      digest: \"{}\"\n      allow:\n        hosts: [{}]\n        env: [{}]\n",
        one.exporter,
        one.facts.digest,
        quoted(&asked.hosts),
        quoted(&one.variables),
    );
    if asked.output_setting().is_some() {
        text.push_str("        output: [\"stdout\"]\n");
    }
    text
}

/// Takes approvals back.
pub(super) fn revoke(
    args: &PluginRevokeArgs,
    shelf: &Shelf,
    place: Where,
    ctx: &mut Context<'_>,
) -> Exit {
    let output = args.output.format;
    let mut revoked: Vec<Approval> = Vec::new();
    for component in &args.components {
        let text = component.to_string_lossy().into_owned();
        let real: PathBuf = component
            .canonicalize()
            .unwrap_or_else(|_| component.clone());
        // As `approve` takes the name of a file in the plugins directory.
        let listed = shelf.directory.join(format!("{text}.wasm"));
        let listed = listed.canonicalize().unwrap_or(listed);
        let is_meant = |approval: &Approval| {
            approval.exporter == text
                || approval.name == text
                || (is_digest(&text) && approval.digest.starts_with(&text))
                || approval.file.as_ref() == Some(&real)
                || approval.file.as_ref() == Some(&listed)
        };
        let removed = match Approvals::change(&shelf.state, |all| all.remove(is_meant)) {
            Ok((_, removed)) => removed,
            Err(error) => return ctx.fail(output, Exit::Failed, &causes(&error)),
        };
        if removed.is_empty() {
            let built_in = shelf.built_in.contains_key(&text);
            let why = if built_in {
                "it is a component of this host, which needs no approval"
            } else {
                "nothing of that name, file or digest is approved"
            };
            return ctx.fail(output, Exit::Failed, &format!("{text}: {why}"));
        }
        revoked.extend(removed);
    }
    match output {
        Output::Human => {
            let next = match place {
                Where::Here => "",
                Where::InHost => " The running host stops it now.",
            };
            let mut text = Lines::default();
            for approval in &revoked {
                let (exporter, digest) = (&approval.exporter, short(&approval.digest));
                text.line(format_args!(
                    "{exporter} ({digest}) is no longer approved.{next}"
                ));
            }
            ctx.print(&text.into_text());
        }
        Output::Json => {
            let all: Vec<_> = revoked
                .iter()
                .map(|approval| json!({"exporter": approval.exporter, "digest": approval.digest}))
                .collect();
            ctx.print(&line(&json!({ "revoked": all })));
        }
    }
    Exit::Fine
}
