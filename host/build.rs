//! Lists the files that are part of the binary, each from where it lives: what `mastra-host new` writes (the templates,
//! the contract, the Rust SDK), and the archive of components that `MASTRA_HOST_COMPONENTS` names.

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Names the archive of components. Without it nothing is embedded, so that a check of the code needs no components.
const COMPONENTS: &str = "MASTRA_HOST_COMPONENTS";

fn main() -> Result<(), Box<dyn Error>> {
    let host = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let mut code = String::new();
    for (name, folder) in [
        ("TEMPLATES", "templates"),
        ("CONTRACT", "../wit"),
        ("SDK", "../exporters/sdk"),
    ] {
        let folder = host.join(folder);
        println!("cargo::rerun-if-changed={}", folder.display());
        let mut files = Vec::new();
        collect(&folder, &mut files)?;
        files.sort();
        writeln!(code, "static {name}: &[File] = &[")?;
        for file in files {
            let path = file.strip_prefix(&folder)?.display().to_string();
            writeln!(code, "    ({path:?}, include_str!({file:?})),")?;
        }
        writeln!(code, "];")?;
    }
    let target = PathBuf::from(env::var("OUT_DIR")?).join("embedded.rs");
    fs::write(target, code)?;
    embed_components(&host)
}

/// Writes the constant that `embedded` includes: the archive, or nothing.
fn embed_components(host: &Path) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed={COMPONENTS}");
    let archive = match env::var_os(COMPONENTS).filter(|path| !path.is_empty()) {
        None => "None".to_owned(),
        Some(path) => {
            // A path that is not absolute is one of the repository.
            let path = host.join("..").join(path);
            let path = fs::canonicalize(&path).map_err(|error| {
                let path = path.display();
                format!("cannot embed {path}, which {COMPONENTS} names: {error}; run `make components` first")
            })?;
            println!("cargo::rerun-if-changed={}", path.display());
            format!("Some(include_bytes!({path:?}))")
        }
    };
    let target = PathBuf::from(env::var("OUT_DIR")?).join("components.rs");
    fs::write(
        target,
        format!("static ARCHIVE: Option<&[u8]> = {archive};\n"),
    )?;
    Ok(())
}

/// The files below a folder, at any depth.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
