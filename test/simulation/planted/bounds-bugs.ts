import type { Planted } from './planted.ts'

/** Messages and things held that grow with data (I26, I27). */
export const boundsBugs: readonly Planted[] = [
  {
    name: 'index-on-one-page',
    what: 'The index of a slot is sent on one page, and a slot with many keys cannot move (I27).',
    file: 'storage-node/handoff/index-pages.ts',
    find: '!next.done && count < INDEX_PAGE_ENTRIES && bytes < INDEX_PAGE_BYTES; count++',
    replace: '!next.done && count < 1_000; count++',
    profile: 'bounds',
    seedsMax: 10,
  },
  {
    name: 'record-on-one-page',
    what: 'The record of a job with many buckets is sent in one message, and the job cannot be transferred (I27).',
    file: 'metadata/decide/record-pages.ts',
    find: 'const count = Math.max(1, Math.ceil(encoded.length / RECORD_PAGE_BYTES))',
    replace: 'const count = 1',
    also: [
      {
        file: 'metadata/decide/record-pages.ts',
        find: 'encoded.subarray(page * RECORD_PAGE_BYTES, (page + 1) * RECORD_PAGE_BYTES)',
        replace: 'encoded',
      },
    ],
    profile: 'bounds',
    seedsMax: 10,
  },
  {
    name: 'versions-in-one-message',
    what: 'A node asks for all versions of its chunks in one message, and chunks that are not needed are never freed (I27).',
    file: 'storage-node/gc/chunk-gc.ts',
    find: 'from += RECLAIM_BATCH) {\n        const batch = names.slice(from, from + RECLAIM_BATCH)',
    replace: 'from += 1_000) {\n        const batch = names.slice(from, from + 1_000)',
    profile: 'bounds',
    seedsMax: 150,
  },
  {
    name: 'forgotten-stream-keeps-its-lease',
    what: 'A stream that is no longer read renews the lease of its version (I20).',
    file: 'client/objects/get-stream.ts',
    find: 'if (this.#isAwaited || clock.monotonicMs() - this.#readMs < STREAM_REST_MS_MAX)',
    replace: 'if (this.#isAwaited || clock.monotonicMs() > STREAM_REST_MS_MAX)',
    profile: 'bounds',
    seedsMax: 10,
  },
  {
    name: 'abandoned-source-retained',
    what: 'A put whose source gives nothing more never ends, and its chunks are never freed.',
    file: 'client/objects/put-stream.ts',
    find: 'const resting = this.#clock.after(SOURCE_REST_MS_MAX, () => this.fail(forgotten()))',
    replace: 'const resting = this.#clock.after(SOURCE_REST_MS_MAX, () => void forgotten())',
    profile: 'bounds',
    seedsMax: 10,
  },
  {
    name: 'answer-for-room-never-begins',
    what: 'An answer that waits for memory never begins, because none that ends lets it (I26).',
    file: 'storage-node/budget/under-way.ts',
    find: 'for (const job of [...this.#node.waiting]) job.#beginNext()',
    replace: 'void this.#node.waiting',
    profile: 'bounds',
    seedsMax: 60,
  },
]
