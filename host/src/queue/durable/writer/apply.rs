//! What a write changes in the state that others see, once it is on the disk.

use super::*;

pub(super) fn taken_ranges(
    state: &mut State,
    settled: &Settled,
) -> Result<Vec<(u64, u64)>, CursorError> {
    let (cursor, _) = state.core.current(&settled.exporter, settled.generation)?;
    let tokens = settled.settlement.parts.iter().map(|(tokens, _)| *tokens);
    cursor
        .taken_ranges(settled.settlement.signal, tokens)
        .map_err(|token| CursorError::NotTaken {
            exporter: settled.exporter.to_string(),
            token,
        })
}

pub(super) fn settle_now(
    state: &mut State,
    settled: &Settled,
    garbage: &mut Freed<Place>,
) -> Result<(), CursorError> {
    let ranges = taken_ranges(state, settled)?;
    let (cursor, log) = state.core.current(&settled.exporter, settled.generation)?;
    garbage.extend(cursor.settle(log, &settled.settlement, &ranges, |_, _, _, _| {}));
    Ok(())
}

pub(super) fn add_now(
    state: &mut State,
    group: crate::queue::core::Group,
    places: Vec<Place>,
    base: u32,
    cache_bytes: u64,
) -> Appended {
    let appended = Appended {
        accepted: group.events.len() as u64,
        repeated: group.repeated.iter().map(|(_, events)| events).sum(),
    };
    let mut fresh: Vec<(Signal, u64, Vec<Arc<Event>>)> = Vec::new();
    let mut places = places.into_iter();
    state.core.add(group, |event, sequence| {
        let mut place = places.next().unwrap_or_else(|| unwritten(&event));
        place.offset = place.offset.saturating_add(base);
        // The sequence numbers of a group's events follow each other in each signal.
        match fresh
            .iter_mut()
            .find(|(signal, ..)| *signal == event.signal())
        {
            Some((.., events)) => events.push(event),
            None => fresh.push((event.signal(), sequence, vec![event])),
        }
        place
    });
    state.tail.keep(fresh, cache_bytes);
    appended
}

/// There is a place for every event that is added; this one would read as corrupt.
pub(super) fn unwritten(event: &Arc<Event>) -> Place {
    Place {
        received_at: event.received_at,
        lane: event.lane,
        segment: 0,
        offset: 0,
        length: 0,
        size: u32::try_from(event.size_bytes()).unwrap_or(u32::MAX),
        kind: event.kind,
    }
}

pub(super) fn lost_event(place: &Place) -> Event {
    Event {
        kind: place.kind,
        payload: bytes::Bytes::new(),
        received_at: place.received_at,
        source: Arc::default(),
        repeat_key: 0,
        lane: place.lane,
    }
}
