// Who {{name}} is, and what it does with a batch. The records of the backend are in mapping.js.
import { post } from './delivery.js';
import * as mapping from './mapping.js';

const SETTINGS = {
  type: 'object',
  required: ['endpoint', 'token'],
  properties: {
    endpoint: { type: 'string', format: 'uri', description: 'Where records are posted.', 'x-env': ['{{upper}}_ENDPOINT'] },
    token: { type: 'string', description: 'Access token.', 'x-env': ['{{upper}}_TOKEN'], 'x-secret': true },
  },
};

let settings;

export const lifecycle = {
  describe: () => ({
    name: '{{name}}',
    version: '0.1.0',
    settingsSchema: JSON.stringify(SETTINGS),
    limits: { maxItems: 512, maxBytes: 1 << 20 },
    phases: { ended: true },
    grouping: { tag: 'ungrouped' },
    idempotent: {},
    hosts: [{ tag: 'from-setting', val: 'endpoint' }],
    reads: [],
    prefersOtlp: {},
  }),
  configure: (json) => {
    settings = JSON.parse(json);
  },
  flush: () => [],
  shutdown: () => {},
};

const deliver = (records, map) => post(settings.endpoint, settings.token, `[${records.map(map).join()}]`);

{{#traces}}
export const traces = { send: (batch) => deliver(batch.spans, mapping.span) };
{{/traces}}
{{#logs}}
export const logs = { send: (batch) => deliver(batch.logs, mapping.log) };
{{/logs}}
{{#metrics}}
export const metrics = { send: (batch) => deliver(batch.metrics, mapping.metric) };
{{/metrics}}
{{#scores}}
export const scores = { send: (batch) => deliver(batch.scores, mapping.score) };
{{/scores}}
{{#feedback}}
export const feedback = { send: (batch) => deliver(batch.feedback, mapping.feedback) };
{{/feedback}}
