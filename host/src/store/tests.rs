//! Promises of the store, on real files.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use super::*;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn store(directory: &Path, max_bytes: u64) -> Store {
    Store::open(directory, Retention::new(DAY, max_bytes)).unwrap()
}

fn row(id: &str, time: u64, rank: u32, content: &str) -> Row {
    Row {
        id: id.to_owned(),
        time,
        trace_id: Some("t1".to_owned()),
        rank,
        content: content.to_owned(),
    }
}

fn all(directory: &Path, exporter: &str) -> Vec<String> {
    let filter = Filter {
        exporter,
        trace_id: None,
        limit: u32::MAX,
    };
    let reader = Reader::open(directory).unwrap().unwrap();
    reader.newest(Signal::Traces, filter).unwrap()
}

#[test]
fn rows_of_one_id_replace_each_other_unless_a_higher_rank_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path(), u64::MAX);
    for (rank, content) in [
        (1, "updated"),
        (2, "ended"),
        (2, "ended again"),
        (0, "started"),
        (1, "updated late"),
    ] {
        let row = row("a", 5, rank, content);
        store
            .upsert(("x", u64::MAX), Signal::Traces, &[row], 1)
            .unwrap();
    }
    assert_eq!(all(directory.path(), "x"), ["ended again"]);
}

#[test]
fn exporters_and_signals_do_not_see_each_others_rows() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path(), u64::MAX);
    store
        .upsert(
            ("x", u64::MAX),
            Signal::Traces,
            &[row("a", 2, 0, "x2"), row("b", 1, 0, "x1")],
            1,
        )
        .unwrap();
    store
        .upsert(("y", u64::MAX), Signal::Traces, &[row("a", 1, 0, "y")], 1)
        .unwrap();
    store
        .upsert(("x", u64::MAX), Signal::Logs, &[row("a", 1, 0, "log")], 1)
        .unwrap();
    assert_eq!(all(directory.path(), "x"), ["x1", "x2"]);
    let reader = Reader::open(directory.path()).unwrap().unwrap();
    assert_eq!(reader.exporters().unwrap(), ["x", "y"]);
    assert_eq!(reader.newest_traces("x", 9).unwrap(), ["t1"]);
    assert_eq!(reader.traces_like("y", "t").unwrap(), ["t1"]);
    assert!(reader.traces_like("y", "u").unwrap().is_empty());
}

#[test]
fn the_file_is_private_and_outlives_its_writer() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("deep/data");
    store(&directory, u64::MAX)
        .upsert(
            ("x", u64::MAX),
            Signal::Traces,
            &[row("a", 1, 0, "kept")],
            1,
        )
        .unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    assert_eq!(mode(&directory.join(FILE_NAME)), 0o600);
    assert_eq!(all(&directory, "x"), ["kept"]);
}

#[test]
fn old_rows_go_by_when_they_were_written() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path(), u64::MAX);
    let now = 10 * u64::try_from(DAY.as_nanos()).unwrap();
    store
        .upsert(
            ("x", u64::MAX),
            Signal::Traces,
            &[row("old", now, 0, "old")],
            1,
        )
        .unwrap();
    store
        .upsert(
            ("x", u64::MAX),
            Signal::Traces,
            &[row("new", 1, 0, "new")],
            now,
        )
        .unwrap();
    assert_eq!(all(directory.path(), "x"), ["new"]);
}

#[test]
fn the_size_is_bounded_and_space_is_given_back() {
    let directory = tempfile::tempdir().unwrap();
    const MAX: u64 = 256 << 10;
    let store = store(directory.path(), MAX);
    let content = "x".repeat(4096);
    for number in 0..2_000_u64 {
        let row = row(&number.to_string(), number, 0, &content);
        store
            .upsert(("x", u64::MAX), Signal::Traces, &[row], number)
            .unwrap();
    }
    drop(store);
    let bytes = directory.path().join(FILE_NAME).metadata().unwrap().len();
    assert!(bytes < 3 * MAX, "{bytes}");
    let kept = all(directory.path(), "x").len();
    assert!((20..120).contains(&kept), "{kept}");
}

#[test]
fn the_size_holds_while_an_exporter_floods_the_store() {
    let directory = tempfile::tempdir().unwrap();
    const MAX: u64 = 8 << 20;
    let store = store(directory.path(), MAX);
    let rows: Vec<_> = (0..4)
        .map(|id| row(&id.to_string(), 1, 0, &"x".repeat(1 << 20)))
        .collect();
    let path = |suffix: &str| directory.path().join(format!("{FILE_NAME}{suffix}"));
    for flood in 0..16_u64 {
        let mut rows = rows.clone();
        rows.iter_mut()
            .for_each(|row| row.id = format!("{flood}-{}", row.id));
        store
            .upsert(("x", u64::MAX), Signal::Traces, &rows, flood)
            .unwrap();
        let file = path("").metadata().unwrap().len();
        let log = path("-wal").metadata().unwrap().len();
        assert!(
            file <= MAX + (1 << 20) && log <= MAX + LOG_BYTES,
            "{file} and {log} bytes"
        );
    }
    assert_eq!(
        all(directory.path(), "x").len(),
        7,
        "the newest rows are there"
    );
}

#[test]
fn the_exporter_with_the_most_bytes_gives_way_and_not_a_modest_one() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path(), 4 << 20);
    store
        .upsert(
            ("modest", u64::MAX),
            Signal::Traces,
            &[row("a", 1, 0, "kept")],
            1,
        )
        .unwrap();
    for flood in 2..40 {
        let row = row(&flood.to_string(), 1, 0, &"x".repeat(1 << 20));
        store
            .upsert(("greedy", u64::MAX), Signal::Traces, &[row], flood)
            .unwrap();
    }
    assert_eq!(all(directory.path(), "modest"), ["kept"]);
    let kept = all(directory.path(), "greedy").len();
    assert!((2..4).contains(&kept), "{kept}");
}

#[test]
fn an_exporter_stays_within_its_share() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path(), u64::MAX >> 1);
    let content = "x".repeat(1024);
    for number in 0..100 {
        // Each id twice: what is replaced is not counted twice.
        let row = row(&(number / 2).to_string(), number, 0, &content);
        store
            .upsert(
                ("x", 20 * 1500),
                Signal::Traces,
                std::slice::from_ref(&row),
                number,
            )
            .unwrap();
        store
            .upsert(("y", u64::MAX), Signal::Traces, &[row], number)
            .unwrap();
    }
    let kept = all(directory.path(), "x").len();
    assert!((15..=23).contains(&kept), "{kept}");
    assert_eq!(all(directory.path(), "y").len(), 50);
}

#[test]
fn rows_that_can_never_fit_are_refused_and_nothing_gives_way() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path(), 1 << 20);
    store
        .upsert(
            ("x", u64::MAX),
            Signal::Traces,
            &[row("a", 1, 0, "kept")],
            1,
        )
        .unwrap();
    let large = [row("b", 1, 0, &"x".repeat(2 << 20))];
    let error = store
        .upsert(("x", u64::MAX), Signal::Traces, &large, 2)
        .unwrap_err();
    assert!(
        error.to_string().contains("storage.local.max_size"),
        "{error}"
    );
    assert_eq!(all(directory.path(), "x"), ["kept"]);
}

#[test]
fn a_newer_file_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    drop(store(directory.path(), u64::MAX));
    let path = directory.path().join(FILE_NAME);
    let connection = Connection::open(&path).unwrap();
    connection
        .pragma_update(None, "user_version", FORMAT + 1)
        .unwrap();
    drop(connection);
    let error = Store::open(directory.path(), Retention::new(DAY, 1)).unwrap_err();
    assert!(error.to_string().contains("upgrade mastra-host"), "{error}");
    assert!(matches!(
        Reader::open(directory.path()),
        Err(StoreError::Newer { .. })
    ));
}

#[test]
fn an_absent_or_empty_store_has_nothing_to_read() {
    let directory = tempfile::tempdir().unwrap();
    assert!(Reader::open(directory.path()).unwrap().is_none());
    std::fs::write(directory.path().join(FILE_NAME), b"").unwrap();
    assert!(Reader::open(directory.path()).unwrap().is_none());
}
