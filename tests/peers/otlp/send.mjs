// An application with OpenTelemetry's SDK for JavaScript: a model call below an agent, a log of it, a counter and a
// histogram. `node send.mjs grpc|http/protobuf|http/json`; where to, is in OTEL_EXPORTER_OTLP_ENDPOINT.
// The last line on stdout is what was made, for the test to compare: {"traceId","spans":[id]}

import { SpanKind, SpanStatusCode, context, trace } from '@opentelemetry/api';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs';
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';

const flavour = { grpc: 'grpc', 'http/protobuf': 'proto', 'http/json': 'http' }[process.argv[2]];
const { OTLPTraceExporter } = await import(`@opentelemetry/exporter-trace-otlp-${flavour}`);
const { OTLPLogExporter } = await import(`@opentelemetry/exporter-logs-otlp-${flavour}`);
const { OTLPMetricExporter } = await import(`@opentelemetry/exporter-metrics-otlp-${flavour}`);

const resource = resourceFromAttributes({ 'service.name': 'peer-js', 'deployment.environment.name': 'test' });
const tracers = new TracerProvider({ resource, spanProcessors: [new BatchSpanProcessor({ exporter: new OTLPTraceExporter() })] });
const loggers = new LoggerProvider({ resource, processors: [new BatchLogRecordProcessor({ exporter: new OTLPLogExporter() })] });
const reader = new PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter(), exportIntervalMillis: 60_000 });
const meters = new MeterProvider({ resource, readers: [reader] });

const tracer = tracers.getTracer('peer', '1.0');
const agent = tracer.startSpan('invoke_agent planner', {
  attributes: { 'gen_ai.operation.name': 'invoke_agent', 'gen_ai.agent.name': 'planner' },
});
const inAgent = trace.setSpan(context.active(), agent);
const call = tracer.startSpan(
  'chat gpt-x',
  {
    kind: SpanKind.CLIENT,
    links: [{ context: agent.spanContext(), attributes: { why: 'test' } }],
    attributes: {
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'openai',
      'gen_ai.request.model': 'gpt-x',
      'gen_ai.usage.input_tokens': 12,
      'gen_ai.usage.output_tokens': 5,
      'gen_ai.input.messages': '[{"role":"user","parts":[{"type":"text","content":"Grüße"}]}]',
      'own.numbers': [1.5, 2],
    },
  },
  inAgent,
);
call.addEvent('first token', { after_ms: 80 });
call.setStatus({ code: SpanStatusCode.ERROR, message: 'cut off' });
call.end();
agent.end();
loggers.getLogger('peer').emit({
  severityNumber: 13,
  severityText: 'WARN',
  body: 'slow answer',
  attributes: { seconds: 3 },
  context: trace.setSpan(context.active(), call),
});
const meter = meters.getMeter('peer');
meter.createCounter('answers', { unit: '{answer}' }).add(3, { city: 'Lisbon' });
meter.createHistogram('latency', { unit: 's' }).record(0.25, { city: 'Lisbon' });

await Promise.all([tracers.shutdown(), loggers.shutdown(), meters.shutdown()]);
const ids = [agent, call].map((span) => span.spanContext().spanId);
console.log(JSON.stringify({ traceId: call.spanContext().traceId, spans: ids }));
