//! Compiling a component cannot fill or hold up the machine, and only files of components are read.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;

use kit::components;
use kit::host::HostCommand;

fn push_leb(bytes: &mut Vec<u8>, mut number: usize) {
    while number > 0x7f {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn push_section(bytes: &mut Vec<u8>, id: u8, content: &[u8]) {
    bytes.push(id);
    push_leb(bytes, content.len());
    bytes.extend_from_slice(content);
}

/// A core module of one function with many local variables that all live across many branches: 5 MB, for which a compiler
/// takes gigabytes.
fn costly_module() -> Vec<u8> {
    const LOCALS: usize = 20_000;
    const ROUNDS: usize = 12;
    let mut body = vec![1];
    push_leb(&mut body, LOCALS);
    body.push(0x7f);
    for local in (0..ROUNDS).flat_map(|_| 0..LOCALS) {
        let operations = [
            // local.get, i32.const, i32.add, local.set
            (&[0x20][..], local),
            (&[0x41], 1),
            (&[0x6a, 0x21], (local * 7919 + 13) % LOCALS),
            // local.get, if, local.get, local.set, end
            (&[0x20], 0),
            (&[0x04, 0x40, 0x20], local * 31 % LOCALS),
            (&[0x21], (local * 17 + 5) % LOCALS),
        ];
        for (codes, operand) in operations {
            body.extend_from_slice(codes);
            push_leb(&mut body, operand);
        }
        body.push(0x0b);
    }
    body.push(0x0b);
    let mut code = vec![1];
    push_leb(&mut code, body.len());
    code.extend_from_slice(&body);
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    push_section(&mut module, 1, b"\x01\x60\0\0");
    push_section(&mut module, 3, b"\x01\0");
    push_section(&mut module, 10, &code);
    module
}

#[tokio::test]
async fn a_component_that_is_made_to_be_costly_is_refused_with_the_limit_it_hits()
-> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("costly.wasm");
    let mut bytes = std::fs::read(components::exporter("json")?)?;
    push_section(&mut bytes, 1, &costly_module());
    std::fs::write(&path, bytes)?;
    let finished = HostCommand::new("inspect")?.arg(&path).finish().await?;
    finished.expect_code(1)?;
    assert!(
        finished.stderr.contains(
            "costly.wasm: cannot be compiled: compiling it takes more than 1 GiB of memory"
        ) || finished.stderr.contains("takes more than 60 s of CPU"),
        "{}",
        finished.stderr
    );
    Ok(())
}

async fn refusal(path: &Path) -> anyhow::Result<String> {
    let finished = HostCommand::new("inspect")?.arg(path).finish().await?;
    finished.expect_code(1)?;
    Ok(finished.stderr)
}

#[tokio::test]
async fn what_is_no_file_of_a_component_gets_one_line() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let at = |name: &str| directory.path().join(name);
    let _socket = UnixListener::bind(at("socket.wasm"))?;
    symlink("/dev/zero", at("zero.wasm"))?;
    std::fs::create_dir(at("folder.wasm"))?;
    let sparse = std::fs::File::create(at("sparse.wasm"))?;
    sparse.set_len(20 << 30)?;
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"\0asm\x0d\0\x01\0", 0)?;
    for (name, expected) in [
        ("socket.wasm", "is a socket, not a regular file"),
        ("zero.wasm", "is a device, not a regular file"),
        ("folder.wasm", "is a directory, not a regular file"),
        ("sparse.wasm", "is too large"),
        ("missing.wasm", "no file"),
    ] {
        let said = refusal(&at(name)).await?;
        assert!(said.contains(expected), "{name}: {said}");
        assert_eq!(said.lines().count(), 1, "{name}: {said}");
    }
    Ok(())
}
