//! What a component looks at (`description.reads`): optional fields that it does not look at are not handed over. Checked
//! by `description`, used by the files of the signals.

use crate::event::Signal;
use crate::plugin::bindings::types as wit;
use crate::plugin::limits;

macro_rules! optional_fields {
    ($($signal:ident $left_out:ident $leave_out:ident $record:ident $list:ident: $($field:ident)*;)*) => {
        /// The optional fields of each signal's records that are not handed over: a bit for each, in the order of the
        /// contract. By default all are.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Reads {
            $($left_out: u32,)*
        }

        $(
            const $list: &[(&str, for<'a> fn(&mut wit::$record<'a>))] =
                &[$((stringify!($field), |record| record.$field = None)),*];
        )*

        impl Reads {
            /// Of `lifecycle.signal-reads`: signals, and the fields that the component looks at, as the contract writes
            /// them (`request-context`).
            ///
            /// # Errors
            /// A signal that is listed twice, and a name that is not an optional field of its record.
            pub(in crate::plugin) fn new(listed: &[(Signal, Vec<String>)]) -> Result<Self, String> {
                let mut reads = Self::default();
                for (place, (signal, fields)) in listed.iter().enumerate() {
                    if listed.iter().take(place).any(|(before, _)| before == signal) {
                        return Err(format!("`{signal}` is listed twice"));
                    }
                    match signal {
                        $(Signal::$signal => {
                            let names: Vec<String> = $list.iter().map(|(name, _)| kebab(name)).collect();
                            reads.$left_out = left_out(*signal, &names, fields)?;
                        })*
                    }
                }
                Ok(reads)
            }

            $(
                #[inline]
                pub(super) fn $leave_out(&self, record: &mut wit::$record<'_>) {
                    if self.$left_out == 0 {
                        return;
                    }
                    for (bit, (_, clear)) in $list.iter().enumerate() {
                        if self.$left_out >> bit & 1 == 1 {
                            clear(record);
                        }
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
    Traces spans leave_out_of_span Span SPAN:
        parent_span_id external_parent_span_id end_time resource_index attributes metadata tags input output
        request_context error model otel extra;
    Logs logs leave_out_of_log Log LOG:
        trace_id span_id data tags correlation metadata resource_index otel extra;
    Metrics metrics leave_out_of_metric Metric METRIC:
        trace_id span_id unit correlation cost metadata resource_index otel extra;
    Scores scores leave_out_of_score Score SCORE:
        trace_id span_id scorer_name scorer_version score_source reason experiment_id score_trace_id
        target_entity_type correlation metadata resource_index extra;
    Feedback feedback leave_out_of_feedback FeedbackItem FEEDBACK_ITEM:
        trace_id span_id feedback_source feedback_user_id comment source_id experiment_id correlation metadata
        resource_index extra;
}

fn kebab(name: &str) -> String {
    name.replace('_', "-")
}

/// A bit for each of `names` that `fields` does not have. More fields than names are refused unread.
fn left_out(signal: Signal, names: &[String], fields: &[String]) -> Result<u32, String> {
    if fields.len() > names.len() {
        let (count, most) = (fields.len(), names.len());
        return Err(format!(
            "{count} fields for `{signal}`, whose records have {most} optional ones"
        ));
    }
    if let Some(unknown) = fields.iter().find(|field| !names.contains(field)) {
        return Err(format!(
            "`{}` is not an optional field of the records of `{signal}`; these are {}",
            limits::short(unknown),
            names.join(", ")
        ));
    }
    let unread = names
        .iter()
        .enumerate()
        .filter(|(_, name)| !fields.contains(name));
    Ok(unread.fold(0, |bits, (bit, _)| bits | 1 << bit))
}
