// A Mastra application as a customer would write it: an agent with a tool, scores, feedback, a log and a metric of its
// own, published by the official platform exporter. Nothing here names the host: the exporter reads
// MASTRA_PLATFORM_OBSERVABILITY_ENDPOINT, MASTRA_PLATFORM_ACCESS_TOKEN and MASTRA_PROJECT_ID from the environment.
// Only the model is a stand-in, so that no account is needed.
//
// The last line on stdout is what the library handed to its exporters, for the test to compare with what arrived:
// {"traceId","spans":[{"id","type","name","parentSpanId"}],"logs":[id],"metrics":[id],"scores":[id],"feedback":[id]}

import { Agent } from '@mastra/core/agent';
import { Mastra } from '@mastra/core/mastra';
import { InMemoryStore } from '@mastra/core/storage';
import { createTool } from '@mastra/core/tools';
import { MastraPlatformExporter, Observability } from '@mastra/observability';
import { z } from 'zod';

const usage = { inputTokens: 180, outputTokens: 22, totalTokens: 202 };

/** Replies of the stand-in model, in order: a tool call, then the answer. */
const replies = [
  {
    content: [{ type: 'tool-call', toolCallId: 'call_1', toolName: 'getWeather', input: '{"city":"Lisbon"}' }],
    finishReason: 'tool-calls',
  },
  { content: [{ type: 'text', text: 'It is 21.5 °C and clear in Lisbon.' }], finishReason: 'stop' },
];

let calls = 0;
const model = {
  specificationVersion: 'v2',
  provider: 'stand-in',
  modelId: 'stand-in-1',
  supportedUrls: {},
  async doGenerate() {
    const reply = replies[calls++];
    return { ...reply, usage, warnings: [] };
  },
  async doStream() {
    throw new Error('this application does not stream');
  },
};

const getWeather = createTool({
  id: 'getWeather',
  description: 'Get weather for a city',
  inputSchema: z.object({ city: z.string() }),
  outputSchema: z.object({ tempC: z.number(), sky: z.string() }),
  execute: async (_, context) => {
    const span = context?.tracingContext?.currentSpan;
    observability.getDefaultInstance().getLoggerContext(span).info('looked', { city: 'Lisbon' });
    return { tempC: 21.5, sky: 'clear' };
  },
});

/** Notes what the library hands to every exporter, beside the platform exporter. */
class Notes {
  name = 'notes';
  spans = [];
  logs = [];
  metrics = [];
  scores = [];
  feedback = [];

  async onTracingEvent({ type, exportedSpan }) {
    if (type !== 'span_ended') return;
    const { id, traceId, name, type: spanType, parentSpanId } = exportedSpan;
    this.spans.push({ id, traceId, name, type: spanType, parentSpanId });
  }
  async onLogEvent({ log }) {
    this.logs.push(log.logId);
  }
  async onMetricEvent({ metric }) {
    this.metrics.push(metric.metricId);
  }
  async onScoreEvent({ score }) {
    this.scores.push(score.scoreId);
  }
  async onFeedbackEvent({ feedback }) {
    this.feedback.push(feedback.feedbackId);
  }
  async flush() {}
  async shutdown() {}
}

const notes = new Notes();
const observability = new Observability({
  configs: {
    default: {
      serviceName: 'weather-service',
      logging: { level: 'info' },
      exporters: [new MastraPlatformExporter(), notes],
    },
  },
});
const agent = new Agent({
  id: 'weather-agent',
  name: 'Weather Agent',
  instructions: 'You are a helpful weather assistant.',
  model,
  tools: { getWeather },
});
const mastra = new Mastra({ agents: { agent }, observability, storage: new InMemoryStore(), logger: false });

const result = await mastra
  .getAgent('agent')
  .generate('What is the weather in Lisbon?', { tracingOptions: { metadata: { userId: 'user-123', sessionId: 'sess-777' } } });
const { traceId } = result;

const instance = observability.getDefaultInstance();
instance.getMetricsContext().emit('weather_answers_total', 1, { city: 'Lisbon' });
const root = notes.spans.find((span) => span.type === 'agent_run');
// With a context of its own an annotation is published at once, without looking its trace up in a store.
const correlationContext = { entityType: 'agent', entityId: 'weather-agent', entityName: 'Weather Agent', userId: 'user-123' };
await observability.addScore({
  traceId,
  spanId: root.id,
  correlationContext,
  score: { scorerId: 'relevance', scorerName: 'Relevance', scoreSource: 'live', score: 0.92, reason: 'On topic' },
});
await observability.addFeedback({
  traceId,
  correlationContext,
  feedback: { feedbackSource: 'user', feedbackType: 'thumbs', value: 'up', comment: 'Nice answer!', feedbackUserId: 'user-123' },
});

await observability.shutdown();
console.log(JSON.stringify({ traceId, ...notes, name: undefined }));
