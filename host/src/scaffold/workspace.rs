//! What a Rust project has beside its template: the SDK, the versions that it was built with here, and the compiler. Taken
//! from our own workspace, so that nothing is said twice.

/// Our workspace's manifest.
const MANIFEST: &str = include_str!("../../../Cargo.toml");
/// Exact versions. Cargo drops what the project does not need when it builds for the first time.
const LOCK: &str = include_str!("../../../Cargo.lock");
const TOOLCHAIN: &str = include_str!("../../../rust-toolchain.toml");
/// What the compiler is told of the target.
const CARGO_CONFIG: &str = include_str!("../../../.cargo/config.toml");
/// Says which of the workspace's dependencies the SDK has.
const SDK_MANIFEST: &str = include_str!("../../../exporters/sdk/Cargo.toml");
/// Two folders deep, as in our repository: the SDK finds `wit/` by the same path.
const SDK_FOLDER: &str = "vendor/sdk";

/// The files that no template has.
pub(super) fn files(sdk: &'static [super::File]) -> impl Iterator<Item = (String, Vec<u8>)> {
    let sources = sdk
        .iter()
        .map(|(path, text)| (format!("{SDK_FOLDER}/{path}"), (*text).into()));
    let beside = [
        ("Cargo.lock", LOCK),
        ("rust-toolchain.toml", TOOLCHAIN),
        (".cargo/config.toml", CARGO_CONFIG),
    ]
    .map(|(path, text)| (path.to_owned(), text.into()));
    sources.chain(beside)
}

/// The tables that the SDK's manifest refers to with `workspace = true`, as TOML.
pub(super) fn tables() -> String {
    let package = table("[workspace.package]");
    let wanted: Vec<&str> = SDK_MANIFEST
        .lines()
        .filter_map(|line| line.strip_suffix(".workspace = true"))
        .collect();
    let dependencies: String = table("[workspace.dependencies]")
        .split_inclusive('\n')
        .filter(|line| {
            let name = line.split_once(" = ").map(|(name, _)| name);
            name.is_some_and(|name| wanted.contains(&name))
        })
        .collect();
    let lints = table("[workspace.lints.rust]");
    let clippy = table("[workspace.lints.clippy]");
    format!(
        "[workspace.package]\n{package}\n[workspace.dependencies]\n{dependencies}\n\
         [workspace.lints.rust]\n{lints}\n[workspace.lints.clippy]\n{clippy}"
    )
}

/// The settings below a header, up to the next; without comments.
fn table(header: &str) -> String {
    let lines = MANIFEST.lines().skip_while(|line| *line != header).skip(1);
    let inside = lines.take_while(|line| !line.starts_with('['));
    inside
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| format!("{line}\n"))
        .collect()
}
