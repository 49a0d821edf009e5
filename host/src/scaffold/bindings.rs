//! Bindings for languages whose tools do not make them while they build: C and Go. Generated from the project's own WIT.

use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use bindgen_wit_component::{StringEncoding, metadata};
use wit_bindgen_core::wit_parser::{Resolve, SourceMap, UnresolvedPackageGroup, WorldId};
use wit_bindgen_core::{Files as Generated, WorldGenerator};

use super::{CONTRACT_FOLDER, Files, Language, Project};

/// Where bindings go, and the file in `wit/` whose world they are of.
const FOLDER: &str = "bindings";
const WORLD_FILE: &str = "wit/plugin.wit";
/// The custom section that tells a linker of components what a core module is.
const SECTION_NAME: &str = "component-type";
/// A custom section's id in the binary format of WebAssembly.
const CUSTOM_SECTION: u8 = 0;

/// The generated files.
pub(super) fn generate(project: &Project, files: &Files) -> anyhow::Result<Files> {
    let (mut resolve, world) = resolve(files)?;
    let mut written = Files::new();
    let mut generator: Box<dyn WorldGenerator> = match project.language {
        Language::C => wit_bindgen_c::Opts::default().build(),
        Language::Go => {
            let section = component_type(&resolve, world)?;
            written.insert(format!("{FOLDER}/{SECTION_NAME}.section"), section);
            go(project).build()
        }
        other => bail!("bindings of {other} are made by its own tools"),
    };
    let mut generated = Generated::default();
    generator.generate(&mut resolve, world, &mut generated)?;
    for (path, bytes) in generated.iter() {
        written.insert(format!("{FOLDER}/{path}"), bytes.to_vec());
    }
    Ok(written)
}

fn go(project: &Project) -> wit_bindgen_go::Opts {
    let module = format!("{}-exporter", project.name.kebab());
    wit_bindgen_go::Opts {
        // The machine that writes the project need not have Go.
        format: wit_bindgen_go::Format::False,
        pkg_name: Some(format!("{module}/{FOLDER}")),
        export_pkg_name: Some(format!("{module}/exports")),
        ..wit_bindgen_go::Opts::default()
    }
}

/// The project's WIT, and its world.
fn resolve(files: &Files) -> anyhow::Result<(Resolve, WorldId)> {
    let world_file = |path: &str| path == WORLD_FILE;
    let contract = |path: &str| Path::new(path).parent() == Some(Path::new(CONTRACT_FOLDER));
    let mut resolve = Resolve::default();
    resolve.push_group(package(files, contract)?)?;
    let own = resolve.push_group(package(files, world_file)?)?;
    let world = resolve.select_world(&[own], None)?;
    Ok((resolve, world))
}

/// The package of these files.
fn package(
    files: &Files,
    is_part: impl Fn(&str) -> bool,
) -> anyhow::Result<UnresolvedPackageGroup> {
    let mut sources = SourceMap::new();
    for (path, bytes) in files.iter().filter(|(path, _)| is_part(path)) {
        let text = std::str::from_utf8(bytes).with_context(|| format!("{path} is no text"))?;
        sources.push_str(path, text);
    }
    sources.parse().map_err(|(_, error)| anyhow!("{error}"))
}

/// A custom section as bytes: behind a core module they make what `wasm-tools component embed` makes of it.
fn component_type(resolve: &Resolve, world: WorldId) -> anyhow::Result<Vec<u8>> {
    let payload = metadata::encode(resolve, world, StringEncoding::UTF8, None)?;
    let mut content = Vec::with_capacity(payload.len() + SECTION_NAME.len() + 5);
    leb128(SECTION_NAME.len(), &mut content);
    content.extend_from_slice(SECTION_NAME.as_bytes());
    content.extend_from_slice(&payload);
    let mut section = vec![CUSTOM_SECTION];
    leb128(content.len(), &mut section);
    section.extend_from_slice(&content);
    Ok(section)
}

/// Unsigned LEB128, as WebAssembly writes lengths.
fn leb128(mut number: usize, bytes: &mut Vec<u8>) {
    loop {
        let low = u8::try_from(number & 0x7f).unwrap_or_default();
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}
