//! Money. Backends that know prices compute costs themselves, so that only what the provider itself charged is told.

use mastra_exporter_sdk::raw::{inside_quotes, member};
use mastra_exporter_sdk::records::Cost;

/// What the provider itself charged, in USD; `None` for estimates and other currencies.
#[must_use]
pub fn reported(cost: &Cost) -> Option<f64> {
    let source = member(cost.metadata.as_deref().unwrap_or("{}"), "source").and_then(inside_quotes);
    let is_reported =
        source == Some("provider_reported") && cost.cost_unit.as_deref() == Some("USD");
    cost.estimated_cost
        .filter(|amount| is_reported && amount.is_finite() && *amount >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_reported_cost_in_dollars_counts() {
        let cost = |amount, unit: &str, metadata: &str| Cost {
            provider: None,
            model: None,
            estimated_cost: Some(amount),
            cost_unit: Some(unit.to_owned()),
            metadata: Some(metadata.to_owned()),
        };
        let from_provider = r#"{"source":"provider_reported"}"#;
        assert_eq!(reported(&cost(0.5, "USD", from_provider)), Some(0.5));
        assert_eq!(reported(&cost(0.0, "USD", from_provider)), Some(0.0));
        assert_eq!(reported(&cost(0.5, "EUR", from_provider)), None);
        assert_eq!(reported(&cost(-0.5, "USD", from_provider)), None);
        assert_eq!(reported(&cost(f64::NAN, "USD", from_provider)), None);
        assert_eq!(reported(&cost(0.5, "USD", r#"{"pricing_id":"x"}"#)), None);
    }
}
