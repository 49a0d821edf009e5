// Given: what a status means for the batch. Most backends agree on it; change it here where yours does not.
export const all = (tag, val) => ({ tag: 'all-items', val: { tag, val } });

export function ofStatus(status) {
  const reason = `the backend answered with status ${status}`;
  if (status >= 200 && status < 300) return all('delivered');
  if (status === 400 || status === 422) return { tag: 'isolate', val: reason };
  if (status === 401 || status === 403) return { tag: 'unauthorized', val: reason };
  if (status === 413) return { tag: 'too-large' };
  if (status === 408 || status === 425 || status === 429 || status >= 500) return all('retry', reason);
  return all('rejected', reason);
}
