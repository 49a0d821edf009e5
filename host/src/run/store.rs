//! The local store of a host, opened when the first exporter asks for it: hosts without such an exporter have no file.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::{self, ExporterId};
use crate::event::Signal;
use crate::plugin::StoreCapability;
use crate::receive::system_clock;
use crate::store::{Retention, Row, Store, StoreError};

pub(super) struct LocalStore {
    data_dir: PathBuf,
    retention: Retention,
    opened: Mutex<Option<Arc<Store>>>,
}

impl LocalStore {
    pub(super) fn new(config: &config::Storage) -> Self {
        Self {
            data_dir: config.directory.clone(),
            retention: Retention::new(config.local_max_age, config.local_max_bytes),
            opened: Mutex::new(None),
        }
    }

    /// The exporter's part of the store; all its rows may take `share`, or as much as the store may hold.
    pub(super) fn of(
        &self,
        exporter: &ExporterId,
        share: Option<u64>,
    ) -> Result<Arc<dyn StoreCapability>, StoreError> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let store = match &*opened {
            Some(store) => Arc::clone(store),
            None => Arc::new(Store::open(&self.data_dir, self.retention.clone())?),
        };
        *opened = Some(Arc::clone(&store));
        Ok(Arc::new(ExporterStore {
            store,
            exporter: exporter.to_string(),
            share: share.unwrap_or(u64::MAX),
        }))
    }
}

struct ExporterStore {
    store: Arc<Store>,
    exporter: String,
    /// What all rows of the exporter may take.
    share: u64,
}

impl StoreCapability for ExporterStore {
    fn upsert(&self, signal: Signal, rows: &[Row]) -> Result<(), String> {
        let written = self
            .store
            .upsert((&self.exporter, self.share), signal, rows, system_clock());
        written.map_err(|error| crate::commands::causes(&error))
    }
}
