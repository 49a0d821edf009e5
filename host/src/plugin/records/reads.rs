//! What a component looks at (`description.reads`): optional fields that it does not are not handed over. Made of the
//! checked description, used by the files of the signals.

use crate::event::Signal;
use crate::plugin::bindings::types as wit;
use crate::plugin::limits;

/// `lifecycle.signal-reads`: what a component looks at in the records of a signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignalReads {
    /// Listed once at most.
    pub signal: Signal,
    /// Optional fields of its record, as the contract writes them: `request-context`.
    pub fields: Vec<String>,
}

macro_rules! optional_fields {
    ($($signal:ident $list:ident $leave_out:ident $record:ident: $($field:ident)*;)*) => {
        /// The fields of each signal's records that are left out.
        #[derive(Clone, Debug, Default)]
        pub(in crate::plugin) struct Reads {
            $($list: Vec<for<'a> fn(&mut wit::$record<'a>)>,)*
        }

        impl Reads {
            /// # Errors
            /// A signal that is listed twice, and a name that is no optional field of its record.
            pub(in crate::plugin) fn new(listed: &[SignalReads]) -> Result<Self, String> {
                let mut reads = Self::default();
                for (place, SignalReads { signal, fields }) in listed.iter().enumerate() {
                    if listed.iter().take(place).any(|before| before.signal == *signal) {
                        return Err(format!("`{signal}` is listed twice"));
                    }
                    match signal {
                        $(Signal::$signal => {
                            let optional: &[(&str, for<'a> fn(&mut wit::$record<'a>))] =
                                &[$((stringify!($field), |record| record.$field = None)),*];
                            reads.$list = unread(*signal, optional, fields)?;
                        })*
                    }
                }
                Ok(reads)
            }

            $(
                #[inline]
                pub(super) fn $leave_out(&self, record: &mut wit::$record<'_>) {
                    for clear in &self.$list {
                        clear(record);
                    }
                }
            )*
        }

        /// The optional fields of each record.
        #[cfg(test)]
        pub(super) const OPTIONAL: &[(&str, &[&str])] =
            &[$((stringify!($record), &[$(stringify!($field)),*])),*];
    };
}

optional_fields! {
    Traces spans leave_out_of_span Span:
        parent_span_id external_parent_span_id end_time resource_index attributes metadata tags input output
        request_context error model otel extra;
    Logs logs leave_out_of_log Log:
        trace_id span_id data tags correlation metadata resource_index otel extra;
    Metrics metrics leave_out_of_metric Metric:
        trace_id span_id unit correlation cost metadata resource_index otel extra;
    Scores scores leave_out_of_score Score:
        trace_id span_id scorer_name scorer_version score_source reason experiment_id score_trace_id
        target_entity_type correlation metadata resource_index extra;
    Feedback feedback leave_out_of_feedback FeedbackItem:
        trace_id span_id feedback_source feedback_user_id comment source_id experiment_id correlation metadata
        resource_index extra;
}

/// What clears the fields that are not named.
fn unread<C: Copy>(
    signal: Signal,
    optional: &[(&str, C)],
    fields: &[String],
) -> Result<Vec<C>, String> {
    let is_named = |name: &str, field: &str| name.replace('_', "-") == field;
    for field in fields {
        if !optional.iter().any(|(name, _)| is_named(name, field)) {
            let names: Vec<_> = optional
                .iter()
                .map(|(name, _)| name.replace('_', "-"))
                .collect();
            return Err(format!(
                "`{}` is no optional field of the records of `{signal}`, which are {}",
                limits::short(field),
                names.join(", ")
            ));
        }
    }
    let unnamed = optional
        .iter()
        .filter(|(name, _)| !fields.iter().any(|field| is_named(name, field)));
    Ok(unnamed.map(|(_, clear)| *clear).collect())
}
