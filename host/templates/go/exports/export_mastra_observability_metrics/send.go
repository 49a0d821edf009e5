{{#metrics}}
// Given: leads batches to package exporter.
package export_mastra_observability_metrics

import (
	"{{name}}-exporter/bindings/mastra_observability_types"
	"{{name}}-exporter/exporter"
)

func Send(batch mastra_observability_types.MetricBatch) mastra_observability_types.SendResult {
	return exporter.SendMetrics(batch)
}
{{/metrics}}
