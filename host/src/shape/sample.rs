//! Head sampling by trace id, as OpenTelemetry's consistent probability sampling does it
//! (<https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/>): the lowest 56 bits of a random
//! trace id against a threshold. Every host decides alike, a trace kept at one share is kept at every higher one, and so
//! do Collectors in the mode `proportional`. Of ids that are not 32 hex digits the 56 bits come from XXH3.

use xxhash_rust::xxh3::xxh3_64;

const BITS: u32 = 56;

/// Digits of a trace id, and of its part that counts.
const ID_DIGITS: usize = 32;
const RANDOM_DIGITS: usize = BITS as usize / 4;

/// Decides by trace id.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sampler {
    /// Traces whose 56 bits are below it are not kept.
    threshold: u64,
}

impl Sampler {
    /// `percentage`: 0 to 100. The threshold is from 0 to 2^56, which a double holds to a precision of 16.
    pub(super) fn new(percentage: f64) -> Self {
        let dropped = 1.0 - (percentage / 100.0).clamp(0.0, 1.0);
        Self {
            threshold: (dropped * (1_u64 << BITS) as f64).round() as u64,
        }
    }

    pub(super) const fn drops_any(self) -> bool {
        self.threshold > 0
    }

    pub(super) fn keeps(self, trace_id: &str) -> bool {
        randomness(trace_id) >= self.threshold
    }
}

fn randomness(trace_id: &str) -> u64 {
    let is_hex = trace_id.len() == ID_DIGITS && trace_id.bytes().all(|it| it.is_ascii_hexdigit());
    let digits = trace_id.get(ID_DIGITS - RANDOM_DIGITS..).filter(|_| is_hex);
    digits
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .unwrap_or_else(|| xxh3_64(trace_id.as_bytes()) >> (u64::BITS - BITS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_decision_is_the_one_of_opentelemetry() {
        // A quarter is kept: the threshold is c0 and zeros.
        let quarter = Sampler::new(25.0);
        assert_eq!(quarter.threshold, 0x00c0_0000_0000_0000);
        let id = |random: &str| format!("ffffffffffffffffff{random}");
        assert!(quarter.keeps(&id("c0000000000000")));
        assert!(!quarter.keeps(&id("bfffffffffffff")));
        assert!(quarter.keeps(&id("C0000000000000")), "in upper case, too");
    }

    #[test]
    fn shares_come_out_and_a_smaller_one_is_part_of_a_larger() {
        for of_hex in [true, false] {
            let ids: Vec<String> = (0..20_000_u64)
                .map(|number| match of_hex {
                    true => format!("{:016x}{:016x}", number, xxh3_64(&number.to_be_bytes())),
                    false => format!("trace-{number}"),
                })
                .collect();
            let mut before: Vec<&String> = Vec::new();
            for percentage in [0.0, 1.0, 10.0, 50.0, 99.0, 100.0] {
                let sampler = Sampler::new(percentage);
                let kept: Vec<_> = ids.iter().filter(|id| sampler.keeps(id)).collect();
                let share = kept.len() as f64 / ids.len() as f64 * 100.0;
                assert!((share - percentage).abs() < 1.0, "{share} of {percentage}");
                assert!(before.iter().all(|id| kept.contains(id)));
                // Looking up in the whole list is slow.
                before = kept.into_iter().take(200).collect();
            }
        }
        assert!(!Sampler::new(100.0).drops_any() && Sampler::new(99.999).drops_any());
    }
}
