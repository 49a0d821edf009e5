"""An application with OpenTelemetry's SDK for Python: a model call below an agent, a log of it, a counter and a histogram.

`python send.py grpc|http/protobuf|http/json`; where to, is in OTEL_EXPORTER_OTLP_ENDPOINT.
The last line on stdout is what was made, for the test to compare: {"traceId","spans":[id]}
"""

import importlib
import json
import sys

from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

package = {"grpc": "proto.grpc", "http/protobuf": "proto.http", "http/json": "json.http"}[sys.argv[1]]


def exporter(module, name):
    found = importlib.import_module(f"opentelemetry.exporter.otlp.{package}.{module}")
    return getattr(found, name)()


resource = Resource.create({"service.name": "peer-py", "deployment.environment.name": "test"})
tracers = TracerProvider(resource=resource)
tracers.add_span_processor(BatchSpanProcessor(exporter("trace_exporter", "OTLPSpanExporter")))
loggers = LoggerProvider(resource=resource)
loggers.add_log_record_processor(BatchLogRecordProcessor(exporter("_log_exporter", "OTLPLogExporter")))
reader = PeriodicExportingMetricReader(exporter("metric_exporter", "OTLPMetricExporter"))
meters = MeterProvider(resource=resource, metric_readers=[reader])

tracer = tracers.get_tracer("peer", "1.0")
agent = tracer.start_span(
    "invoke_agent planner", attributes={"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "planner"}
)
call = tracer.start_span(
    "chat gpt-x",
    context=trace.set_span_in_context(agent),
    kind=trace.SpanKind.CLIENT,
    links=[trace.Link(agent.get_span_context(), {"why": "test"})],
    attributes={
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-x",
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.input.messages": '[{"role":"user","parts":[{"type":"text","content":"Grüße"}]}]',
        "own.numbers": [1.5, 2.0],
    },
)
call.add_event("first token", {"after_ms": 80})
call.set_status(trace.StatusCode.ERROR, "cut off")
call.end()
agent.end()
loggers.get_logger("peer").emit(
    LogRecord(
        timestamp=1_780_000_000_000_000_000,
        context=trace.set_span_in_context(call),
        severity_number=SeverityNumber.WARN,
        severity_text="WARN",
        body="slow answer",
        attributes={"seconds": 3},
    )
)
meter = meters.get_meter("peer")
meter.create_counter("answers", unit="{answer}").add(3, {"city": "Lisbon"})
meter.create_histogram("latency", unit="s").record(0.25, {"city": "Lisbon"})

for provider in (tracers, loggers, meters):
    provider.shutdown()
ids = [format(span.get_span_context().span_id, "016x") for span in (agent, call)]
print(json.dumps({"traceId": format(call.get_span_context().trace_id, "032x"), "spans": ids}))
