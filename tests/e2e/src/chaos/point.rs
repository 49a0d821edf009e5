//! Where a life of the host ends: at a time that is drawn, or as soon as something has happened that can be seen from
//! outside: an answer, a request, a file of the queue that comes or goes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;

/// Between two looks at the queue's directory.
const LOOK: Duration = Duration::from_micros(300);

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) enum Point {
    /// So long after its start: while it opens its files, mostly.
    InStart(Duration),
    /// So long after it listens, whatever it does then.
    AnyTime(Duration),
    /// As soon as so many requests have been acknowledged.
    AfterAcknowledgement(u64),
    /// While the steady backend has a request and the host no answer.
    BetweenRequestAndAnswer(usize),
    /// As soon as the steady backend has answered so many requests.
    AfterAnswer(u64),
    /// As soon as the queue has a segment more.
    SegmentBegun,
    /// As soon as the queue has let go of a segment.
    SegmentRemoved,
    /// So long after it was asked to stop.
    InStop(Duration),
}

impl Point {
    pub(super) fn draw(random: &mut fastrand::Rng) -> Self {
        let micros = |random: &mut fastrand::Rng, most| Duration::from_micros(random.u64(0..most));
        match random.u8(0..16) {
            0..=1 => Self::InStart(micros(random, 60_000)),
            2..=4 => Self::AnyTime(micros(random, 400_000)),
            5..=6 => Self::AfterAcknowledgement(random.u64(1..20)),
            7..=8 => Self::BetweenRequestAndAnswer(random.usize(1..5)),
            9..=11 => Self::AfterAnswer(random.u64(1..5)),
            12 => Self::SegmentBegun,
            13 => Self::SegmentRemoved,
            _ => Self::InStop(micros(random, 40_000)),
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::InStart(_) => "in start",
            Self::AnyTime(_) => "at any time",
            Self::AfterAcknowledgement(_) => "after an acknowledgement",
            Self::BetweenRequestAndAnswer(_) => "between request and answer",
            Self::AfterAnswer(_) => "after an answer",
            Self::SegmentBegun => "as a segment begins",
            Self::SegmentRemoved => "as a segment goes",
            Self::InStop(_) => "in stop",
        }
    }

    /// Whether clients send long events, so that the queue's segments fill.
    pub(super) const fn needs_segments(self) -> bool {
        matches!(self, Self::SegmentBegun | Self::SegmentRemoved)
    }
}

/// Returns once the queue below `data` has a segment that it did not have, or has no longer one that it had.
pub(super) async fn segments_change(point: Point, data: &Path) -> anyhow::Result<()> {
    let before = segments(data)?;
    let mut look = tokio::time::interval(LOOK);
    loop {
        look.tick().await;
        let now = segments(data)?;
        let has_changed = match point {
            Point::SegmentRemoved => !before.is_subset(&now),
            _ => !now.is_subset(&before),
        };
        if has_changed {
            return Ok(());
        }
    }
}

fn segments(data: &Path) -> anyhow::Result<BTreeSet<PathBuf>> {
    let directory = data.join("queue");
    let files = std::fs::read_dir(&directory)
        .with_context(|| format!("cannot list {}", directory.display()))?;
    let paths = files.filter_map(|file| Some(file.ok()?.path()));
    let is_segment = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "log");
    Ok(paths.filter(is_segment).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_is_drawn() {
        let mut random = fastrand::Rng::with_seed(1);
        let names: BTreeSet<_> = (0..500).map(|_| Point::draw(&mut random).name()).collect();
        assert_eq!(names.len(), 8, "{names:?}");
    }
}
