//! Every vendor that has a strict fake, and the exporter that sends to it: for promises that hold for all of them.

use kit::backend::arize::Phoenix;
use kit::backend::braintrust::Braintrust;
use kit::backend::cloud::Cloud;
use kit::backend::collector::Collector;
use kit::backend::datadog::Datadog;
use kit::backend::laminar::Laminar;
use kit::backend::langfuse::Langfuse;
use kit::backend::langsmith::LangSmith;
use kit::backend::posthog::PostHog;
use kit::backend::prometheus::{self, Prometheus};
use kit::backend::sentry::Sentry;
use kit::backend::webhook::{self, Webhook};
use kit::backend::{Backend, Fake};
use kit::components;
use kit::host::Finished;

use crate::{Config, run_with_input};

/// An exporter and the backend that it sends to.
#[derive(Clone, Copy)]
pub struct Vendor {
    /// The exporter's component and its id.
    pub name: &'static str,
    /// What the backend has a place for, in alphabetical order.
    pub signals: &'static [&'static str],
    fake: fn() -> Box<dyn Fake>,
    /// YAML of a flow map without braces, for a backend at this URL.
    settings: fn(&str) -> String,
}

impl Vendor {
    /// Starts the fake.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(&self) -> anyhow::Result<Backend> {
        Backend::start((self.fake)()).await
    }

    /// Adds the exporter to a configuration.
    ///
    /// # Errors
    /// When the component does not build.
    pub fn add(&self, config: Config, backend: &Backend) -> anyhow::Result<Config> {
        let component = components::exporter(self.name)?;
        Ok(config.exporter(self.name, &component, &(self.settings)(&backend.url())))
    }
}

/// A configuration with the exporter of this name alone.
///
/// # Errors
/// When there is none, or the component does not build.
pub fn config(name: &str, backend: &Backend) -> anyhow::Result<Config> {
    let vendor = VENDORS.iter().find(|vendor| vendor.name == name);
    let vendor = vendor.ok_or_else(|| anyhow::anyhow!("no vendor is called {name}"))?;
    vendor.add(Config::new(), backend)
}

const ALL: &[&str] = &["feedback", "logs", "metrics", "scores", "traces"];
const JUDGED: &[&str] = &["feedback", "scores", "traces"];
const NO_METRICS: &[&str] = &["feedback", "logs", "scores", "traces"];

/// All of them.
pub const VENDORS: [Vendor; 13] = [
    Vendor {
        name: "arize",
        signals: JUDGED,
        fake: || Box::new(Phoenix::default()),
        settings: |url| format!("endpoint: \"{url}\", api_key: phx-key"),
    },
    Vendor {
        name: "braintrust",
        signals: NO_METRICS,
        fake: || Box::new(Braintrust::default()),
        settings: |url| format!("endpoint: \"{url}\", api_key: sk-bt-test, project_name: support"),
    },
    Vendor {
        name: "cloud",
        signals: ALL,
        fake: || Box::new(Cloud::default()),
        settings: |url| {
            format!("endpoint: \"{url}\", access_token: platform-token, project_id: proj_1-A")
        },
    },
    Vendor {
        name: "datadog",
        signals: ALL,
        fake: || Box::new(Datadog::default()),
        settings: |url| {
            let key = Datadog::default().api_key;
            format!("base_url: \"{url}\", api_key: \"{key}\", ml_app: support-bot, env: test")
        },
    },
    Vendor {
        name: "grafana-cloud",
        signals: ALL,
        fake: || Box::new(Collector::grafana_cloud()),
        settings: |url| {
            format!("instance_id: \"123456\", token: glc_test, endpoint: \"{url}/otlp\"")
        },
    },
    Vendor {
        name: "laminar",
        signals: JUDGED,
        fake: || Box::new(Laminar::default()),
        settings: |url| format!("api_key: lmnr-key, base_url: \"{url}\""),
    },
    Vendor {
        name: "langfuse",
        signals: NO_METRICS,
        fake: || Box::new(Langfuse::default()),
        settings: |url| {
            let Langfuse {
                public_key,
                secret_key,
                ..
            } = Langfuse::default();
            format!(
                "base_url: \"{url}\", public_key: \"{public_key}\", secret_key: \"{secret_key}\""
            )
        },
    },
    Vendor {
        name: "langsmith",
        signals: JUDGED,
        fake: || Box::new(LangSmith::default()),
        settings: |url| format!("api_url: \"{url}\", api_key: lsv2_pt_test, project_name: support"),
    },
    Vendor {
        name: "otel",
        signals: ALL,
        fake: || Box::new(Collector::default()),
        settings: |url| {
            format!("endpoint: \"{url}\", api_key: otel-key, api_key_header: x-api-key")
        },
    },
    Vendor {
        name: "posthog",
        signals: NO_METRICS,
        fake: || Box::new(PostHog::default()),
        settings: |url| format!("host: \"{url}\", api_key: phc_test"),
    },
    Vendor {
        name: "prometheus",
        signals: &["metrics"],
        fake: || Box::new(Prometheus::default()),
        settings: |url| {
            let path = prometheus::WRITE;
            format!(
                "remote_write_url: \"{url}{path}\", remote_write_version: \"2.0\", token: prom-token"
            )
        },
    },
    Vendor {
        name: "sentry",
        signals: &["feedback", "logs", "metrics", "traces"],
        fake: || Box::new(Sentry::default()),
        settings: |url| {
            let dsn = Sentry::default().dsn(url);
            format!("dsn: \"{dsn}\", environment: test")
        },
    },
    Vendor {
        name: "webhook",
        signals: ALL,
        fake: || Box::new(Webhook::default()),
        settings: |url| {
            let path = webhook::EVENTS;
            format!("url: \"{url}{path}\", authorization: \"Bearer hook-token\"")
        },
    },
];

/// One host with these exporters, a fake each.
pub struct Setting {
    /// Each with what it sends to.
    pub vendors: Vec<(Vendor, Backend)>,
}

impl Setting {
    /// Starts the fakes.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn of(vendors: &[Vendor]) -> anyhow::Result<Self> {
        let mut started = Vec::new();
        for vendor in vendors {
            started.push((*vendor, vendor.start().await?));
        }
        Ok(Self { vendors: started })
    }

    /// All exporters, each with this line.
    ///
    /// # Errors
    /// When a component does not build.
    pub fn config(&self, line: &str) -> anyhow::Result<Config> {
        let mut all = self.vendors.iter();
        all.try_fold(Config::new(), |config, (vendor, backend)| {
            Ok(vendor.add(config, backend)?.with(line))
        })
    }

    /// Delivers these events; the report comes after ten seconds where something is left.
    ///
    /// # Errors
    /// When the host does not start or end.
    pub async fn deliver(&self, events: String, line: &str) -> anyhow::Result<Finished> {
        let command = run_with_input(&self.config(line)?, events)?;
        command.args(["--timeout", "10s"]).finish().await
    }
}
