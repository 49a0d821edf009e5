// Our records as the backend wants them: JSON text. Free-form values are JSON that the host has checked; they go in as
// they are.
const text = (value) => JSON.stringify(value ?? null);
const json = (value) => value ?? 'null';
const ms = (time) => (time == null ? 'null' : Math.round(Number(time) / 1e6));

{{#traces}}
export const span = (span) =>
  `{"id":${text(span.spanId)},"trace_id":${text(span.traceId)},"parent_id":${text(span.parentSpanId)},` +
  `"name":${text(span.name)},"type":${text(span.spanType)},"start_ms":${ms(span.startTime)},"end_ms":${ms(span.endTime)},` +
  `"input":${json(span.input)},"output":${json(span.output)}}`;
{{/traces}}
{{#logs}}

export const log = (log) =>
  `{"id":${text(log.logId)},"trace_id":${text(log.traceId)},"time_ms":${ms(log.time)},` +
  `"level":${text(log.level)},"message":${text(log.message)},"data":${json(log.data)}}`;
{{/logs}}
{{#metrics}}

// Points that a sender has added up (histograms and the like) come with a null.
export const metric = (metric) =>
  `{"id":${text(metric.metricId)},"time_ms":${ms(metric.time)},"name":${text(metric.name)},` +
  `"value":${metric.value.tag === 'single' ? text(metric.value.val.value) : 'null'},` +
  `"labels":${text(Object.fromEntries(metric.labels))}}`;
{{/metrics}}
{{#scores}}

export const score = (score) =>
  `{"id":${text(score.scoreId)},"trace_id":${text(score.traceId)},"span_id":${text(score.spanId)},` +
  `"scorer":${text(score.scorerId)},"value":${text(score.value)},"reason":${text(score.reason)}}`;
{{/scores}}
{{#feedback}}

export const feedback = (item) =>
  `{"id":${text(item.feedbackId)},"trace_id":${text(item.traceId)},"span_id":${text(item.spanId)},` +
  `"type":${text(item.feedbackType)},"value":${text(item.value.val)},"comment":${text(item.comment)}}`;
{{/feedback}}
