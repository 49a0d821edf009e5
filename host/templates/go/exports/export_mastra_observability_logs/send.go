{{#logs}}
// Given: leads batches to package exporter.
package export_mastra_observability_logs

import (
	"{{name}}-exporter/bindings/mastra_observability_types"
	"{{name}}-exporter/exporter"
)

func Send(batch mastra_observability_types.LogBatch) mastra_observability_types.SendResult {
	return exporter.SendLogs(batch)
}
{{/logs}}
