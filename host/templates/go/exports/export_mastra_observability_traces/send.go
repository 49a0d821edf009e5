{{#traces}}
// Given: leads batches to package exporter.
package export_mastra_observability_traces

import (
	"{{name}}-exporter/bindings/mastra_observability_types"
	"{{name}}-exporter/exporter"
)

func Send(batch mastra_observability_types.SpanBatch) mastra_observability_types.SendResult {
	return exporter.SendSpans(batch)
}
{{/traces}}
