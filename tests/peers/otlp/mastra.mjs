// A Mastra application whose traces and logs go out by `@mastra/otel-exporter`, to the endpoint and in the protocol of the
// command line: `node mastra.mjs http://127.0.0.1:4318 http/json|http/protobuf|grpc`.
// The last line on stdout is what the library handed to its exporters: {"traceId","spans":[id],"logs":n}

import { Mastra } from '@mastra/core/mastra';
import { Observability } from '@mastra/observability';
import { OtelExporter } from '@mastra/otel-exporter';

const [endpoint, protocol] = process.argv.slice(2);

/** Notes what the library hands to every exporter, beside the one under test. */
class Notes {
  name = 'notes';
  spans = [];
  logs = 0;

  async onTracingEvent({ type, exportedSpan }) {
    if (type === 'span_ended') this.spans.push(exportedSpan.id);
  }
  async onLogEvent() {
    this.logs += 1;
  }
  async flush() {}
  async shutdown() {}
}

const notes = new Notes();
const observability = new Observability({
  configs: {
    default: {
      serviceName: 'peer-mastra',
      logging: { level: 'info' },
      exporters: [new OtelExporter({ provider: { custom: { endpoint, protocol } } }), notes],
    },
  },
});
new Mastra({ observability, logger: false });
const instance = observability.getDefaultInstance();
const agent = instance.startSpan({
  type: 'agent_run',
  name: "agent run: 'planner'",
  entityId: 'planner',
  entityName: 'Planner',
  input: 'What is the weather in Lisbon?',
});
const call = agent.createChildSpan({
  type: 'model_inference',
  name: 'inference',
  attributes: { model: 'gpt-x', provider: 'openai' },
  input: [{ role: 'user', content: 'What is the weather in Lisbon?' }],
});
instance.getLoggerContext(call).info('asked', { city: 'Lisbon' });
call.end({ output: { text: 'Clear.' }, attributes: { usage: { inputTokens: 12, outputTokens: 5 } } });
agent.end({ output: 'Clear.' });

await observability.shutdown();
console.log(JSON.stringify({ traceId: agent.traceId, spans: notes.spans, logs: notes.logs }));
