import assert from 'node:assert/strict';
import { test } from 'node:test';

import * as mapping from '../src/mapping.js';

const time = 1_700_000_000_000_000_000n;
{{#traces}}

test('a span keeps its JSON as it came', () => {
  const span = { spanId: 's', traceId: 't', name: 'say "hi"', spanType: 'tool_call', startTime: time, input: '{"n":1.0}' };
  const written = mapping.span(span);
  assert.match(written, /"input":{"n":1.0},"output":null/);
  assert.deepEqual(JSON.parse(written), {
    id: 's', trace_id: 't', parent_id: null, name: 'say "hi"', type: 'tool_call',
    start_ms: 1_700_000_000_000, end_ms: null, input: { n: 1 }, output: null,
  });
});
{{/traces}}
{{#logs}}

test('a log record', () => {
  const written = mapping.log({ logId: 'l', time, level: 'info', message: 'line\nfeed', data: '[1]' });
  const wanted = { id: 'l', trace_id: null, time_ms: 1_700_000_000_000, level: 'info', message: 'line\nfeed', data: [1] };
  assert.deepEqual(JSON.parse(written), wanted);
});
{{/logs}}
{{#metrics}}

test('a metric has its value and labels', () => {
  const value = { tag: 'single', val: { value: 1.5, instrument: 'gauge' } };
  const written = mapping.metric({ metricId: 'm', time, name: 'latency', value, labels: [['model', 'x']] });
  const wanted = { id: 'm', time_ms: 1_700_000_000_000, name: 'latency', value: 1.5, labels: { model: 'x' } };
  assert.deepEqual(JSON.parse(written), wanted);
});
{{/metrics}}
{{#scores}}

test('a score', () => {
  const written = mapping.score({ scoreId: 's', traceId: 't', scorerId: 'tone', value: -0.5, reason: 'rude' });
  const wanted = { id: 's', trace_id: 't', span_id: null, scorer: 'tone', value: -0.5, reason: 'rude' };
  assert.deepEqual(JSON.parse(written), wanted);
});
{{/scores}}
{{#feedback}}

test('feedback is a number or a text', () => {
  for (const value of [{ tag: 'number', val: 1 }, { tag: 'text', val: 'good' }]) {
    const written = mapping.feedback({ feedbackId: 'f', feedbackType: 'thumbs', value });
    const wanted = { id: 'f', trace_id: null, span_id: null, type: 'thumbs', value: value.val, comment: null };
    assert.deepEqual(JSON.parse(written), wanted);
  }
});
{{/feedback}}
