//! Figures, each measured several times, and how they are shown.

use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Value, json};

/// One figure of the table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Figure {
    /// What was measured.
    pub(crate) name: String,
    /// `spans/CPU-s`, `MB` or `ms`.
    pub(crate) unit: &'static str,
    /// What the project asks for, in words; empty where nothing is.
    pub(crate) goal: &'static str,
    /// One value a run, in order.
    pub(crate) values: Vec<f64>,
}

impl Figure {
    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }

    /// Smallest, median and largest value; the median of an even number is the mean of the middle two.
    pub(crate) fn spread(&self) -> Option<(f64, f64, f64)> {
        let sorted = self.sorted();
        let upper = *sorted.get(sorted.len() / 2)?;
        let lower = *sorted.get((sorted.len() - 1) / 2)?;
        Some((
            *sorted.first()?,
            f64::midpoint(lower, upper),
            *sorted.last()?,
        ))
    }
}

/// What the figures were measured on.
pub(crate) fn machine() -> Value {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo")
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map(|(_, name)| name.to_owned());
    let memory_kib = read("/proc/meminfo").lines().find_map(|line| {
        line.strip_prefix("MemTotal:")?
            .split_whitespace()
            .next()?
            .parse::<u64>()
            .ok()
    });
    json!({
        "cores": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        "cpu": cpu,
        "memory_mb": memory_kib.map(|kib| kib / 1_024),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
    })
}

/// `{"machine":{...},"figures":[{"name","unit","goal","min","median","max","values"}]}`
pub(crate) fn as_json(machine: &Value, figures: &[Figure]) -> Value {
    let figures: Vec<Value> = figures
        .iter()
        .filter_map(|figure| {
            let (min, median, max) = figure.spread()?;
            Some(json!({
                "name": figure.name, "unit": figure.unit, "goal": figure.goal,
                "min": min, "median": median, "max": max, "values": figure.values,
            }))
        })
        .collect();
    json!({ "machine": machine, "figures": figures })
}

/// The table for people, with the machine above it.
pub(crate) fn as_table(machine: &Value, figures: &[Figure]) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "figure",
        "unit",
        "min",
        "median",
        "max",
        "runs",
        "asked for",
    ]);
    for figure in figures {
        if let Some((min, median, max)) = figure.spread() {
            table.add_row([
                figure.name.clone(),
                figure.unit.to_owned(),
                grouped(min),
                grouped(median),
                grouped(max),
                figure.values.len().to_string(),
                figure.goal.to_owned(),
            ]);
        }
    }
    for column in 2..=5 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let text = |name: &str| match machine.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => "?".to_owned(),
    };
    format!(
        "machine: {} cores, {}, {} MB, Linux {}\n{table}",
        text("cores"),
        text("cpu"),
        text("memory_mb"),
        text("kernel"),
    )
}

/// `12 345`, or one decimal below a hundred.
fn grouped(value: f64) -> String {
    if value.abs() < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(values: &[f64]) -> Figure {
        Figure {
            name: "x".to_owned(),
            unit: "ms",
            goal: "",
            values: values.to_vec(),
        }
    }

    #[test]
    fn the_spread_is_min_median_max() {
        assert_eq!(figure(&[3.0, 1.0, 2.0]).spread(), Some((1.0, 2.0, 3.0)));
        assert_eq!(figure(&[4.0, 1.0]).spread(), Some((1.0, 2.5, 4.0)));
        assert_eq!(figure(&[]).spread(), None);
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(grouped(1_234_567.4), "1 234 567");
        assert_eq!(grouped(999.0), "999");
        assert_eq!(grouped(9.96), "10.0");
    }
}
