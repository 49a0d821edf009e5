package exporter

import (
	"testing"

	types "{{name}}-exporter/bindings/mastra_observability_types"
	"{{name}}-exporter/kit"

	wit "go.bytecodealliance.org/pkg/wit/types"
)

const time = 1_700_000_000_000_000_000

func check(t *testing.T, record any, wanted string) {
	t.Helper()
	written, err := kit.Marshal(record)
	if err != nil || string(written) != wanted+"\n" {
		t.Errorf("wanted %s, not %s (%v)", wanted, written, err)
	}
}
{{#traces}}

func TestASpanKeepsItsJSONAsItCame(t *testing.T) {
	span := types.Span{SpanId: "s", TraceId: "t", Name: `say "hi"`, SpanType: "tool_call", StartTime: time, Input: wit.Some(`{"n":1.0,"<":2}`)}
	check(t, mapSpan(span), `{"id":"s","input":{"n":1.0,"<":2},"name":"say \"hi\"","output":null,"parent_id":null,`+
		`"start_ms":1700000000000,"trace_id":"t","type":"tool_call"}`)
}
{{/traces}}
{{#logs}}

func TestALogRecord(t *testing.T) {
	log := types.Log{LogId: "l", Time: time, Level: "info", Message: "line\nfeed", Data: wit.Some("[1]")}
	check(t, mapLog(log), `{"data":[1],"id":"l","level":"info","message":"line\nfeed","time_ms":1700000000000,"trace_id":null}`)
}
{{/logs}}
{{#metrics}}

func TestAMetricHasItsValueAndLabels(t *testing.T) {
	value := types.MakeMetricValueSingle(types.Observation{Value: 1.5})
	metric := types.Metric{MetricId: "m", Time: time, Name: "latency", Value: value, Labels: []wit.Tuple2[string, string]{{"model", "x"}}}
	check(t, mapMetric(metric), `{"id":"m","labels":{"model":"x"},"name":"latency","time_ms":1700000000000,"value":1.5}`)
}
{{/metrics}}
{{#scores}}

func TestAScore(t *testing.T) {
	score := types.Score{ScoreId: "s", TraceId: wit.Some("t"), ScorerId: "tone", Value: -0.5, Reason: wit.Some("rude")}
	check(t, mapScore(score), `{"id":"s","reason":"rude","scorer":"tone","span_id":null,"trace_id":"t","value":-0.5}`)
}
{{/scores}}
{{#feedback}}

func TestFeedbackIsANumberOrAText(t *testing.T) {
	for value, wanted := range map[string]types.FeedbackValue{"1": types.MakeFeedbackValueNumber(1), `"good"`: types.MakeFeedbackValueText("good")} {
		item := types.FeedbackItem{FeedbackId: "f", FeedbackType: "thumbs", Value: wanted, Comment: wit.Some("fine")}
		check(t, mapFeedback(item), `{"comment":"fine","id":"f","span_id":null,"trace_id":null,"type":"thumbs","value":`+value+`}`)
	}
}
{{/feedback}}
