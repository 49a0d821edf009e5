// Given: as src/delivery.js, with `fetch`. In its place when built with ENGINE=spidermonkey.
import { all, ofStatus } from './outcome.js';

/** Posts JSON text with a bearer token: the answer for a batch that is one request. */
export async function post(url, token, body) {
  try {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` };
    const response = await fetch(url, { method: 'POST', headers, body });
    const seconds = secondsUntil(response.headers.get('retry-after'));
    const notBefore = seconds > 0 ? { scope: 'this-signal', wait: BigInt(Math.ceil(seconds)) * 1_000_000_000n } : undefined;
    return { outcome: ofStatus(response.status), notBefore };
  } catch {
    return { outcome: all('retry', 'there was no response') };
  }
}

/** `Retry-After` is a number of seconds or a date; 0 where there is none. */
function secondsUntil(retryAfter) {
  const seconds = Number(retryAfter);
  return Number.isNaN(seconds) ? Math.max(0, (Date.parse(retryAfter) - Date.now()) / 1000 || 0) : seconds;
}
