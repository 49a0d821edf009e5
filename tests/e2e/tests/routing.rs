//! Several backends at once: each gets the signals that it takes and was asked to, and one that is down is alone with it.

use e2e::{Config, accounts, recorded_events, run_with_input};
use kit::backend::braintrust::{self, Braintrust};
use kit::backend::langsmith::{self, LangSmith};
use kit::backend::posthog::{self, PostHog};
use kit::backend::{Backend, Behaviour, Which};
use kit::components;
use kit::fixtures::{awkward, ndjson};

struct Backends {
    braintrust: Backend,
    langsmith: Backend,
    posthog: Backend,
}

impl Backends {
    async fn start() -> anyhow::Result<Self> {
        Ok(Self {
            braintrust: Backend::start(Braintrust::default()).await?,
            langsmith: Backend::start(LangSmith::default()).await?,
            posthog: Backend::start(PostHog::default()).await?,
        })
    }

    /// All three; posthog with these signals.
    fn config(&self, posthog_signals: &str) -> anyhow::Result<Config> {
        let braintrust = format!(
            "endpoint: \"{}\", api_key: sk-bt-test",
            self.braintrust.url()
        );
        let langsmith = format!(
            "api_url: \"{}\", api_key: lsv2_pt_test",
            self.langsmith.url()
        );
        let posthog = format!("host: \"{}\", api_key: phc_test", self.posthog.url());
        Ok(Config::new()
            .exporter(
                "braintrust",
                &components::exporter("braintrust")?,
                &braintrust,
            )
            .exporter("langsmith", &components::exporter("langsmith")?, &langsmith)
            .exporter("posthog", &components::exporter("posthog")?, &posthog)
            .with(&format!("signals: [{posthog_signals}]")))
    }
}

#[tokio::test]
async fn the_right_events_reach_the_right_backends_and_no_others() -> anyhow::Result<()> {
    let backends = Backends::start().await?;
    let finished = run_with_input(&backends.config("feedback")?, recorded_events()?)?
        .finish()
        .await?;
    finished.expect_code(0)?;
    let accounts = accounts(&finished)?;
    assert_eq!(
        accounts.signals("braintrust"),
        ["feedback", "logs", "scores", "traces"]
    );
    assert_eq!(
        accounts.signals("langsmith"),
        ["feedback", "scores", "traces"]
    );
    assert_eq!(accounts.signals("posthog"), ["feedback"]);
    assert_eq!(backends.braintrust.stored(braintrust::FEEDBACK).len(), 7);
    assert_eq!(backends.langsmith.stored(langsmith::RUN).len(), 28);
    assert_eq!(backends.langsmith.stored(langsmith::VERDICT).len(), 7);
    assert_eq!(
        backends.posthog.stored(posthog::EVENT).len(),
        3,
        "feedback only"
    );
    assert!(backends.posthog.stored(posthog::LOG).is_empty());
    Ok(())
}

#[tokio::test]
async fn a_backend_that_is_down_is_alone_with_it() -> anyhow::Result<()> {
    let backends = Backends::start().await?;
    backends.langsmith.on(Which::all(), Behaviour::status(503));
    let finished = run_with_input(&backends.config("feedback")?, recorded_events()?)?
        .args(["--timeout", "5s"])
        .finish()
        .await?;
    finished.expect_code(3)?;
    let accounts = accounts(&finished)?;
    assert_eq!(accounts.of("langsmith", "traces")?.queued, 28);
    assert_eq!(accounts.of("braintrust", "traces")?.delivered, 56);
    assert_eq!(accounts.of("posthog", "feedback")?.delivered, 3);
    assert!(backends.langsmith.stored(langsmith::RUN).is_empty());
    Ok(())
}

#[tokio::test]
async fn awkward_events_are_taken_or_filtered_by_every_backend() -> anyhow::Result<()> {
    let backends = Backends::start().await?;
    let good = awkward().into_iter().filter(|case| !case.is_refused);
    let events: Vec<_> = good.map(|case| case.event).collect();
    let finished = run_with_input(
        &backends.config("traces, logs, scores, feedback")?,
        ndjson(&events),
    )?
    .finish()
    .await?;
    finished.expect_code(0)?;
    let accounts = accounts(&finished)?;
    for exporter in accounts.exporters() {
        for signal in accounts.signals(exporter) {
            let account = accounts.of(exporter, signal)?;
            let settled = account.delivered + account.filtered;
            assert_eq!(account.received, settled, "{exporter} {signal}");
        }
    }
    for backend in [&backends.braintrust, &backends.langsmith, &backends.posthog] {
        let refused: Vec<_> = backend
            .requests()
            .into_iter()
            .filter_map(|recorded| recorded.refused)
            .collect();
        assert!(refused.is_empty(), "{refused:?}");
    }
    Ok(())
}
