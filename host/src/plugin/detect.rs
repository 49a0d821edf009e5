//! Whether the types of a compiled component's imports and exports are the contract's, before anything of it runs, and
//! where its exports are. Called by `component` once `statics` has read and accepted the names.

use wasmtime::component::types::{
    Component as ComponentType, ComponentFunc, ComponentInstance, ComponentItem,
};
use wasmtime::component::{Component, ComponentExportIndex, Func, Instance, InstancePre, Linker};

use super::bindings::{exported, types as wit};
use super::contract::{self, full_name, of_contract};
use super::imports::HostState;
use super::load_error::LoadError;
use super::records::{LogBatch, MetricBatch, SpanBatch};
use super::typing;
use crate::event::Signal;
use crate::event::signal_set::SignalSet;

/// Where the exports of a component are, looked up once.
pub(super) struct Indices {
    lifecycle: exported::lifecycle::GuestIndices,
    /// Of the function `send`, and so for logs and metrics.
    traces: Option<ComponentExportIndex>,
    logs: Option<ComponentExportIndex>,
    metrics: Option<ComponentExportIndex>,
    scores: Option<exported::scores::GuestIndices>,
    feedback: Option<exported::feedback::GuestIndices>,
    page: Option<exported::page::GuestIndices>,
    batch_memory: Option<exported::batch_memory::GuestIndices>,
}

/// The exports of one instance.
pub(super) struct Exports {
    pub(super) lifecycle: exported::lifecycle::Guest,
    /// The function `send`, which is called with a batch of the host's own lowering, and so for logs and metrics.
    pub(super) traces: Option<Func>,
    pub(super) logs: Option<Func>,
    pub(super) metrics: Option<Func>,
    pub(super) scores: Option<exported::scores::Guest>,
    pub(super) feedback: Option<exported::feedback::Guest>,
    pub(super) page: Option<exported::page::Guest>,
    pub(super) batch_memory: Option<exported::batch_memory::Guest>,
}

impl Indices {
    pub(super) fn load(
        &self,
        store: &mut wasmtime::Store<HostState>,
        instance: &Instance,
    ) -> wasmtime::Result<Exports> {
        Ok(Exports {
            lifecycle: self.lifecycle.load(&mut *store, instance)?,
            traces: function(self.traces, store, instance)?,
            logs: function(self.logs, store, instance)?,
            metrics: function(self.metrics, store, instance)?,
            scores: self
                .scores
                .as_ref()
                .map(|indices| indices.load(&mut *store, instance))
                .transpose()?,
            feedback: self
                .feedback
                .as_ref()
                .map(|indices| indices.load(&mut *store, instance))
                .transpose()?,
            page: self
                .page
                .as_ref()
                .map(|indices| indices.load(&mut *store, instance))
                .transpose()?,
            batch_memory: self
                .batch_memory
                .as_ref()
                .map(|indices| indices.load(&mut *store, instance))
                .transpose()?,
        })
    }

    pub(super) const fn has_page(&self) -> bool {
        self.page.is_some()
    }

    pub(super) fn signals(&self) -> SignalSet {
        let exported = [
            (Signal::Traces, self.traces.is_some()),
            (Signal::Logs, self.logs.is_some()),
            (Signal::Metrics, self.metrics.is_some()),
            (Signal::Scores, self.scores.is_some()),
            (Signal::Feedback, self.feedback.is_some()),
        ];
        exported
            .into_iter()
            .filter(|(_, is_exported)| *is_exported)
            .map(|(signal, _)| signal)
            .collect()
    }
}

/// Finds the function `send` of an interface that has been checked.
fn index_of_send(
    interface: &'static str,
) -> impl FnOnce(&InstancePre<HostState>) -> wasmtime::Result<ComponentExportIndex> {
    move |pre| {
        let component = pre.component();
        let found = component.get_export_index(None, full_name(interface));
        found
            .and_then(|found| component.get_export_index(Some(&found), "send"))
            .ok_or_else(|| wasmtime::Error::msg("no function `send`"))
    }
}

fn function(
    index: Option<ComponentExportIndex>,
    store: &mut wasmtime::Store<HostState>,
    instance: &Instance,
) -> wasmtime::Result<Option<Func>> {
    let Some(index) = index else { return Ok(None) };
    match instance.get_func(store, index) {
        Some(function) => Ok(Some(function)),
        None => Err(wasmtime::Error::msg("no function `send`")),
    }
}

/// A component's outside, checked.
pub(super) struct Detected {
    pub(super) pre: InstancePre<HostState>,
    pub(super) indices: Indices,
    /// Full names, in the component's order.
    pub(super) imports: Vec<String>,
}

/// Checks the types of a component's imports and exports, and links it.
///
/// # Errors
/// All of [`LoadError`] that concern types.
pub(super) fn detect(
    linker: &Linker<HostState>,
    component: &Component,
) -> Result<Detected, LoadError> {
    let engine = component.engine();
    let outside = component.component_type();
    let imports: Vec<String> = outside
        .imports(engine)
        .map(|(name, _)| name.to_owned())
        .collect();
    let pre = linker
        .instantiate_pre(component)
        .map_err(|error| wrong_import(&outside, engine, &error))?;
    let view = View {
        pre: &pre,
        outside: &outside,
        engine,
    };
    let lifecycle = view.lifecycle()?.ok_or_else(|| LoadError::NoLifecycle {
        expected: full_name("lifecycle"),
        exports: Vec::new(),
    })?;
    let indices = Indices {
        lifecycle,
        traces: view.signal::<SpanBatch<'_>, _>(Signal::Traces, index_of_send("traces"))?,
        logs: view.signal::<LogBatch<'_>, _>(Signal::Logs, index_of_send("logs"))?,
        metrics: view.signal::<MetricBatch<'_>, _>(Signal::Metrics, index_of_send("metrics"))?,
        scores: view.signal::<wit::ScoreBatch<'_>, _>(
            Signal::Scores,
            exported::scores::GuestIndices::new,
        )?,
        feedback: view.signal::<wit::FeedbackBatch<'_>, _>(
            Signal::Feedback,
            exported::feedback::GuestIndices::new,
        )?,
        page: view.page()?,
        batch_memory: view.batch_memory()?,
    };
    view.check_uncalled()?;
    Ok(Detected {
        imports,
        pre,
        indices,
    })
}

/// The linker's refusal, with the differences of types if it is about the contract.
fn wrong_import(
    outside: &ComponentType,
    engine: &wasmtime::Engine,
    error: &wasmtime::Error,
) -> LoadError {
    for (name, item) in outside.imports(engine) {
        let (Some((interface, _)), ComponentItem::ComponentInstance(instance)) =
            (of_contract(name), &item.ty)
        else {
            continue;
        };
        let mut differences = typing::differences(interface, instance, engine);
        // A component imports the functions that it calls; the others are missing by right.
        differences.retain(|difference| difference.found != "nothing");
        if !differences.is_empty() {
            return LoadError::WrongImport {
                import: name.to_owned(),
                reason: String::new(),
                differences,
            };
        }
    }
    let reason = format!("{error:#}");
    let import = outside
        .imports(engine)
        .map(|(name, _)| name)
        .find(|name| reason.contains(&format!("`{name}`")));
    LoadError::WrongImport {
        import: import.unwrap_or("?").to_owned(),
        reason,
        differences: Vec::new(),
    }
}

/// A linked component, looked at from outside.
struct View<'a> {
    pre: &'a InstancePre<HostState>,
    outside: &'a ComponentType,
    engine: &'a wasmtime::Engine,
}

impl View<'_> {
    /// The export of this interface in a version that the host speaks.
    fn export(&self, interface: &str) -> Option<(String, ComponentItem)> {
        self.outside
            .exports(self.engine)
            .find(|(name, _)| contract::speaks(name, interface))
            .map(|(name, item)| (name.to_owned(), item.ty))
    }

    fn signal<Batch, I>(
        &self,
        signal: Signal,
        indices: impl FnOnce(&InstancePre<HostState>) -> wasmtime::Result<I>,
    ) -> Result<Option<I>, LoadError>
    where
        Batch: wasmtime::component::Lower,
    {
        let Some((name, item)) = self.export(signal.name()) else {
            return Ok(None);
        };
        let fits = |instance: &ComponentInstance| {
            let send = self.function(instance, "send")?;
            let types = self.pre.instance_type();
            let fits = send
                .typecheck::<(Batch,), (wit::SendResult,)>(&types)
                .is_ok();
            (fits && has_params(&send, &["batch"])).then_some(())
        };
        self.checked(signal.name(), name, item, fits, indices)
    }

    fn lifecycle(&self) -> Result<Option<exported::lifecycle::GuestIndices>, LoadError> {
        type Configured = Result<(), Vec<exported::lifecycle::SettingError>>;
        let Some((name, item)) = self.export("lifecycle") else {
            return Ok(None);
        };
        let fits = |instance: &ComponentInstance| {
            let types = self.pre.instance_type();
            let describe = self.function(instance, "describe")?;
            let configure = self.function(instance, "configure")?;
            let flush = self.function(instance, "flush")?;
            let shutdown = self.function(instance, "shutdown")?;
            let fits = describe
                .typecheck::<(), (exported::lifecycle::Description,)>(&types)
                .is_ok()
                && configure
                    .typecheck::<(&str,), (Configured,)>(&types)
                    .is_ok()
                && flush
                    .typecheck::<(), (Vec<exported::lifecycle::Acknowledgement>,)>(&types)
                    .is_ok()
                && shutdown.typecheck::<(), ()>(&types).is_ok();
            (fits && has_params(&configure, &["settings"])).then_some(())
        };
        self.checked(
            "lifecycle",
            name,
            item,
            fits,
            exported::lifecycle::GuestIndices::new,
        )
    }

    fn page(&self) -> Result<Option<exported::page::GuestIndices>, LoadError> {
        type Render<'a> = (exported::page::PageRequest<'a>,);
        let Some((name, item)) = self.export("page") else {
            return Ok(None);
        };
        let fits = |instance: &ComponentInstance| {
            let render = self.function(instance, "render")?;
            let types = self.pre.instance_type();
            let fits = render
                .typecheck::<Render<'_>, (exported::page::PageResponse,)>(&types)
                .is_ok();
            (fits && has_params(&render, &["request"])).then_some(())
        };
        self.checked("page", name, item, fits, exported::page::GuestIndices::new)
    }

    fn batch_memory(&self) -> Result<Option<exported::batch_memory::GuestIndices>, LoadError> {
        let Some((name, item)) = self.export("batch-memory") else {
            return Ok(None);
        };
        let fits = |instance: &ComponentInstance| {
            let capacity = self.function(instance, "capacity")?;
            let types = self.pre.instance_type();
            capacity.typecheck::<(), (u32,)>(&types).ok()
        };
        self.checked(
            "batch-memory",
            name,
            item,
            fits,
            exported::batch_memory::GuestIndices::new,
        )
    }

    /// Checks the types of what this host knows but does not call: a component must not find out later.
    fn check_uncalled(&self) -> Result<(), LoadError> {
        for interface in ["traces-otlp", "logs-otlp", "metrics-otlp"] {
            let fits = |instance: &ComponentInstance| {
                let send = self.function(instance, "send")?;
                let types = self.pre.instance_type();
                let fits = send
                    .typecheck::<(wit::OtlpBatch<'_>,), (wit::SendResult,)>(&types)
                    .is_ok();
                (fits && has_params(&send, &["batch"])).then_some(())
            };
            if let Some((name, item)) = self.export(interface) {
                self.checked(interface, name, item, fits, |_| Ok(()))?;
            }
        }
        let fits = |instance: &ComponentInstance| {
            let probe = self.function(instance, "probe")?;
            let types = self.pre.instance_type();
            probe
                .typecheck::<(), (exported::probe::Finding,)>(&types)
                .ok()
        };
        if let Some((name, item)) = self.export("probe") {
            self.checked("probe", name, item, fits, |_| Ok(()))?;
        }
        Ok(())
    }

    fn function(&self, instance: &ComponentInstance, name: &str) -> Option<ComponentFunc> {
        match instance.get_export(self.engine, name)?.ty {
            ComponentItem::ComponentFunc(function) if !function.async_() => Some(function),
            _ => None,
        }
    }

    fn checked<I>(
        &self,
        interface: &str,
        export: String,
        item: ComponentItem,
        fits: impl FnOnce(&ComponentInstance) -> Option<()>,
        indices: impl FnOnce(&InstancePre<HostState>) -> wasmtime::Result<I>,
    ) -> Result<Option<I>, LoadError> {
        let whole = |found: String| typing::TypeDifference {
            at: interface.to_owned(),
            expected: format!("interface {interface}"),
            found,
        };
        let ComponentItem::ComponentInstance(instance) = item else {
            let differences = vec![whole("something that is not an interface".to_owned())];
            return Err(LoadError::WrongExport {
                export,
                differences,
            });
        };
        if fits(&instance).is_none() {
            let mut differences = typing::differences(interface, &instance, self.engine);
            if differences.is_empty() {
                differences.push(whole("asynchronous functions".to_owned()));
            }
            return Err(LoadError::WrongExport {
                export,
                differences,
            });
        }
        indices(self.pre).map(Some).map_err(|error| {
            let differences = vec![whole(error.to_string())];
            LoadError::WrongExport {
                export,
                differences,
            }
        })
    }
}

fn has_params(function: &ComponentFunc, names: &[&str]) -> bool {
    function
        .params()
        .map(|(name, _)| name)
        .eq(names.iter().copied())
}
