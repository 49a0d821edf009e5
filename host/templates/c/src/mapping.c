#include "mapping.h"
{{#traces}}

void map_span(json_t *out, const mastra_observability_types_span_t *span) {
  json_open(out, '{');
  json_text(json_key(out, "id"), span->span_id);
  json_text(json_key(out, "trace_id"), span->trace_id);
  json_optional_text(json_key(out, "parent_id"), span->parent_span_id);
  json_text(json_key(out, "name"), span->name);
  json_text(json_key(out, "type"), span->span_type);
  json_milliseconds(json_key(out, "start_ms"), true, span->start_time);
  json_milliseconds(json_key(out, "end_ms"), span->end_time.is_some, span->end_time.val);
  json_raw(json_key(out, "input"), span->input);
  json_raw(json_key(out, "output"), span->output);
  json_close(out, '}');
}
{{/traces}}
{{#logs}}

void map_log(json_t *out, const mastra_observability_types_log_t *log) {
  json_open(out, '{');
  json_text(json_key(out, "id"), log->log_id);
  json_optional_text(json_key(out, "trace_id"), log->trace_id);
  json_milliseconds(json_key(out, "time_ms"), true, log->time);
  json_text(json_key(out, "level"), log->level);
  json_text(json_key(out, "message"), log->message);
  json_raw(json_key(out, "data"), log->data);
  json_close(out, '}');
}
{{/logs}}
{{#metrics}}

// Points that a sender has added up (histograms and the like) come with a null.
void map_metric(json_t *out, const mastra_observability_types_metric_t *metric) {
  json_open(out, '{');
  json_text(json_key(out, "id"), metric->metric_id);
  json_milliseconds(json_key(out, "time_ms"), true, metric->time);
  json_text(json_key(out, "name"), metric->name);
  json_key(out, "value");
  if (metric->value.tag == MASTRA_OBSERVABILITY_TYPES_METRIC_VALUE_SINGLE) json_number(out, metric->value.val.single.value);
  else json_null(out);
  json_open(json_key(out, "labels"), '{');
  for (size_t at = 0; at < metric->labels.len; at++) json_member_text(out, metric->labels.ptr[at].f0, metric->labels.ptr[at].f1);
  json_close(out, '}');
  json_close(out, '}');
}
{{/metrics}}
{{#scores}}

void map_score(json_t *out, const mastra_observability_types_score_t *score) {
  json_open(out, '{');
  json_text(json_key(out, "id"), score->score_id);
  json_optional_text(json_key(out, "trace_id"), score->trace_id);
  json_optional_text(json_key(out, "span_id"), score->span_id);
  json_text(json_key(out, "scorer"), score->scorer_id);
  json_number(json_key(out, "value"), score->value);
  json_optional_text(json_key(out, "reason"), score->reason);
  json_close(out, '}');
}
{{/scores}}
{{#feedback}}

void map_feedback(json_t *out, const mastra_observability_types_feedback_item_t *feedback) {
  json_open(out, '{');
  json_text(json_key(out, "id"), feedback->feedback_id);
  json_optional_text(json_key(out, "trace_id"), feedback->trace_id);
  json_optional_text(json_key(out, "span_id"), feedback->span_id);
  json_text(json_key(out, "type"), feedback->feedback_type);
  json_key(out, "value");
  if (feedback->value.tag == MASTRA_OBSERVABILITY_TYPES_FEEDBACK_VALUE_NUMBER) json_number(out, feedback->value.val.number);
  else json_text(out, feedback->value.val.text);
  json_optional_text(json_key(out, "comment"), feedback->comment);
  json_close(out, '}');
}
{{/feedback}}
