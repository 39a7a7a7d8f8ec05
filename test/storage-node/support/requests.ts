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

/** No budget on any tier. */
export const budgetFields = {
  ramBytes: 0,
  ramBytesMax: 0,
  ssdBytes: 0,
  ssdBytesMax: 0,
  s3Bytes: 0,
  s3BytesMax: 0,
  bytesPerSecond: 0,
}

/** An ownership message of a metadata server's first process: no budget, no slots. */
export const ownFields = {
  generation: 1,
  term: 0,
  revision: 1,
  ...budgetFields,
  readsPerThousand: null,
  buckets: { next: 1, living: [{ first: 0, count: 1 }] },
  owned: [],
}
