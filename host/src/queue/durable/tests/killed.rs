//! A process that is killed while it appends and settles: what it was told is true afterwards.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use super::*;

const DIRECTORY: &str = "MASTRA_HOST_TEST_QUEUE";

/// Appends and settles every other event until it is killed; says what was answered.
async fn append_for_ever(directory: &Path) {
    let queue = DurableQueue::open(directory, DurableQueueSettings::default()).expect("opens");
    let cursor = queue.open("a", options()).await.expect("opens");
    for id in 0.. {
        queue.append(spans(id..id + 1)).await.expect("fits");
        println!("\nappended {id}");
        let items = cursor.take(Signal::Traces, ALL).await.expect("current");
        if id % 2 == 0 {
            settle_all(&cursor, &items, Fate::Delivered)
                .await
                .expect("taken");
            println!("\nsettled {id}");
        }
    }
}

#[tokio::test]
async fn killed_process_keeps_what_it_was_told() {
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        return append_for_ever(Path::new(&directory)).await;
    }
    let directory = TempDir::new().expect("made");
    for enough in [1, 7, 40] {
        let path = directory.path().join(format!("queue-{enough}"));
        let name = "queue::durable::tests::killed::killed_process_keeps_what_it_was_told";
        let mut child = Command::new(std::env::current_exe().expect("known"))
            .args(["--exact", name, "--nocapture"])
            .env(DIRECTORY, &path)
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        let (mut appended, mut settled) = (BTreeSet::new(), BTreeSet::new());
        let output = BufReader::new(child.stdout.take().expect("piped"));
        for line in output.lines() {
            let line = line.expect("text");
            let id = |prefix| line.strip_prefix(prefix)?.parse::<u64>().ok();
            appended.extend(id("appended "));
            settled.extend(id("settled "));
            if appended.len() == enough {
                // What it still says before it is dead counts as well.
                child.kill().expect("ours");
            }
        }
        child.wait().expect("ended");
        assert!(appended.len() >= enough, "the child ended by itself");
        let queue = DurableQueue::open(&path, DurableQueueSettings::default()).expect("opens");
        let cursor = queue.open("a", options()).await.expect("opens");
        let waiting: BTreeSet<u64> = take_ids(&cursor, Signal::Traces, ALL)
            .await
            .into_iter()
            .collect();
        let owed: BTreeSet<u64> = appended.difference(&settled).copied().collect();
        assert!(
            waiting.is_disjoint(&settled),
            "settled ones do not come again"
        );
        // The last append or settlement may be made and its answer not heard.
        let unheard: Vec<_> = owed.symmetric_difference(&waiting).collect();
        assert!(unheard.len() <= 1, "{unheard:?}");
        let account = account(&queue, "a", Signal::Traces);
        assert_eq!(
            (account.received, account.dropped.total()),
            (account.delivered + account.queued, 0)
        );
        queue.shut_down().await;
    }
}
