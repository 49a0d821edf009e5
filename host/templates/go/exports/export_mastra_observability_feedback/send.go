{{#feedback}}
// Given: leads batches to package exporter.
package export_mastra_observability_feedback

import (
	"{{name}}-exporter/bindings/mastra_observability_types"
	"{{name}}-exporter/exporter"
)

func Send(batch mastra_observability_types.FeedbackBatch) mastra_observability_types.SendResult {
	return exporter.SendFeedback(batch)
}
{{/feedback}}
