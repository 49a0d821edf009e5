//! The driver of the host, with shell scripts in its place.

use super::*;
use crate::backend::{Backend, RecordEverything};

/// A stand-in for the host: a shell script.
fn script(text: &str) -> HostCommand {
    HostCommand::of(Path::new("/bin/sh"), "-c")
        .unwrap()
        .arg(text)
        .arg("host")
}

#[tokio::test]
async fn a_run_to_the_end_gives_code_output_and_log() {
    let command = script("read line; echo \"out $line $NAME $HOME\"; echo log >&2; exit 3")
        .env("NAME", "value");
    let home = command.dir().to_path_buf();
    let finished = command.stdin("line\n").finish().await.unwrap();
    assert_eq!(finished.code().unwrap(), 3);
    assert_eq!(
        (finished.stdout.trim(), finished.stderr.as_str()),
        (&*format!("out line value {}", home.display()), "log\n")
    );
    assert!(
        finished
            .expect_code(0)
            .unwrap_err()
            .to_string()
            .contains("3 instead of 0")
    );
}

#[tokio::test]
async fn the_environment_of_the_test_does_not_leak() {
    let finished = script("echo ${CARGO_PKG_NAME:-unset}")
        .finish()
        .await
        .unwrap();
    assert_eq!(finished.stdout, "unset\n");
}

#[tokio::test]
async fn a_host_is_started_when_its_address_is_named_and_it_is_ready() {
    let backend = Backend::start(RecordEverything).await.unwrap();
    for named in [
        "echo starting; echo \"listening on $URL now\" >&2",
        "echo '{\"listening\":\"'${URL#http://}'\"}'",
    ] {
        let wait = "sleep 600 >/dev/null 2>&1 & trap \"kill $!; echo stopped; exit 0\" TERM; wait";
        // The trap stands before the address is named, since the signal may follow at once.
        let text = wait.replace("; wait", &format!("; {named}; wait"));
        let host = script(&text)
            .env("URL", &backend.url())
            .start()
            .await
            .unwrap();
        assert_eq!(host.address(), backend.address());
        let finished = host.terminate().await.unwrap();
        assert_eq!(finished.code().unwrap(), 0);
        assert!(
            finished.stdout.ends_with("stopped\n"),
            "{}",
            finished.stdout
        );
    }
    assert!(
        backend
            .requests()
            .iter()
            .all(|recorded| recorded.request.path == "/readyz")
    );
}

#[tokio::test]
async fn a_host_that_ends_at_once_is_told_with_its_log() {
    let Err(error) = script("echo 'unknown key exporter' >&2; exit 2")
        .start()
        .await
    else {
        panic!("started")
    };
    let text = error.to_string();
    assert!(
        text.contains("exit status: 2") && text.contains("unknown key exporter"),
        "{text}"
    );
}

#[test]
fn addresses_read_from_both_forms() {
    let expected = Some("127.0.0.1:4318".parse().unwrap());
    for line in [
        "listening on http://127.0.0.1:4318",
        "2026 INFO listening on http://127.0.0.1:4318/ ready",
        "{\"listening\":\"127.0.0.1:4318\"}",
    ] {
        assert_eq!(address(line), expected, "{line}");
    }
    assert_eq!(address("listening"), None);
}

#[tokio::test]
async fn a_dropped_host_is_killed() {
    let backend = Backend::start(RecordEverything).await.unwrap();
    let command = script("mkfifo alive; echo listening on $URL; exec sleep 600 >alive 2>&1")
        .env("URL", &backend.url());
    let pipe = command.dir().join("alive");
    let host = command.start().await.unwrap();
    // Opening waits for the writer; reading ends when no writer is left.
    let mut alive = tokio::task::spawn_blocking(move || std::fs::File::open(pipe))
        .await
        .unwrap()
        .unwrap();
    drop(host);
    let read = tokio::task::spawn_blocking(move || {
        std::io::Read::read_to_end(&mut alive, &mut Vec::new())
    });
    assert_eq!(read.await.unwrap().unwrap(), 0);
}
