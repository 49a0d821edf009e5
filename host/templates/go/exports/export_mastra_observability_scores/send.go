{{#scores}}
// Given: leads batches to package exporter.
package export_mastra_observability_scores

import (
	"{{name}}-exporter/bindings/mastra_observability_types"
	"{{name}}-exporter/exporter"
)

func Send(batch mastra_observability_types.ScoreBatch) mastra_observability_types.SendResult {
	return exporter.SendScores(batch)
}
{{/scores}}
