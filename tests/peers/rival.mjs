// The official Langfuse exporter, for the benchmark. Reads bodies of the platform protocol from stdin, one a line, and
// hands their spans to the exporter as the library does. Only what the exporter does is billed: reading and parsing the
// records is not, nor are the bodies before the number given as the first argument, which warm the compiler up.
// The last line on stdout: {"spans","cpu_seconds","peak_kib"}.

import { readFileSync, readSync } from 'node:fs';
import { LangfuseExporter } from '@mastra/langfuse';

const warmBodies = Number(process.argv[2] ?? 0);
const chunk = Buffer.allocUnsafe(1 << 20);

/** Lines of stdin, read only when asked for, so that no reading falls into the billed time. */
function* lines() {
  let pending = [];
  for (let length; (length = readSync(0, chunk, 0, chunk.length, null)) > 0; ) {
    let from = 0;
    for (let end; (end = chunk.subarray(0, length).indexOf(10, from)) >= 0; from = end + 1) {
      pending.push(Buffer.from(chunk.subarray(from, end)));
      yield Buffer.concat(pending).toString();
      pending = [];
    }
    pending.push(Buffer.from(chunk.subarray(from, length)));
  }
}

/** A published record as the event that the library had emitted for it. */
function toEvent({ spanId, spanType, startedAt, endedAt, error, createdAt, updatedAt, ...span }) {
  span.startTime = new Date(span.startTime);
  span.endTime = new Date(span.endTime);
  const { attributes } = span;
  if (attributes?.completionStartTime) attributes.completionStartTime = new Date(attributes.completionStartTime);
  return { type: 'span_ended', exportedSpan: span };
}

const exporter = new LangfuseExporter();
exporter.init({ config: { serviceName: 'bench' } });

let bodies = 0;
let spans = 0;
let microseconds = 0;
for (const line of lines()) {
  const events = JSON.parse(line).spans.map(toEvent);
  const before = process.cpuUsage();
  await Promise.all(events.map((event) => exporter.exportTracingEvent(event)));
  await exporter.flush();
  const { user, system } = process.cpuUsage(before);
  if (bodies++ < warmBodies) continue;
  spans += events.length;
  microseconds += user + system;
}
await exporter.shutdown();

const peak = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'));
console.log(JSON.stringify({ spans, cpu_seconds: microseconds / 1e6, peak_kib: Number(peak[1]) }));
