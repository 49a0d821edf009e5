//! Serves metrics to Prometheus on a page, and writes them to receivers of remote write when one is set. Wiring only:
//! `config` reads settings, `mapping` makes families, pages and requests, `wire` has the names, `request` writes and reads
//! the answers. Everything is a running total that begins anew at a restart.

pub mod config;
pub mod mapping;
pub mod request;
pub mod wire;

use std::cell::{Cell, RefCell};

use mastra_exporter_sdk::clock::now;
use mastra_exporter_sdk::records::{ItemResult, MetricBatch, SendResult, Signal};
use mastra_exporter_sdk::settings::SettingError;
use mastra_exporter_sdk::{
    Acknowledgement, Description, Exporter, Metrics, Page, PageRequest, PageResponse,
};
use mastra_metrics::aggregator::Due;
use mastra_metrics::{Aggregator, Delivery};

use crate::config::{Config, RemoteWrite};
use crate::mapping::text::{Format, page};
use crate::wire::Version;

/// What a scraper has seen.
#[derive(Debug)]
struct Seen {
    /// Held by the host, and on a page since.
    tokens: Vec<u64>,
    /// When the last page was served.
    at: u64,
    /// Measurements since.
    unseen: usize,
}

/// The configured exporter.
#[derive(Debug)]
pub struct Prometheus {
    config: Config,
    metrics: RefCell<Delivery>,
    seen: RefCell<Seen>,
    /// The version that the receiver knows.
    version: Cell<Version>,
}

impl Exporter for Prometheus {
    type Settings = config::Settings;

    fn describe() -> Description {
        Description::new("prometheus", env!("CARGO_PKG_VERSION"), config::schema())
            .stateful(config::FLUSH_INTERVAL)
            .host_of_setting("remote_write_url")
    }

    fn configure(settings: config::Settings) -> Result<Self, Vec<SettingError>> {
        let config = settings.check()?;
        let version = config.remote_write.as_ref().map(|remote| remote.version);
        Ok(Self {
            metrics: RefCell::new(Delivery::new(config.metrics.clone())),
            seen: RefCell::new(Seen {
                tokens: Vec::new(),
                at: now(),
                unseen: 0,
            }),
            version: Cell::new(version.unwrap_or(Version::One)),
            config,
        })
    }

    fn flush(&self) -> Vec<Acknowledgement> {
        match &self.config.remote_write {
            Some(remote) => {
                let mut metrics = self.metrics.borrow_mut();
                metrics.flush(now(), |points| self.write(remote, points))
            }
            None => self.acknowledge_seen(now()),
        }
    }
}

impl Prometheus {
    /// Sends aggregated points.
    fn write(&self, remote: &RemoteWrite, points: &MetricBatch) -> SendResult {
        let families = mapping::families(points);
        let (result, version) = request::write(remote, &families, self.version.get());
        if request::is_delivered(&result) {
            self.version.set(version);
        }
        result
    }

    /// What was on a page is delivered. When nobody looks, the totals are all there is: the host need not hold it for
    /// ever.
    fn acknowledge_seen(&self, now: u64) -> Vec<Acknowledgement> {
        let mut seen = self.seen.borrow_mut();
        let max_unseen = u64::try_from(config::MAX_UNSEEN.as_nanos()).unwrap_or(u64::MAX);
        let is_old = now.saturating_sub(seen.at) >= max_unseen;
        if is_old || seen.unseen >= config::MAX_UNSEEN_ITEMS {
            let series = &mut self.metrics.borrow_mut().series;
            let present = series.present(now);
            let settled = series.settle(&present, &ItemResult::Delivered);
            seen.tokens.extend(settled);
            seen.unseen = 0;
        }
        let tokens = std::mem::take(&mut seen.tokens);
        if tokens.is_empty() {
            return Vec::new();
        }
        vec![Acknowledgement {
            of_signal: Signal::Metrics,
            tokens,
            fate: ItemResult::Delivered,
        }]
    }

    fn batch(series: &Aggregator, present: &[Due]) -> MetricBatch {
        let (resources, scopes) = series.origins();
        MetricBatch {
            metrics: present.iter().map(|due| due.metric.clone()).collect(),
            tokens: Vec::new(),
            resources: resources.to_vec(),
            scopes: scopes.to_vec(),
        }
    }
}

impl Metrics for Prometheus {
    fn send_metrics(&self, batch: &MetricBatch) -> SendResult {
        let mut metrics = self.metrics.borrow_mut();
        let Some(remote) = &self.config.remote_write else {
            self.seen.borrow_mut().unseen += batch.metrics.len();
            return SendResult::each(metrics.series.take(batch, now()));
        };
        metrics.take(batch, now(), |points| self.write(remote, points))
    }
}

impl Page for Prometheus {
    fn render(&self, request: &PageRequest) -> PageResponse {
        if !matches!(request.path.as_str(), "" | "metrics") {
            return PageResponse {
                status: 404,
                content_type: "text/plain".to_owned(),
                body: b"the page is metrics\n".to_vec(),
            };
        }
        let now = now();
        let series = &mut self.metrics.borrow_mut().series;
        let present = series.present(now);
        let format = Format::accepted(request.accept.as_deref());
        let text = page(&mapping::families(&Self::batch(series, &present)), format);
        if self.config.remote_write.is_none() {
            let mut seen = self.seen.borrow_mut();
            seen.tokens
                .extend(series.settle(&present, &ItemResult::Delivered));
            seen.at = now;
            seen.unseen = 0;
        }
        PageResponse {
            status: 200,
            content_type: format.content_type().to_owned(),
            body: text.into_bytes(),
        }
    }
}

mastra_exporter_sdk::export!(Prometheus: metrics, page);
