//! One instance in the hands of somebody who wants to see what it does, call by call: the conformance kit. Nothing is
//! started again, held back or retried, as a [`Pool`](super::Pool) does.

use std::sync::Arc;

use super::component::Component;
use super::guest::Batch;
use super::instance::{Instance, StartFault, StartSettings};
use super::limits::CallLimits;
use super::outcome::{Acknowledgement, CallError, SendResult};
use super::page::{PageRequest, PageResponse};
use super::pool::{GuestSettings, StartError, grants};
use crate::event::instrument::Instruments;

/// A configured instance. After a [`CallError`] it is not to be used again, as the contract has it.
pub struct Trial {
    instance: Instance,
    instruments: Arc<Instruments>,
}

impl Trial {
    /// Instantiates the component and gives it its settings.
    ///
    /// # Errors
    /// It refuses the settings, or fails.
    pub async fn start(
        component: &Component,
        exporter: &str,
        guest: GuestSettings,
        limits: CallLimits,
    ) -> Result<Self, StartError> {
        let (grants, settings_json) = grants(&Arc::from(exporter), guest);
        let settings = StartSettings {
            grants,
            settings_json,
            generation: 0,
            limits,
        };
        let started = Instance::start(component, &settings).await;
        let instance = started.map_err(start_error)?;
        Ok(Self {
            instance,
            instruments: Arc::default(),
        })
    }

    /// Gives the same instance other settings.
    ///
    /// # Errors
    /// As [`Trial::start`].
    pub async fn configure(&mut self, settings_json: &str) -> Result<(), StartError> {
        let configured = self.instance.configure(settings_json).await;
        configured.map_err(start_error)
    }

    /// Hands over a batch.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn send(&mut self, batch: &Batch) -> Result<SendResult, CallError> {
        self.instance.send(batch, &self.instruments).await
    }

    /// Asks for what is held to be delivered.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn flush(&mut self) -> Result<Vec<Acknowledgement>, CallError> {
        self.instance.flush().await
    }

    /// Asks for the page.
    ///
    /// # Errors
    /// See [`CallError`]; a page that cannot be served is [`CallError::Contract`].
    pub async fn render(&mut self, request: &PageRequest) -> Result<PageResponse, CallError> {
        self.instance.render(request).await?
    }

    /// The last call; may come twice.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn shutdown(&mut self) -> Result<(), CallError> {
        self.instance.end().await
    }
}

fn start_error(fault: StartFault) -> StartError {
    match fault {
        StartFault::Settings(refused) => StartError::Settings(refused),
        StartFault::Call(error) => StartError::Call(error),
    }
}
