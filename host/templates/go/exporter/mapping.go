package exporter

import (
	types "{{name}}-exporter/bindings/mastra_observability_types"
	"{{name}}-exporter/kit"
)
{{#traces}}

func mapSpan(span types.Span) map[string]any {
	record := map[string]any{
		"id": span.SpanId, "trace_id": span.TraceId, "parent_id": kit.Text(span.ParentSpanId),
		"name": span.Name, "type": span.SpanType, "start_ms": kit.Milliseconds(span.StartTime),
		"input": kit.Raw(span.Input), "output": kit.Raw(span.Output),
	}
	if span.EndTime.IsSome() {
		record["end_ms"] = kit.Milliseconds(span.EndTime.Some())
	}
	return record
}
{{/traces}}
{{#logs}}

func mapLog(log types.Log) map[string]any {
	return map[string]any{
		"id": log.LogId, "trace_id": kit.Text(log.TraceId), "time_ms": kit.Milliseconds(log.Time),
		"level": log.Level, "message": log.Message, "data": kit.Raw(log.Data),
	}
}
{{/logs}}
{{#metrics}}

// Points that a sender has added up (histograms and the like) come without a value.
func mapMetric(metric types.Metric) map[string]any {
	labels := make(map[string]string)
	for _, label := range metric.Labels {
		labels[label.F0] = label.F1
	}
	record := map[string]any{
		"id": metric.MetricId, "time_ms": kit.Milliseconds(metric.Time), "name": metric.Name, "labels": labels,
	}
	if metric.Value.Tag() == types.MetricValueSingle {
		record["value"] = metric.Value.Single().Value
	}
	return record
}
{{/metrics}}
{{#scores}}

func mapScore(score types.Score) map[string]any {
	return map[string]any{
		"id": score.ScoreId, "trace_id": kit.Text(score.TraceId), "span_id": kit.Text(score.SpanId),
		"scorer": score.ScorerId, "value": score.Value, "reason": kit.Text(score.Reason),
	}
}
{{/scores}}
{{#feedback}}

func mapFeedback(item types.FeedbackItem) map[string]any {
	record := map[string]any{
		"id": item.FeedbackId, "trace_id": kit.Text(item.TraceId), "span_id": kit.Text(item.SpanId),
		"type": item.FeedbackType, "comment": kit.Text(item.Comment),
	}
	if item.Value.Tag() == types.FeedbackValueNumber {
		record["value"] = item.Value.Number()
	} else {
		record["value"] = item.Value.Text()
	}
	return record
}
{{/feedback}}
