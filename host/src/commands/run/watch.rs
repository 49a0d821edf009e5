//! Sees that files have changed, and when somebody asks to look again. Polls: the files are few, some editors replace
//! instead of write, and not every file system tells of changes.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::commands::list_components;

/// Between looks. A change counts when two looks agree: a file that is still being written is left alone.
const INTERVAL: Duration = Duration::from_millis(500);

/// How a file looks from outside; `None` where there is none.
type Stamp = Option<(u64, u64, i64, i64)>;

/// What is looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Watched {
    /// Every component in it.
    pub(super) directory: PathBuf,
    /// Files wherever they are.
    pub(super) files: BTreeSet<PathBuf>,
}

/// See the module.
pub(super) struct Watch {
    ticks: Interval,
    hangup: Signal,
    /// What was acted upon.
    known: BTreeMap<PathBuf, Stamp>,
    last: BTreeMap<PathBuf, Stamp>,
}

impl Watch {
    /// From here on SIGHUP is a question and no end. What `watched` is like now is known.
    pub(super) fn new(watched: &Watched) -> io::Result<Self> {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let known = watched.look();
        Ok(Self {
            ticks,
            hangup: signal(SignalKind::hangup())?,
            last: known.clone(),
            known,
        })
    }

    /// What the files are like now is this host's own doing.
    pub(super) fn acknowledge(&mut self, watched: &Watched) {
        self.known = watched.look();
        self.last.clone_from(&self.known);
    }

    /// Returns when something has changed and is at rest, or at SIGHUP. Cancel safe.
    pub(super) async fn changed(&mut self, watched: &Watched) {
        loop {
            let is_asked = tokio::select! {
                _ = self.hangup.recv() => true,
                _ = self.ticks.tick() => false,
            };
            let now = watched.look();
            let is_at_rest = now == self.last;
            self.last.clone_from(&now);
            if is_asked || (is_at_rest && now != self.known) {
                self.known = now;
                return;
            }
        }
    }
}

impl Watched {
    fn look(&self) -> BTreeMap<PathBuf, Stamp> {
        // A directory that cannot be read has no components; reading it again says why.
        let listed = list_components(&self.directory).unwrap_or_default();
        let all = listed.into_iter().chain(self.files.clone());
        all.map(|file| (file.clone(), stamp(&file))).collect()
    }
}

/// A write changes the time, a replacement the inode.
fn stamp(file: &Path) -> Stamp {
    let metadata = std::fs::metadata(file).ok()?;
    Some((
        metadata.ino(),
        metadata.len(),
        metadata.ctime(),
        metadata.ctime_nsec(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_change_counts_when_two_looks_agree() {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("config.yaml");
        std::fs::write(&config, "a").unwrap();
        let watched = Watched {
            directory: directory.path().join("plugins"),
            files: [config.clone()].into(),
        };
        let mut watch = Watch::new(&watched).unwrap();
        let quiet = tokio::time::timeout(10 * INTERVAL, watch.changed(&watched));
        assert!(quiet.await.is_err(), "nothing has changed");

        // As editors do it.
        let new = directory.path().join("new");
        std::fs::write(&new, "b").unwrap();
        std::fs::rename(&new, &config).unwrap();
        watch.changed(&watched).await;
        let quiet = tokio::time::timeout(10 * INTERVAL, watch.changed(&watched));
        assert!(quiet.await.is_err(), "it is known now");

        std::fs::create_dir(&watched.directory).unwrap();
        std::fs::write(watched.directory.join("x.txt"), "").unwrap();
        let quiet = tokio::time::timeout(10 * INTERVAL, watch.changed(&watched));
        assert!(quiet.await.is_err(), "not a component");
        std::fs::write(watched.directory.join("x.wasm"), "").unwrap();
        watch.changed(&watched).await;
        std::fs::remove_file(watched.directory.join("x.wasm")).unwrap();
        watch.changed(&watched).await;
    }
}
