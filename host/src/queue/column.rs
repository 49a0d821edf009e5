//! A column of numbers, as narrow as they allow: a base and, for each number, the distance to it in as few whole bytes as
//! the largest distance needs. The index of the queue is made of them, since what it knows of events that follow each
//! other differs by little.

/// The rows of a column at most.
pub(crate) const ROWS: usize = 256;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Column {
    base: u64,
    /// Bytes of a distance, 0 to 8.
    width: usize,
    rows: usize,
    distances: Vec<u8>,
}

impl Column {
    /// The number of rows.
    pub(crate) const fn rows(&self) -> usize {
        self.rows
    }

    /// The number of a row; the base where there is none.
    pub(crate) fn get(&self, row: usize) -> u64 {
        let mut raw = [0; 8];
        let at = row * self.width;
        let distance = self.distances.get(at..at + self.width).unwrap_or_default();
        for (byte, distance) in raw.iter_mut().zip(distance) {
            *byte = *distance;
        }
        self.base.wrapping_add(u64::from_le_bytes(raw))
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, number: u64) {
        if self.rows == 0 {
            self.base = number;
        }
        self.rows += 1;
        self.distances.resize(self.rows * self.width, 0);
        self.set(self.rows - 1, number);
    }

    /// Changes the number of a row that is there.
    pub(crate) fn set(&mut self, row: usize, number: u64) {
        if !self.fits(number) {
            self.widen(number);
        }
        let distance = number.wrapping_sub(self.base).to_le_bytes();
        let at = row * self.width;
        let place = self.distances.get_mut(at..at + self.width);
        for (byte, distance) in place.unwrap_or_default().iter_mut().zip(distance) {
            *byte = distance;
        }
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + self.distances.capacity()
    }

    fn fits(&self, number: u64) -> bool {
        number
            .checked_sub(self.base)
            .is_some_and(|distance| bytes_of(distance) <= self.width)
    }

    /// Makes the column fit its numbers and one more.
    fn widen(&mut self, number: u64) {
        let numbers: Vec<u64> = (0..self.rows).map(|row| self.get(row)).collect();
        let least = numbers.iter().copied().fold(number, u64::min);
        let most = numbers.iter().copied().fold(number, u64::max);
        self.base = least;
        self.width = bytes_of(most - least);
        self.distances = Vec::with_capacity(ROWS * self.width);
        for number in numbers {
            let distance = (number - least).to_le_bytes();
            self.distances.extend(distance.iter().take(self.width));
        }
    }
}

/// The whole bytes that a number needs.
const fn bytes_of(number: u64) -> usize {
    (u64::BITS - number.leading_zeros()).div_ceil(8) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_that_are_alike_take_no_bytes_and_near_ones_take_few() {
        let mut column = Column::default();
        (0..ROWS).for_each(|_| column.push(u64::MAX));
        assert_eq!(column.bytes(), size_of::<Column>());
        let mut column = Column::default();
        (0..ROWS as u64).for_each(|row| column.push((7 << 40) + row * 200));
        assert_eq!(column.bytes(), size_of::<Column>() + 2 * ROWS);
    }

    proptest! {
        #[test]
        fn behaves_as_a_list_of_numbers(
            steps in prop::collection::vec((any::<u64>(), 0..9_u32, any::<prop::sample::Index>()), 1..200)
        ) {
            let (mut column, mut model) = (Column::default(), Vec::new());
            for (at, (number, bytes, index)) in steps.into_iter().enumerate() {
                let number = number.checked_shr(64 - 8 * bytes).unwrap_or(0);
                if at % 3 == 2 {
                    let row = index.index(model.len());
                    column.set(row, number);
                    model[row] = number;
                } else {
                    column.push(number);
                    model.push(number);
                }
                let back: Vec<u64> = (0..column.rows()).map(|row| column.get(row)).collect();
                prop_assert_eq!(&back, &model);
            }
        }
    }
}
