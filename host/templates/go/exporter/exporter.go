// Package exporter says who {{name}} is, and what it does with a batch. The records of the backend are in mapping.go.
package exporter

import (
	"encoding/json"

	lifecycle "{{name}}-exporter/bindings/mastra_observability_lifecycle"
	types "{{name}}-exporter/bindings/mastra_observability_types"
	"{{name}}-exporter/kit"
)

const schema = `{
  "type": "object",
  "required": ["endpoint", "token"],
  "properties": {
    "endpoint": {"type": "string", "format": "uri", "description": "Where records are posted.", "x-env": ["{{upper}}_ENDPOINT"]},
    "token": {"type": "string", "description": "Access token.", "x-env": ["{{upper}}_TOKEN"], "x-secret": true}
  }
}`

var settings struct{ Endpoint, Token string }

func Describe() lifecycle.Description {
	return lifecycle.Description{
		Name:           "{{name}}",
		Version:        "0.1.0",
		SettingsSchema: schema,
		Limits:         lifecycle.BatchLimits{MaxItems: 512, MaxBytes: 1 << 20},
		Phases:         lifecycle.SpanPhasesEnded,
		Hosts:          []lifecycle.HostRequest{lifecycle.MakeHostRequestFromSetting("endpoint")},
	}
}

func Configure(given string) error { return json.Unmarshal([]byte(given), &settings) }

func deliver[In, Out any](records []In, mapRecord func(In) Out) types.SendResult {
	mapped := make([]Out, len(records))
	for index, record := range records {
		mapped[index] = mapRecord(record)
	}
	return kit.Post(settings.Endpoint, settings.Token, mapped)
}
{{#traces}}

func SendSpans(batch types.SpanBatch) types.SendResult { return deliver(batch.Spans, mapSpan) }
{{/traces}}
{{#logs}}

func SendLogs(batch types.LogBatch) types.SendResult { return deliver(batch.Logs, mapLog) }
{{/logs}}
{{#metrics}}

func SendMetrics(batch types.MetricBatch) types.SendResult { return deliver(batch.Metrics, mapMetric) }
{{/metrics}}
{{#scores}}

func SendScores(batch types.ScoreBatch) types.SendResult { return deliver(batch.Scores, mapScore) }
{{/scores}}
{{#feedback}}

func SendFeedback(batch types.FeedbackBatch) types.SendResult { return deliver(batch.Feedback, mapFeedback) }
{{/feedback}}
