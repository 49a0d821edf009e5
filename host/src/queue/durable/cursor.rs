//! The handle of one exporter on a queue on disk: takes read what is not in memory, settlements go to the writer.

use super::state::State;
use super::*;

/// The handle of one exporter's cursor.
pub struct DurableCursor {
    pub(super) exporter_id: Arc<str>,
    pub(super) generation: u64,
    pub(super) grown: Arc<Notify>,
    pub(super) inner: Arc<Inner>,
    pub(super) commands: Sender<Command>,
}

/// An item of a take, as it is read.
enum Read {
    Event(BatchItem),
    /// Its record does not hold.
    Corrupt(u64),
}

/// Segments by number.
type Segments = std::collections::BTreeMap<u32, Segment>;

/// The segments that hold what is not in memory. Held open, so that it can be read when it is moved aside meanwhile.
fn segments_of(items: &[Located], all: &Segments) -> Segments {
    let uncached = items.iter().filter(|item| item.cached.is_none());
    let numbers: std::collections::BTreeSet<u32> =
        uncached.map(|item| item.place.segment).collect();
    let segments = numbers.into_iter().filter_map(|number| {
        let segment = all.get(&number)?;
        Some((number, segment.clone()))
    });
    segments.collect()
}

/// What is to be read, and the segments that it is read from.
fn located(state: &State, items: Vec<(u64, Place)>) -> (Vec<Located>, Segments) {
    let items = items.into_iter();
    let items: Vec<Located> = items
        .map(|(token, place)| state.located(token, place))
        .collect();
    let segments = segments_of(&items, &state.segments);
    (items, segments)
}

/// Reads what is not in memory; places that follow each other in a segment at once.
fn read_items(items: &[Located], segments: &Segments) -> Result<Vec<Read>, String> {
    let mut read = Vec::with_capacity(items.len());
    let mut known = Arc::default();
    let mut chunk: Option<(u32, u32, Bytes)> = None;
    for (at, item) in items.iter().enumerate() {
        let (token, place) = (item.token, &item.place);
        if let Some(event) = &item.cached {
            let event = Arc::clone(event);
            read.push(Read::Event(BatchItem { token, event }));
            continue;
        }
        let segment = segments
            .get(&place.segment)
            .ok_or("a segment of the queue is gone")?;
        let holds = |(number, start, bytes): &(u32, u32, Bytes)| {
            *number == place.segment
                && *start <= place.offset
                && u64::from(place.offset) + u64::from(place.length)
                    <= u64::from(*start) + bytes.len() as u64
        };
        if !chunk.as_ref().is_some_and(holds) {
            let following = items.iter().skip(at).map(|item| &item.place);
            let spans = following.map_while(|last| space::span_of(place, last, READ_BYTES));
            let (start, length) = spans.last().unwrap_or((place.offset, place.length));
            chunk = Some((
                place.segment,
                start,
                space::read_at(segment, start, length)?,
            ));
        }
        let record = chunk.as_ref().and_then(|(_, start, bytes)| {
            let from = usize::try_from(place.offset.checked_sub(*start)?).ok()?;
            let length = usize::try_from(place.length).ok()?;
            (from + length <= bytes.len()).then(|| bytes.slice(from..from + length))
        });
        let event = space::event_of(&record.unwrap_or_default(), segment.salt, &mut known);
        read.push(match event {
            Ok(event) => Read::Event(BatchItem {
                token,
                event: Arc::new(event),
            }),
            Err(space::Corrupt) => Read::Corrupt(token),
        });
    }
    Ok(read)
}

impl DurableCursor {
    fn not_taken(&self, token: u64) -> CursorError {
        CursorError::NotTaken {
            exporter: self.exporter_id.to_string(),
            token,
        }
    }

    fn failed(&self, cause: String) -> CursorError {
        CursorError::Store {
            exporter: self.exporter_id.to_string(),
            cause,
        }
    }

    /// Reads taken events; what cannot be read is counted as lost.
    async fn fetch(
        &self,
        signal: Signal,
        items: Vec<Located>,
        segments: Segments,
    ) -> Result<Vec<BatchItem>, CursorError> {
        let read = if segments.is_empty() {
            read_items(&items, &segments)
        } else {
            let reading = tokio::task::spawn_blocking(move || read_items(&items, &segments));
            reading
                .await
                .unwrap_or_else(|_| Err("a read was cut off".to_owned()))
        };
        let read = read.map_err(|cause| self.failed(cause))?;
        let (mut items, mut lost) = (Vec::with_capacity(read.len()), Vec::new());
        for one in read {
            match one {
                Read::Event(item) => items.push(item),
                Read::Corrupt(token) => lost.push(token),
            }
        }
        if !lost.is_empty() {
            self.count_lost(signal, lost).await?;
        }
        Ok(items)
    }

    async fn count_lost(&self, signal: Signal, tokens: Vec<u64>) -> Result<(), CursorError> {
        let (reply, answer) = oneshot::channel();
        let task = move |writer: &mut Writer| {
            let sequences = tokens
                .iter()
                .filter_map(|token| crate::queue::log::sequence(signal, *token));
            let lost: Vec<_> = sequences.map(|sequence| (signal, sequence)).collect();
            writer.lose(&lost);
            let _gone = reply.send(());
        };
        self.commands
            .send(Command::Do(Box::new(task)))
            .map_err(|_| self.failed(stopped()))?;
        answer.await.map_err(|_| self.failed(stopped()))
    }
}

impl Cursor for DurableCursor {
    fn exporter_id(&self) -> &str {
        &self.exporter_id
    }

    fn waiting(&self) -> PerSignal<Waiting> {
        let mut state = self.inner.lock();
        state
            .core
            .current(&self.exporter_id, self.generation)
            .map(|(cursor, _)| cursor.waiting())
            .unwrap_or_default()
    }

    async fn grown(&self) {
        self.grown.notified().await;
    }

    async fn take(
        &self,
        signal: Signal,
        limits: TakeLimits<'_>,
    ) -> Result<Vec<BatchItem>, CursorError> {
        let (items, segments) = {
            let mut state = self.inner.lock();
            let (cursor, log) = state.core.current(&self.exporter_id, self.generation)?;
            let items = cursor.take(log, signal, limits);
            located(&state, items)
        };
        let tokens = Tokens::runs(items.iter().map(|item| item.token));
        match self.fetch(signal, items, segments).await {
            Err(error @ CursorError::Store { .. }) => {
                self.release(signal, tokens).await?;
                Err(error)
            }
            fetched => fetched,
        }
    }

    async fn read(&self, signal: Signal, tokens: &[u64]) -> Result<Vec<BatchItem>, CursorError> {
        let (items, segments) = {
            let mut state = self.inner.lock();
            let (cursor, log) = state.core.current(&self.exporter_id, self.generation)?;
            let items = cursor.read(log, signal, tokens);
            located(&state, items)
        };
        self.fetch(signal, items, segments).await
    }

    async fn settle(&self, settlement: Settlement) -> Result<(), CursorError> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Settle {
            exporter: Arc::clone(&self.exporter_id),
            generation: self.generation,
            settlement,
            reply,
        };
        self.commands
            .send(command)
            .map_err(|_| self.failed(stopped()))?;
        answer.await.unwrap_or_else(|_| Err(self.failed(stopped())))
    }

    async fn release(&self, signal: Signal, tokens: Vec<Tokens>) -> Result<(), CursorError> {
        let mut state = self.inner.lock();
        let (cursor, log) = state.core.current(&self.exporter_id, self.generation)?;
        let ranges = cursor
            .taken_ranges(signal, tokens)
            .map_err(|token| self.not_taken(token))?;
        cursor.release(log, signal, &ranges);
        self.grown.notify_one();
        Ok(())
    }
}
