// Another embedder: runs a component in Node.js with the imports of the contract played by this file, and prints what it
// said and sent as one line of JSON. `node run.mjs COMPONENT.wasm SETTINGS_JSON STATUS`
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const toolchains = fileURLToPath(new URL('../toolchains/', import.meta.url));
const require = createRequire(path.join(toolchains, 'package.json'));
const load = (name) => import(pathToFileURL(require.resolve(name)));
const [, , component, settings, status] = process.argv;
const sent = [];
const appended = [];

const { transpile } = await load('@bytecodealliance/jco');
const { WASIShim } = await load('@bytecodealliance/preview2-shim/instantiation');

// Inside the folder, so that the written module finds the shim's package.
const folder = await mkdtemp(path.join(toolchains, 'node_modules/.embedder-'));
try {
  const { files } = await transpile(await readFile(component), { name: 'component', instantiation: { tag: 'async' }, tlaCompat: false });
  for (const [name, bytes] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
    await writeFile(path.join(folder, name), bytes);
  }
  await writeFile(path.join(folder, 'package.json'), '{"type":"module"}');
  const { instantiate } = await import(pathToFileURL(path.join(folder, 'component.js')));
  const compiled = async (name) => WebAssembly.compile(await readFile(path.join(folder, name)));
  console.log(JSON.stringify(use(await instantiate(compiled, imports())), numbers));
} finally {
  await rm(folder, { recursive: true });
}

function imports() {
  const contract = {
    'mastra:observability/log': { emit: () => {} },
    'mastra:observability/http': {
      send: (request) => {
        sent.push({ ...request, body: new TextDecoder().decode(request.body) });
        return { status: Number(status), headers: [], body: new Uint8Array(), retryAfter: 2_000_000_000n };
      },
    },
    'mastra:observability/output': {
      append: (signal, lines) => void appended.push({ signal, lines: new TextDecoder().decode(lines) }),
    },
    'mastra:observability/types': {},
  };
  const versioned = Object.entries(contract).flatMap(([name, value]) => [[name, value], [`${name}@0.1.0`, value]]);
  return { ...new WASIShim().getImportObject(), ...Object.fromEntries(versioned) };
}

function use({ lifecycle, traces }) {
  const description = lifecycle.describe();
  lifecycle.configure(settings);
  const result = traces.send({ spans: [span()], tokens: [7n], resources: [], scopes: [], ancestors: [] });
  const acknowledged = lifecycle.flush();
  lifecycle.shutdown();
  return { description, result, acknowledged, sent, appended };
}

function span() {
  return {
    phase: 'ended', traceId: '4cdc4db2c6dcc0694acd43abc49c8214', spanId: '2ef715a36f006237', name: 'say "hi"',
    spanType: 'tool_call', entity: {}, startTime: 1_700_000_000_000_000_000n, endTime: 1_700_000_001_000_000_000n,
    isEvent: false, isRoot: true, isInternal: false, input: '{"n":1.0}',
  };
}

function numbers(_, value) {
  if (typeof value === 'bigint') return Number(value);
  return value;
}
