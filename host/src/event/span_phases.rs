//! Which of a span's events somebody wants.

/// The span events that a component asks for (`lifecycle.span-phases`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanPhases {
    /// `span_started`
    pub started: bool,
    /// `span_updated`
    pub updated: bool,
    /// `span_ended`
    pub ended: bool,
}

impl SpanPhases {
    /// Every phase.
    pub const ALL: Self = Self {
        started: true,
        updated: true,
        ended: true,
    };
}
