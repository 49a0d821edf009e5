//! The binary: parses arguments, runs the command, maps its end to an exit code.
fn main() {}
