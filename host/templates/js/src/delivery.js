// Given: posts a body through the host and says what became of the batch.
import { send } from 'mastra:observability/http@0.1.0';

import { all, ofStatus } from './outcome.js';

/** Posts JSON text with a bearer token: the answer for a batch that is one request. */
export function post(url, token, body) {
  try {
    const response = send({
      verb: 'POST',
      url,
      headers: [['content-type', 'application/json']],
      body: utf8(body),
      compress: 'gzip',
      auth: { tag: 'bearer', val: token },
    });
    const wait = response.retryAfter;
    const notBefore = wait == null ? undefined : { scope: 'this-signal', wait };
    return { outcome: ofStatus(response.status), notBefore };
  } catch (error) {
    return { outcome: ofError(error.payload ?? error) };
  }
}

/** No response: what was not allowed to leave waits for the operator, what did not arrive is sent again. */
function ofError(error) {
  const reason = error.val == null ? error.tag : `${error.tag}: ${error.val}`;
  if (error.tag === 'invalid' || error.tag === 'denied') return { tag: 'unauthorized', val: reason };
  if (error.tag === 'response-too-large') return all('rejected', reason);
  return all('retry', reason);
}

/** QuickJS has no TextEncoder. These four are native: a loop over the characters would take four times as long. */
const utf8 = (text) => Uint8Array.fromBase64(btoa(unescape(encodeURIComponent(text.toWellFormed()))));
