//! Lists the files that `mastra-host new` writes, so that they are part of the binary: the templates, the contract, and
//! the Rust SDK, each from where it lives.

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

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
