//! What a component is by its outermost sections alone. Nothing is compiled and nothing runs: the names of imports and
//! exports are read, and what is nested in the file is skipped unread, so that the work is bounded by the number of
//! sections and names, however the file is made. Whether the types behind the names fit is `detect`'s to say.

use semver::Version;
use wasmparser::{BinaryReaderError, Chunk, Encoding, FromReader, Parser, Payload, SectionLimited};

use super::contract::{self, CONTRACT_VERSION};
use super::file::ComponentFile;
use super::limits::short;
use super::load_error::LoadError;
use crate::event::Signal;
use crate::event::signal_set::SignalSet;

/// Outermost sections of one component. A Python component, which is composed of about 30 modules, has a few hundred.
const MAX_SECTIONS: usize = 20_000;
/// Imports of one component, and likewise exports. A Python component imports all of WASI, which are 35.
const MAX_NAMES: usize = 256;
/// The name of one import or export. The longest of WASI has 45 bytes.
const MAX_NAME_BYTES: usize = 256;

/// What a component is, read from its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticFacts {
    /// The SHA-256 of the component's bytes: `sha256:` and lower-case hex.
    pub digest: String,
    /// The number of these bytes.
    pub size_bytes: u64,
    /// The contract version that it was built against.
    pub contract: Version,
    /// The signals whose interface it exports.
    pub signals: SignalSet,
    /// Full names of its imports, in its own order.
    pub imports: Vec<String>,
    /// Whether it exports a page.
    pub serves_page: bool,
}

/// Reads what a component is. Takes milliseconds at most.
///
/// # Errors
/// Those of [`LoadError`] that concern the file's structure and the names and versions of imports and exports.
pub fn examine(file: &ComponentFile) -> Result<StaticFacts, LoadError> {
    let Names { imports, exports } = names(file.bytes())?;
    for import in &imports {
        contract::check_import(import)?;
    }
    let contract = contract::check_exports(&exports)?;
    let has = |interface: &str| exports.iter().any(|name| contract::speaks(name, interface));
    if !has("lifecycle") {
        return Err(LoadError::NoLifecycle {
            expected: contract::full_name("lifecycle"),
            exports,
        });
    }
    let signals: SignalSet = Signal::ALL
        .into_iter()
        .filter(|signal| has(signal.name()))
        .collect();
    if signals.is_empty() {
        return Err(LoadError::NoSignal {
            host: CONTRACT_VERSION,
            exports,
        });
    }
    Ok(StaticFacts {
        digest: file.digest().to_owned(),
        size_bytes: file.size_bytes(),
        contract: contract.unwrap_or(CONTRACT_VERSION),
        signals,
        serves_page: has("page"),
        imports,
    })
}

#[derive(Default)]
struct Names {
    imports: Vec<String>,
    exports: Vec<String>,
}

fn damaged(reason: impl Into<String>) -> LoadError {
    LoadError::Damaged {
        reason: reason.into(),
    }
}

fn names(bytes: &[u8]) -> Result<Names, LoadError> {
    let cut_off = || damaged("it ends in the middle of a section");
    let mut names = Names::default();
    let mut parser = Parser::new(0);
    let mut rest = bytes;
    for _ in 0..MAX_SECTIONS {
        let (consumed, payload) = match parser.parse(rest, true).map_err(unreadable)? {
            Chunk::Parsed { consumed, payload } => (consumed, payload),
            Chunk::NeedMoreData(_) => return Err(cut_off()),
        };
        let mut skipped = consumed;
        match payload {
            Payload::Version { encoding, .. } if encoding != Encoding::Component => {
                return Err(damaged("it is not a component"));
            }
            Payload::ModuleSection {
                unchecked_range, ..
            }
            | Payload::ComponentSection {
                unchecked_range, ..
            } => skipped = skipped.saturating_add(unchecked_range.len()),
            Payload::ComponentImportSection(section) => {
                for import in read(section, names.imports.len())? {
                    names.imports.push(checked(import.name.name)?);
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in read(section, names.exports.len())? {
                    names.exports.push(checked(export.name.name)?);
                }
            }
            Payload::End(_) => return Ok(names),
            _ => {}
        }
        rest = rest.get(skipped..).ok_or_else(cut_off)?;
    }
    Err(damaged(format!("it has more than {MAX_SECTIONS} sections")))
}

/// The items of a section, unless there are too many with the ones before.
fn read<'a, T: FromReader<'a>>(
    section: SectionLimited<'a, T>,
    before: usize,
) -> Result<Vec<T>, LoadError> {
    let count = usize::try_from(section.count()).unwrap_or(usize::MAX);
    if before.saturating_add(count) > MAX_NAMES {
        return Err(damaged(format!(
            "it has more than {MAX_NAMES} imports or exports"
        )));
    }
    section
        .into_iter()
        .collect::<Result<_, _>>()
        .map_err(unreadable)
}

/// Names are shown to people, who decide by them: they are visible ASCII, as the component model wants them.
fn checked(name: &str) -> Result<String, LoadError> {
    if name.len() <= MAX_NAME_BYTES && name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(name.to_owned());
    }
    Err(damaged(format!(
        "the name of an import or export is not visible ASCII of at most {MAX_NAME_BYTES} bytes: {:?}",
        short(name)
    )))
}

fn unreadable(error: BinaryReaderError) -> LoadError {
    damaged(short(&error.to_string()))
}
