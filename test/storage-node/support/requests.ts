/** Fields of requests that are irrelevant to a test. */
export const putFields = {
  condition: 0,
  ifVersion: 0,
  ttlSeconds: 0,
  metadata: [],
  checksum: null,
  keptBucket: '',
}

export const consumeFields = { consume: true, waitMs: 0, version: 0, offset: 0, length: 0 }

export const soon = () => ({ deadlineMs: performance.now() + 10_000 })
