//! Asks a component for its description where the host does not exist yet: an interpreter runs the one function
//! `describe` of the component's own module. All imports trap, because a description needs none of them.

use anyhow::{Context as _, anyhow};
use interpreted_wasmparser::{Parser, Payload};
use serde_json::Value;
use wasmi::{Engine, Extern, ExternType, Linker, Memory, Module, Store};

/// The function, without the version of the contract.
const INTERFACE: &str = "mastra:observability/lifecycle@";
const FUNCTION: &str = "#describe";
/// Steps of the interpreter: a description takes less than a million.
const FUEL: u64 = 100_000_000;

/// What the archive needs of a description.
pub(crate) struct Description {
    /// The name that the component gives itself.
    pub(crate) name: String,
    /// The environment variables that its settings declare.
    pub(crate) variables: Vec<String>,
}

/// Returns what the component says of itself.
pub(crate) fn describe(component: &[u8]) -> anyhow::Result<Description> {
    let mut config = wasmi::Config::default();
    config.consume_fuel(true);
    let engine = Engine::new(&config);
    let (module, function) = own_module(&engine, component)?;
    let mut linker: Linker<()> = Linker::new(&engine);
    for import in module.imports() {
        let (of, name) = (import.module(), import.name());
        let ExternType::Func(kind) = import.ty() else {
            continue;
        };
        let said = format!("`describe` calls {of}/{name}");
        linker.func_new(of, name, kind.clone(), move |_, _, _| {
            Err(wasmi::Error::new(said.clone()))
        })?;
    }
    let mut store = Store::new(&engine, ());
    store.set_fuel(FUEL)?;
    let instance = linker.instantiate_and_start(&mut store, &module)?;
    let memory = instance
        .get_memory(&store, "memory")
        .context("its module exports no memory")?;
    if let Some(Extern::Func(initialize)) = instance.get_export(&store, "_initialize") {
        initialize.typed::<(), ()>(&store)?.call(&mut store, ())?;
    }
    let describe = instance.get_typed_func::<(), i32>(&store, &function)?;
    let at = describe.call(&mut store, ())?;
    let record = Record {
        memory,
        store: &store,
        at: usize::try_from(at.cast_unsigned())?,
    };
    let (name, schema) = (record.text(0)?, record.text(2)?);
    let schema: Value = serde_json::from_str(&schema).context("its settings schema is not JSON")?;
    Ok(Description {
        name,
        variables: variables(&schema)?,
    })
}

/// Finds the module that exports `describe`; the others of a component only connect it.
fn own_module(engine: &Engine, component: &[u8]) -> anyhow::Result<(Module, String)> {
    for payload in Parser::new(0).parse_all(component) {
        let Payload::ModuleSection {
            unchecked_range, ..
        } = payload?
        else {
            continue;
        };
        let bytes = component.get(unchecked_range).context("a module is cut")?;
        let module = Module::new(engine, bytes)?;
        let function = module.exports().find_map(|export| {
            let name = export.name();
            (name.starts_with(INTERFACE) && name.ends_with(FUNCTION)).then(|| name.to_owned())
        });
        if let Some(function) = function {
            return Ok((module, function));
        }
    }
    Err(anyhow!(
        "no module of it exports `{INTERFACE}…{FUNCTION}`: is it an exporter?"
    ))
}

/// A record of the canonical ABI whose first fields are texts.
struct Record<'a> {
    memory: Memory,
    store: &'a Store<()>,
    at: usize,
}

impl Record<'_> {
    /// Returns the text that is the field of this number: an address and a length.
    fn text(&self, field: usize) -> anyhow::Result<String> {
        let at = self.at + field * 8;
        let (start, length) = (self.number(at)?, self.number(at + 4)?);
        let data = self.memory.data(self.store);
        let bytes = data
            .get(start..start + length)
            .context("a text is outside its memory")?;
        Ok(std::str::from_utf8(bytes)?.to_owned())
    }

    fn number(&self, at: usize) -> anyhow::Result<usize> {
        let data = self.memory.data(self.store);
        let bytes = data.get(at..).and_then(|rest| rest.first_chunk());
        let bytes = bytes.context("its description is outside its memory")?;
        Ok(usize::try_from(u32::from_le_bytes(*bytes))?)
    }
}

/// Returns the variables that the properties of a settings schema declare.
fn variables(schema: &Value) -> anyhow::Result<Vec<String>> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let mut variables = Vec::new();
    for (setting, property) in properties.into_iter().flatten() {
        let Some(names) = property.get("x-env") else {
            continue;
        };
        let names = names
            .as_array()
            .with_context(|| format!("`x-env` of `{setting}` is not a list"))?;
        for name in names {
            let name = name
                .as_str()
                .with_context(|| format!("`x-env` of `{setting}` names {name}"))?;
            variables.push(name.to_owned());
        }
    }
    Ok(variables)
}
