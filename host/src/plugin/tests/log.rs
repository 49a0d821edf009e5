//! What a component says through `log`: with its level and name, cut and visible, and not without bound.

use std::io::Write;
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::MakeWriter;

use super::{DELIVERED, ask, pool};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// The lines of one call, with the levels down to this one.
async fn said(what: &str, level: tracing::Level) -> Vec<String> {
    let pool = pool().await;
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(false)
        .with_writer(lines.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    assert_eq!(ask(&pool, what).await, Ok(DELIVERED));
    drop(guard);
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let lines = text
        .lines()
        .filter(|line| line.contains("misbehaving/test"));
    lines.map(str::to_owned).collect()
}

#[tokio::test]
async fn each_level_is_one_line_that_is_cut_and_visible() {
    let lines = said("say", tracing::Level::DEBUG).await;
    assert_eq!(lines.len(), 4, "{lines:?}");
    for (line, level) in lines.iter().zip(["DEBUG", "INFO", "WARN", "ERROR"]) {
        assert!(line.contains(level) && line.contains("xxx..."), "{line}");
        assert!(line.len() < 1_000 && !line.contains('\u{1b}'), "{line}");
    }
    assert_eq!(said("say", tracing::Level::WARN).await.len(), 2);
}

#[tokio::test]
async fn what_is_said_too_much_is_dropped_and_that_is_said() {
    let lines = said("say too much", tracing::Level::WARN).await;
    // 16 KiB a call, in messages of 400 bytes.
    let said = lines.iter().filter(|line| line.contains("yyy")).count();
    assert!((30..=40).contains(&said), "{said}");
    let dropped = lines
        .iter()
        .filter(|line| line.contains("too much; the rest"));
    assert_eq!(dropped.count(), 1, "{lines:?}");
}
