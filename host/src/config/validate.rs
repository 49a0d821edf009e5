//! The tree of a config file to a checked [`Config`]. Goes on after a problem with the default in its place, so that all
//! problems come at once. Does no I/O: whether files exist is for those who open them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::nearest::suggestion;
use super::problem::Problems;
use super::read::{Section, text_of};
use super::tree::{Kind, Node};
use super::units::{show_duration, show_size};
use super::{
    ClientCertificate, Compress, Config, Discovery, ExporterConfig, ExporterHttp, ExporterId,
    Limits, Plugins, Position, RawSettings, SendingQueue, SignalChoice, Storage, Upgrades,
    component_ref as component, defaults, delivery, receivers, sending_queue, shape,
};
use crate::event::Signal;

/// Reads the whole file.
pub(super) fn config(tree: &Node, problems: &Problems) -> Config {
    let mut file = Section::open(tree, "", problems);
    let sending_queue = sending_queue::read(file.child("sending_queue"), problems);
    let receivers = receivers::read(file.child("receivers"), &sending_queue, problems);
    let plugins = plugins(file.child("plugins"));
    let storage = storage(file.child("storage"));
    let exporters = exporters(&file.child("exporters"), &sending_queue, problems);
    file.finish();
    Config {
        receivers,
        plugins,
        storage,
        sending_queue,
        exporters,
    }
}

/// What an empty entry of `exporters` says.
pub(super) fn default_exporter() -> ExporterConfig {
    let nothing = Node {
        at: Position::default(),
        kind: Kind::Map(Vec::new()),
    };
    let problems = Problems::default();
    let queue = sending_queue::read(Section::open(&nothing, "", &problems), &problems);
    exporter(
        Section::open(&nothing, "", &problems),
        "",
        &queue,
        &problems,
    )
}

fn plugins(mut section: Section<'_>) -> Plugins {
    let directory = section.text("directory").map_or_else(
        || defaults::PLUGINS_DIRECTORY.to_owned(),
        |found| found.value,
    );
    let choices = [
        ("approved", Discovery::Approved),
        ("all", Discovery::All),
        ("off", Discovery::Off),
    ];
    let discovery = section.choice("discovery", Discovery::Approved, &choices);
    let choices = [
        ("approve", Upgrades::Approve),
        ("within_grants", Upgrades::WithinGrants),
    ];
    let upgrades = section.choice("upgrades", Upgrades::Approve, &choices);
    section.finish();
    Plugins {
        directory: PathBuf::from(directory),
        discovery,
        upgrades,
    }
}

fn storage(mut section: Section<'_>) -> Storage {
    let directory = section.text("directory").map_or_else(
        || defaults::STORAGE_DIRECTORY.to_owned(),
        |found| found.value,
    );
    let mut local = section.child("local");
    let local_max_age = local.positive_duration("max_age", defaults::LOCAL_MAX_AGE);
    let local_max_bytes = local.size("max_size", defaults::LOCAL_MAX_BYTES);
    local.finish();
    section.finish();
    Storage {
        directory: PathBuf::from(directory),
        local_max_age,
        local_max_bytes,
    }
}

fn exporters(
    section: &Section<'_>,
    queue: &SendingQueue,
    problems: &Problems,
) -> BTreeMap<ExporterId, ExporterConfig> {
    let mut exporters = BTreeMap::new();
    for entry in section.own_entries() {
        let path = section.path_of(&entry.key);
        let own = Section::open(&entry.value, &path, problems);
        let id = match entry.key.parse::<ExporterId>() {
            Ok(id) => Some(id),
            Err(error) => {
                let message = error.to_string();
                let (message, fix) = message.split_once("; ").unwrap_or((&message, ""));
                problems.add_with_fix(entry.key_at, &path, message, fix);
                None
            }
        };
        let name = id.as_ref().map_or("", ExporterId::name);
        let mut exporter = exporter(own, name, queue, problems);
        exporter.at = entry.key_at;
        if let Some(id) = id {
            exporters.insert(id, exporter);
        }
    }
    exporters
}

fn exporter(
    mut section: Section<'_>,
    name: &str,
    queue: &SendingQueue,
    problems: &Problems,
) -> ExporterConfig {
    let (component, grant) = component::read(&mut section, name, problems);
    let settings = settings(&mut section, problems);
    let signals = signals(&mut section, problems);
    let shape = shape::read(section.child("shape"), problems);
    let delivery = delivery::read(&mut section, queue, problems);
    let limits = limits(section.child("limits"), problems);
    let timeout = section.positive_duration("timeout", defaults::HTTP_TIMEOUT);
    if timeout > limits.call_timeout {
        let message = format!(
            "a request may take {}, but the call that makes it only {}",
            show_duration(timeout),
            show_duration(limits.call_timeout)
        );
        problems.add_with_fix(
            section.place("timeout"),
            &section.path_of("timeout"),
            message,
            "raise limits.call_timeout above it",
        );
    }
    let http = http(section.child("http"), timeout, problems);
    let at = section.at();
    section.finish();
    ExporterConfig {
        at,
        component,
        grant,
        settings,
        signals,
        shape,
        delivery,
        limits,
        http,
    }
}

fn settings(section: &mut Section<'_>, problems: &Problems) -> RawSettings {
    let path = section.path_of("settings");
    let Some(entry) = section.entry("settings") else {
        return RawSettings::default();
    };
    let own = Section::open(&entry.value, &path, problems);
    let mut settings = RawSettings::default();
    for entry in own.own_entries() {
        settings
            .values
            .insert(entry.key.clone(), entry.value.to_json());
        settings.positions.insert(entry.key.clone(), entry.key_at);
    }
    settings
}

fn signals(section: &mut Section<'_>, problems: &Problems) -> SignalChoice {
    let path = section.path_of("signals");
    let Some(items) = section.list("signals") else {
        return SignalChoice::AllSupported;
    };
    let names = Signal::ALL.map(Signal::name);
    let mut chosen = BTreeSet::new();
    for (index, node) in items.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let Some(word) = text_of(node, &path, problems) else {
            continue;
        };
        match Signal::ALL
            .into_iter()
            .find(|signal| signal.name() == word.value)
        {
            Some(signal) if chosen.insert(signal) => {}
            Some(signal) => problems.add_with_fix(
                word.at,
                &path,
                format!("`{signal}` is listed twice"),
                "remove one",
            ),
            None => problems.add_with_fix(
                word.at,
                &path,
                format!("`{}` is not a signal", word.value),
                suggestion(&word.value, &names),
            ),
        }
    }
    if items.is_empty() {
        problems.add_with_fix(
            section.place("signals"),
            &path,
            "no signal is listed",
            "list at least one, or remove the key for all",
        );
    }
    SignalChoice::Only(chosen)
}

fn limits(mut section: Section<'_>, problems: &Problems) -> Limits {
    let memory_bytes = section.size("memory", defaults::INSTANCE_MEMORY_BYTES);
    if !(defaults::LEAST_INSTANCE_MEMORY_BYTES..=4 << 30).contains(&memory_bytes) {
        let message = format!("{} is out of range", show_size(memory_bytes));
        problems.add_with_fix(
            section.place("memory"),
            &section.path_of("memory"),
            message,
            "write a size from 1MiB to 4GiB",
        );
    }
    let cpu_time = section.positive_duration("cpu_time", defaults::CALL_CPU_TIME);
    let call_timeout = section.positive_duration("call_timeout", defaults::CALL_TIMEOUT);
    let output_bytes = section.size("output_size", defaults::OUTPUT_BYTES);
    let store_bytes = section.optional_size("store_size");
    section.finish();
    Limits {
        memory_bytes,
        cpu_time,
        call_timeout,
        output_bytes,
        store_bytes,
    }
}

fn http(mut section: Section<'_>, timeout: Duration, problems: &Problems) -> ExporterHttp {
    let proxy = proxy(&mut section, problems);
    let ca_file = section
        .text("ca_file")
        .map(|found| PathBuf::from(found.value));
    let cert = section.text("client_cert");
    let key = section.text("client_key");
    let max_response_body_bytes =
        section.size("max_response_body_size", defaults::MAX_RESPONSE_BODY_BYTES);
    let choices = [
        ("auto", Compress::Auto),
        ("always", Compress::Always),
        ("never", Compress::Never),
    ];
    let compression = section.choice("compression", Compress::Auto, &choices);
    let yes_or_no = [("true", true), ("false", false)];
    let allows_metadata = section.choice("allow_metadata", false, &yes_or_no);
    let client_certificate = match (cert, key) {
        (Some(cert), Some(key)) => Some(ClientCertificate {
            cert_file: PathBuf::from(cert.value),
            key_file: PathBuf::from(key.value),
        }),
        (None, None) => None,
        (Some(half), None) | (None, Some(half)) => {
            let message = "a client certificate needs client_cert and client_key";
            problems.add_with_fix(
                half.at,
                &section.path_of("client_cert"),
                message,
                "write both",
            );
            None
        }
    };
    section.finish();
    ExporterHttp {
        timeout,
        max_response_body_bytes,
        proxy,
        ca_file,
        client_certificate,
        compression,
        allows_metadata,
    }
}

/// A proxy URL may hold a password: its value is in no message.
fn proxy(section: &mut Section<'_>, problems: &Problems) -> Option<Url> {
    let found = section.text("proxy")?;
    let url = Url::parse(&found.value).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h")
            && url.host_str().is_some_and(|host| !host.is_empty())
    });
    if url.is_none() {
        problems.add_with_fix(
            found.at,
            &section.path_of("proxy"),
            "not a proxy URL",
            "write `http://host:port`, `https://host:port` or `socks5://host:port`",
        );
    }
    url
}
