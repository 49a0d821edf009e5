// Given: leads the life cycle to package exporter.
package export_mastra_observability_lifecycle

import (
	lifecycle "{{name}}-exporter/bindings/mastra_observability_lifecycle"
	"{{name}}-exporter/exporter"

	wit "go.bytecodealliance.org/pkg/wit/types"
)

func Describe() lifecycle.Description { return exporter.Describe() }

func Configure(settings string) wit.Result[wit.Unit, []lifecycle.SettingError] {
	if err := exporter.Configure(settings); err != nil {
		return wit.Err[wit.Unit](([]lifecycle.SettingError{{Reason: err.Error()}}))
	}
	return wit.Ok[wit.Unit, []lifecycle.SettingError](wit.Unit{})
}

func Flush() []lifecycle.Acknowledgement { return nil }

func Shutdown() {}
