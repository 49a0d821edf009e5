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

/** QuickJS has no TextEncoder. */
function utf8(text) {
  const bytes = new Uint8Array(text.length * 3);
  let length = 0;
  for (let index = 0; index < text.length; index++) {
    let code = text.charCodeAt(index);
    if (code < 0x80) {
      bytes[length++] = code;
      continue;
    }
    if (code < 0x800) {
      bytes[length++] = 0xc0 | (code >> 6);
    } else {
      if (code >= 0xd800 && code < 0xe000) {
        code = text.codePointAt(index++);
        bytes[length++] = 0xf0 | (code >> 18);
        bytes[length++] = 0x80 | ((code >> 12) & 0x3f);
      } else {
        bytes[length++] = 0xe0 | (code >> 12);
      }
      bytes[length++] = 0x80 | ((code >> 6) & 0x3f);
    }
    bytes[length++] = 0x80 | (code & 0x3f);
  }
  return bytes.subarray(0, length);
}
