//! A set of numbers kept as ranges: what of the log a cursor has waiting and taken. Pure.
//!
//! Costs a tree entry a range, not a number; a cursor's ranges are as many as the gaps that its stragglers leave.

use std::collections::BTreeMap;

/// A set of `u64`, as disjoint, non-touching half-open ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RangeSet {
    /// Start to end (excluded).
    ranges: BTreeMap<u64, u64>,
}

impl RangeSet {
    /// The numbers of `start..end`.
    pub(crate) fn of(start: u64, end: u64) -> Self {
        let mut set = Self::default();
        set.insert(start, end);
        set
    }

    /// Adds `start..end`; does nothing if that is empty.
    pub(crate) fn insert(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        let (mut start, mut end) = (start, end);
        if let Some((&before, &before_end)) = self.ranges.range(..=start).next_back()
            && before_end >= start
        {
            if before_end >= end {
                return;
            }
            start = before;
        }
        while let Some((&next, &next_end)) = self.ranges.range(start..=end).next() {
            self.ranges.remove(&next);
            end = end.max(next_end);
        }
        self.ranges.insert(start, end);
    }

    /// Takes `start..end` out, whatever of it is in.
    pub(crate) fn remove(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        if let Some((&before, &before_end)) = self.ranges.range(..start).next_back()
            && before_end > start
        {
            self.ranges.insert(before, start);
            if before_end > end {
                self.ranges.insert(end, before_end);
                return;
            }
        }
        while let Some((&next, &next_end)) = self.ranges.range(start..end).next() {
            self.ranges.remove(&next);
            if next_end > end {
                self.ranges.insert(end, next_end);
                return;
            }
        }
    }

    /// Whether all of `start..end` is in.
    pub(crate) fn covers(&self, start: u64, end: u64) -> bool {
        start >= end
            || self
                .ranges
                .range(..=start)
                .next_back()
                .is_some_and(|(_, &range_end)| range_end >= end)
    }

    /// Whether `number` is in.
    pub(crate) fn contains(&self, number: u64) -> bool {
        self.ranges
            .range(..=number)
            .next_back()
            .is_some_and(|(_, &end)| number < end)
    }

    /// The first range that ends above `from`, cut to begin there: `(start, end)`.
    pub(crate) fn next_from(&self, from: u64) -> Option<(u64, u64)> {
        if let Some((_, &end)) = self.ranges.range(..=from).next_back()
            && end > from
        {
            return Some((from, end));
        }
        self.ranges
            .range(from..)
            .next()
            .map(|(&start, &end)| (start, end))
    }

    /// The ranges, rising.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.ranges.iter().map(|(&start, &end)| (start, end))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_as_a_plain_set(steps in prop::collection::vec((any::<bool>(), 0..60_u64, 0..12_u64), 0..60)) {
            let mut set = RangeSet::default();
            let mut model = BTreeSet::new();
            for (insert, start, length) in steps {
                let end = start + length;
                if insert {
                    set.insert(start, end);
                    model.extend(start..end);
                } else {
                    set.remove(start, end);
                    model.retain(|number| !(start..end).contains(number));
                }
                let listed: BTreeSet<u64> = set.iter().flat_map(|(start, end)| start..end).collect();
                prop_assert_eq!(&listed, &model);
                let ranges: Vec<_> = set.iter().collect();
                prop_assert!(ranges.windows(2).all(|pair| pair[0].1 < pair[1].0), "touching ranges: {:?}", ranges);
                for number in 0..75 {
                    prop_assert_eq!(set.contains(number), model.contains(&number));
                    prop_assert_eq!(set.covers(number, number + 3), (number..number + 3).all(|n| model.contains(&n)));
                    let next = model.range(number..).next().copied();
                    prop_assert_eq!(set.next_from(number).map(|(start, _)| start), next);
                }
            }
        }
    }
}
