//! Where the events of a segment of slots lie, in columns: about ten bytes an event, since events that were written one
//! after the other lie one after the other and are of one kind, one time of receipt and similar sizes.

use super::format::kind_of;
use super::state::Place;
use crate::queue::column::Column;
use crate::queue::log::Slots;

/// Records begin at each eighth byte.
const ALIGNMENT: u64 = 8;

/// See the module.
#[derive(Debug, Default)]
pub(in crate::queue) struct Places {
    /// The kind's number and one; 0 is an empty slot.
    kinds: Column,
    received_at: Column,
    lanes: Column,
    segments: Column,
    /// In units of [`ALIGNMENT`].
    offsets: Column,
    sizes: Column,
    /// What a record has beside its payload.
    fronts: Column,
}

impl Places {
    fn columns(&self) -> [&Column; 7] {
        [
            &self.kinds,
            &self.received_at,
            &self.lanes,
            &self.segments,
            &self.offsets,
            &self.sizes,
            &self.fronts,
        ]
    }
}

/// The numbers of a place, in the order of the columns.
fn numbers(place: &Place) -> [u64; 7] {
    [
        place.kind as u64 + 1,
        place.received_at,
        place.lane,
        u64::from(place.segment),
        u64::from(place.offset) / ALIGNMENT,
        u64::from(place.size),
        u64::from(place.length.saturating_sub(place.size)),
    ]
}

impl Slots<Place> for Places {
    fn get(&self, slot: usize) -> Option<Place> {
        if slot >= self.kinds.rows() {
            return None;
        }
        let [kind, received_at, lane, segment, offset, size, front] =
            self.columns().map(|column| column.get(slot));
        let kind = u8::try_from(kind.checked_sub(1)?).ok().and_then(kind_of)?;
        let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        Some(Place {
            received_at,
            lane,
            segment: narrow(segment),
            offset: narrow(offset * ALIGNMENT),
            length: narrow(size + front),
            size: narrow(size),
            kind,
        })
    }

    fn set(&mut self, slot: usize, place: Option<Place>) {
        let Some(place) = place else {
            if slot < self.kinds.rows() {
                self.kinds.set(slot, 0);
            }
            return;
        };
        let columns = [
            &mut self.kinds,
            &mut self.received_at,
            &mut self.lanes,
            &mut self.segments,
            &mut self.offsets,
            &mut self.sizes,
            &mut self.fronts,
        ];
        // What is skipped is empty: its kind says so, and the rest costs least if it is like its neighbour.
        let skipped = [0].into_iter().chain(numbers(&place).into_iter().skip(1));
        for ((column, number), skipped) in columns.into_iter().zip(numbers(&place)).zip(skipped) {
            while column.rows() < slot {
                column.push(skipped);
            }
            if column.rows() == slot {
                column.push(number);
            } else {
                column.set(slot, number);
            }
        }
    }

    fn slots(&self) -> usize {
        self.kinds.rows()
    }

    fn bytes(&self) -> usize {
        self.columns().map(Column::bytes).iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventKind;

    fn place(number: u32) -> Place {
        Place {
            received_at: 1_790_000_000_000_000_000,
            lane: u64::from(number.wrapping_mul(2_654_435_761)),
            segment: 7,
            offset: number * 152 + 32,
            length: 152,
            size: 90,
            kind: EventKind::Log,
        }
    }

    #[test]
    fn small_events_of_one_request_cost_few_bytes_each() {
        let mut places = Places::default();
        for number in 0..256_u32 {
            places.set(number as usize, Some(place(number)));
        }
        let bytes = places.bytes() / 256;
        assert!(bytes <= 8, "{bytes}");
        for number in 0..256_u32 {
            assert_eq!(places.get(number as usize), Some(place(number)));
        }
    }

    #[test]
    fn emptied_and_skipped_slots_are_empty_and_can_be_filled() {
        let mut places = Places::default();
        places.set(5, Some(place(5)));
        assert_eq!((places.slots(), places.get(4)), (6, None));
        places.set(5, None);
        assert_eq!(places.get(5), None);
        places.set(
            4,
            Some(Place {
                kind: EventKind::SpanEnded,
                size: 1 << 30,
                length: (1 << 30) + 64,
                ..place(4)
            }),
        );
        assert_eq!(
            places.get(4).map(|place| place.length),
            Some((1 << 30) + 64)
        );
        places.set(5, Some(place(5)));
        assert_eq!(places.get(5), Some(place(5)));
        assert_eq!(places.get(9), None);
    }
}
