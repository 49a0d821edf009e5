//! Command lines that are read, and those that are refused.

use clap::CommandFactory;

use super::*;

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
    assert_eq!(
        timeout("5m"),
        Ok(defaults::INPUT_TIMEOUT),
        "the help and the defaults agree"
    );
}

#[test]
fn run_takes_what_the_design_names() {
    let line = "mastra-host run --config c.yaml --plugin a.wasm --plugin b.wasm --plugins-dir p --listen [::1]:0 \
                --listen-grpc off --data-dir d --input - --timeout 10s --output json -vv";
    let cli = Cli::try_parse_from(line.split_whitespace()).unwrap();
    assert_eq!(cli.verbose, 2);
    let Command::Run(run) = cli.command else {
        panic!("not run")
    };
    assert_eq!(run.plugins.len(), 2);
    assert_eq!(run.timeout, Duration::from_secs(10));
    assert_eq!(
        run.listen.map(|listen| listen.to_string()).as_deref(),
        Some("[::1]:0")
    );
    assert_eq!(run.listen_grpc, Some(Listen::Off));
    assert_eq!(run.output.format, Output::Json);
}

#[test]
fn bad_usage_is_refused() {
    for line in [
        "mastra-host",
        "mastra-host run --listen 4318",
        "mastra-host run --listen off",
        "mastra-host run --listen-grpc none",
        "mastra-host run --input - --timeout soon",
        "mastra-host run --timeout 5s",
        "mastra-host inspect",
        "mastra-host new acme-board",
        "mastra-host new Acme --lang c",
        "mastra-host new acme-board --lang cobol",
        "mastra-host new acme-board --lang c --signals traces,spans",
        "mastra-host inspect a.wasm --output markdown",
        "mastra-host validate",
        "mastra-host test",
        "mastra-host test a.wasm --signals spans",
        "mastra-host test a.wasm --set key",
        "mastra-host test a.wasm --update",
        "mastra-host plugin approve",
        "mastra-host dlq",
        "mastra-host dlq show",
        "mastra-host queue forget",
        "mastra-host purge",
        "mastra-host purge --user a --trace b",
        "mastra-host purge --user=",
    ] {
        let error = Cli::try_parse_from(line.split_whitespace()).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{line}");
    }
}

#[test]
fn markdown_is_for_the_matrix() {
    let cli = Cli::try_parse_from(["mastra-host", "matrix", "--output", "markdown"]).unwrap();
    assert!(matches!(
        cli.command,
        Command::Matrix(MatrixArgs {
            output: MatrixOutput::Markdown,
            ..
        })
    ));
}
