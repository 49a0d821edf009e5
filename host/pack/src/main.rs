//! Packs components into the archive that the host embeds. `make build` runs it between the components and the host.

mod describe;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use clap::Parser as _;
use component_archive::Component;

/// Packs components into the archive that mastra-host embeds.
#[derive(clap::Parser)]
struct Args {
    /// The archive to write.
    #[arg(long)]
    out: PathBuf,
    /// The components, each named `<name>.wasm`.
    #[arg(required = true)]
    components: Vec<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mut components = Vec::with_capacity(args.components.len());
    for file in &args.components {
        let component = read(file).with_context(|| format!("cannot pack {}", file.display()))?;
        components.push(component);
    }
    let archive = component_archive::write(&components)?;
    write_if_changed(&args.out, &archive)
        .with_context(|| format!("cannot write {}", args.out.display()))
}

fn read(file: &Path) -> anyhow::Result<Component> {
    let bytes = std::fs::read(file)?;
    let described = describe::describe(&bytes)?;
    let stem = file.file_stem().and_then(|stem| stem.to_str());
    ensure!(
        stem == Some(described.name.as_str()),
        "it calls itself `{0}`: name the file {0}.wasm",
        described.name
    );
    Ok(Component {
        name: described.name,
        variables: described.variables,
        bytes,
    })
}

/// Leaves an equal archive alone: a new time stamp would have cargo compile the host again.
fn write_if_changed(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if std::fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let Some(directory) = path.parent() else {
        bail!("it is no path of a file");
    };
    std::fs::create_dir_all(directory)?;
    let unfinished = path.with_extension("unfinished");
    std::fs::write(&unfinished, bytes)?;
    std::fs::rename(&unfinished, path)?;
    Ok(())
}
