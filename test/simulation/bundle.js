import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { relative, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'esbuild'

const root = resolve(import.meta.dirname, '../..')

/**
 * A run takes a few virtual seconds, so sizes, leases and pages have to be small for their limits to be reached. Each text must occur in its file exactly once,
 * so that no entry becomes stale.
 */
const smallWorld = [
  ['CHUNK_BYTES = 1024 * 1024', 'CHUNK_BYTES = 256'],
  ['READ_LEASE_MS = 30_000', 'READ_LEASE_MS = 2_000'],
  ['NODE_LEASE_MS = 15_000', 'NODE_LEASE_MS = 3_000'],
  ['LEASE_MARGIN_MS = 1_500', 'LEASE_MARGIN_MS = 300'],
  ['REPEAT_MS_MAX = 30_000', 'REPEAT_MS_MAX = 3_000'],
  ['MOVE_SLOTS_MAX = 16', 'MOVE_SLOTS_MAX = 2'],
  ['RECORD_PAGE_BYTES = 256 * 1024', 'RECORD_PAGE_BYTES = 64'],
  ['RECORD_PAGES_MAX = 32', 'RECORD_PAGES_MAX = 1_000'],
  ['LIST_PAGE_MAX = 1_001', 'LIST_PAGE_MAX = 1'],
  ['CALLS_QUEUED_BYTES_MAX = CHUNKS_IN_FLIGHT * CHUNK_BYTES', 'CALLS_QUEUED_BYTES_MAX = 256'],
  ['PAYLOAD_COPIED_BYTES_MAX = 8 * 1024', 'PAYLOAD_COPIED_BYTES_MAX = 128'],
  ['SLOTS_DEFAULT = 1024', 'SLOTS_DEFAULT = 16'],
  ['NODE_START_MS_MAX = 15_000', 'NODE_START_MS_MAX = 4_000'],
  // A message that is not sent in pages soon exceeds these.
  ['HEAD_BYTES_MAX = 1024 * 1024', 'HEAD_BYTES_MAX = 1024'],
  ['PAYLOAD_BYTES_MAX = 1024 * 1024', 'PAYLOAD_BYTES_MAX = 512'],
  ['ERROR_MESSAGE_BYTES_MAX = 1024', 'ERROR_MESSAGE_BYTES_MAX = 512'],
  ['MANY_KEYS_MAX = 1_000', 'MANY_KEYS_MAX = 6'],
  ['MANY_VALUE_BYTES_MAX = 64 * 1024', 'MANY_VALUE_BYTES_MAX = 200'],
  ['MANIFEST_RUNS_MAX = 4_096', 'MANIFEST_RUNS_MAX = 6'],
  ['BUCKETS_MAX = 1_000', 'BUCKETS_MAX = 12'],
  ['STREAM_WINDOW_CHUNKS = 8', 'STREAM_WINDOW_CHUNKS = 3'],
  ['STREAM_CHUNKS_MAX = 64', 'STREAM_CHUNKS_MAX = 4'],
  ['STREAM_REST_MS_MAX = 60_000', 'STREAM_REST_MS_MAX = 1_500'],
  ['SOURCE_REST_MS_MAX = 15 * 60_000', 'SOURCE_REST_MS_MAX = 1_500'],
]
  .map(([find, replace]) => ({ file: 'protocol/limits.ts', find, replace }))
  .concat(
    [
      ['ANSWERS_QUEUED_BYTES_MAX = 4 * 1024 * 1024', 'ANSWERS_QUEUED_BYTES_MAX = 512'],
      ['ANSWERS_QUEUED_BYTES_MAX_CROWDED = 128 * 1024', 'ANSWERS_QUEUED_BYTES_MAX_CROWDED = 256'],
      // What sockets of the simulation take without an event.
      ['ANSWERS_QUEUED_BYTES_MAX_FULL = 64 * 1024', 'ANSWERS_QUEUED_BYTES_MAX_FULL = 128'],
      // A write has a slab of 128 KiB.
      ['JOB_HELD_BYTES_MAX = 64 * 1024 * 1024', 'JOB_HELD_BYTES_MAX = 100 * 1024'],
      ['SERVER_HELD_BYTES_MAX = 256 * 1024 * 1024', 'SERVER_HELD_BYTES_MAX = 300 * 1024'],
      ['JOB_HELD_BYTES_MIN = 4 * 1024 * 1024', 'JOB_HELD_BYTES_MIN = 50 * 1024'],
      ['FRAME_HELD_BYTES_MIN = 4 * 1024', 'FRAME_HELD_BYTES_MIN = 64'],
      ['RECEIVE_BYTES_MIN = 8 * 1024', 'RECEIVE_BYTES_MIN = 256'],
    ].map(([find, replace]) => ({ file: 'service/server/limits.ts', find, replace })),
  )
  .concat(
    [
      ['s3/s3-limits.ts', 'S3_PART_BYTES = 8 * 1024 * 1024', 'S3_PART_BYTES = 512'],
      ['s3/s3-limits.ts', 'S3_CALL_MS_MAX = 30_000', 'S3_CALL_MS_MAX = 4_500'],
      ['s3/s3-limits.ts', 'S3_OPEN_MS = 5_000', 'S3_OPEN_MS = 400'],
      ['s3/s3-limits.ts', 'S3_DELETE_BATCH = 1_000', 'S3_DELETE_BATCH = 2'],
      ['persisted/persisted-limits.ts', 'RECOVERY_PAGE = 10_000', 'RECOVERY_PAGE = 2'],
      ['persisted/persisted-limits.ts', 'PERSISTED_SWEEP_PAGE = 200', 'PERSISTED_SWEEP_PAGE = 2'],
    ].map(([file, find, replace]) => ({ file: `service/${file}`, find, replace })),
    [
      ['limits.ts', 'PUT_LEASE_MS = 30_000', 'PUT_LEASE_MS = 600'],
      ['limits.ts', 'RECLAIM_MS = 2_000', 'RECLAIM_MS = 60'],
      ['limits.ts', 'SESSION_KEEP_MS = 60_000', 'SESSION_KEEP_MS = 6_000'],
      ['limits.ts', 'INDEX_PAGE_ENTRIES = 1_000', 'INDEX_PAGE_ENTRIES = 2'],
      ['limits.ts', 'PULL_BYTES_PER_SECOND = 48 * 1024 * 1024', 'PULL_BYTES_PER_SECOND = 4_000'],
      ['limits.ts', 'PULL_ITEMS_MAX = 256', 'PULL_ITEMS_MAX = 2'],
      ['limits.ts', 'HEARTBEAT_JOBS_MAX = 10_000', 'HEARTBEAT_JOBS_MAX = 1'],
      ['limits.ts', 'INDEX_PAGE_BYTES = 512 * 1024', 'INDEX_PAGE_BYTES = 256'],
      ['limits.ts', 'RECLAIM_BATCH = 256', 'RECLAIM_BATCH = 4'],
      ['limits.ts', 'OPEN_PUTS_MAX = 64', 'OPEN_PUTS_MAX = 6'],
      ['limits.ts', 'APPEND_BYTES_MAX = 16 * 1024 * 1024', 'APPEND_BYTES_MAX = 1_000'],
      ['limits.ts', 'SESSIONS_BYTES_MAX = 48 * 1024 * 1024', 'SESSIONS_BYTES_MAX = 16 * 1024'],
      // A page has to fit beside parked calls into what a job may have under way, as it does in the real world.
      ['limits.ts', 'LIST_PAGE_BYTES_MAX = 512 * 1024', 'LIST_PAGE_BYTES_MAX = 500'],
      ['limits.ts', 'LIST_SCAN_BATCH = 2_000', 'LIST_SCAN_BATCH = 4'],
      ['limits.ts', 'LIST_RUN_KEYS = 1_000', 'LIST_RUN_KEYS = 2'],
      ['limits.ts', 'LIST_CURSOR_BYTES_MAX = 8 * 1024 * 1024', 'LIST_CURSOR_BYTES_MAX = 150'],
      ['limits.ts', 'LIST_SCAN_CELLS = 1_000', 'LIST_SCAN_CELLS = 2'],
      ['limits.ts', 'SWEEP_CELLS = 2_000', 'SWEEP_CELLS = 4'],
      ['tiers/limits.ts', 'S3_DELETE_MS = 1_000', 'S3_DELETE_MS = 100'],
      ['tiers/limits.ts', 'S3_DROP_RETRY_MS_MIN = 500', 'S3_DROP_RETRY_MS_MIN = 50'],
      ['tiers/limits.ts', 'S3_DROP_RETRY_MS_MAX = 30_000', 'S3_DROP_RETRY_MS_MAX = 500'],
      ['tiers/limits.ts', 'DEMOTED_BYTES_MIN = 128', 'DEMOTED_BYTES_MIN = 32'],
      ['tiers/limits.ts', 'DEMOTION_SAMPLE = 1_024', 'DEMOTION_SAMPLE = 4'],
      ['tiers/limits.ts', 'DEMOTION_SCAN_CELLS = 2_000', 'DEMOTION_SCAN_CELLS = 4'],
      ['tiers/limits.ts', 'DEMOTION_BATCH_BYTES = 4 * 1024 * 1024', 'DEMOTION_BATCH_BYTES = 512'],
      ['tiers/limits.ts', 'TIER_FAILURE_PAUSE_MS = 1_000', 'TIER_FAILURE_PAUSE_MS = 100'],
      ['tiers/limits.ts', 'CAPACITY_WAIT_MS = 2_000', 'CAPACITY_WAIT_MS = 400'],
      ['tiers/limits.ts', 'TIER_READS_BYTES_MAX = 32 * 1024 * 1024', 'TIER_READS_BYTES_MAX = 64'],
      ['slot/append-plan.ts', 'PART_BYTES_MIN = 4 * 1024', 'PART_BYTES_MIN = 64'],
      ['slot/sweep-scan.ts', 'STEP_CELLS = 500', 'STEP_CELLS = 2'],
      ['tiering/victim-sampler.ts', 'STEP_CELLS = 256', 'STEP_CELLS = 2'],
      ['handoff/index-pages.ts', 'SCAN_CELLS = 256', 'SCAN_CELLS = 2'],
      ['handoff/remote-entries.ts', 'SCAN_CELLS = 256', 'SCAN_CELLS = 2'],
      ['budget/limits.ts', 'WAITS_PER_STEP = 128', 'WAITS_PER_STEP = 1'],
      ['budget/limits.ts', 'JOB_UNDER_WAY_BYTES_MAX = 64 * 1024 * 1024', 'JOB_UNDER_WAY_BYTES_MAX = 19_200'],
      [
        'budget/limits.ts',
        'NODE_UNDER_WAY_BYTES_MAX = 256 * 1024 * 1024',
        'NODE_UNDER_WAY_BYTES_MAX = 32_000',
      ],
      ['budget/limits.ts', 'JOB_UNDER_WAY_BYTES_MIN = 4 * 1024 * 1024', 'JOB_UNDER_WAY_BYTES_MIN = 7_100'],
      // Beside the six parked calls that a job may have, there is room for one answer.
      ['budget/limits.ts', 'UNDER_WAY_PARKED_SHARE = 3 / 4', 'UNDER_WAY_PARKED_SHARE = 24 / 25'],
      ['budget/limits.ts', 'LEASES_MAX = 65_536', 'LEASES_MAX = 24'],
      ['budget/limits.ts', 'LEASES_RECOUNT_MS = 1_000', 'LEASES_RECOUNT_MS = 100'],
      // Pages of few records, so that pages are compacted often.
      ['memory/slab.ts', 'BLOCK_BYTES = 1024', 'BLOCK_BYTES = 64'],
      ['memory/arena.ts', 'SLAB_BYTES_MIN = 2 * 1024 * 1024', 'SLAB_BYTES_MIN = 2 * 1024'],
      ['memory/arena.ts', 'SLABS_OF_SMALL_NODE = 8', 'SLABS_OF_SMALL_NODE = 512'],
      ['memory/slot-table.ts', 'SEGMENT_CELLS_MAX = 512', 'SEGMENT_CELLS_MAX = 8'],
      // A run must be determined by its seed.
      [
        'memory/table-hash.ts',
        'randomBytes(4 * BYTE_VALUES * KEY_BYTES_MAX)',
        'randomBytes(4 * BYTE_VALUES * KEY_BYTES_MAX).map((_, at) => Math.imul(at + 1, 0x9e3779b1) >>> 24)',
      ],
      ['memory/record-log.ts', 'PAGE_BLOCKS_MAX = 256', 'PAGE_BLOCKS_MAX = 12'],
      ['memory/record-log.ts', 'PAGE_BLOCKS_MIN = 16', 'PAGE_BLOCKS_MIN = 4'],
      ['memory/record-log.ts', 'DEAD_FRACTION = 1 / 2', 'DEAD_FRACTION = 0'],
      ['memory/record-log.ts', 'DEAD_BYTES_MIN = PAGE_BLOCKS_MAX * BLOCK_BYTES', 'DEAD_BYTES_MIN = 0'],
    ].map(([file, find, replace]) => ({ file: `storage-node/${file}`, find, replace })),
    ...[
      ['limits.ts', 'NODE_START_RETRY_MS_MAX = 60_000', 'NODE_START_RETRY_MS_MAX = 4_000'],
      ['limits.ts', 'REGISTRATION_CLAIM_MS = 10_000', 'REGISTRATION_CLAIM_MS = 2_000'],
      ['limits.ts', 'RELOCATION_REPORTS_MAX = 120', 'RELOCATION_REPORTS_MAX = 20'],
      ['sizing/rightsizing.ts', 'HEADROOM_BYTES_MIN = 1024 * 1024', 'HEADROOM_BYTES_MIN = 8 * 1024'],
      ['scaling/resize-policy.ts', 'STEP_BYTES_MIN = 1024 * 1024', 'STEP_BYTES_MIN = 1024'],
      ['placement/shares.ts', 'WEIGHT_BYTES = 1024 * 1024', 'WEIGHT_BYTES = 1024'],
    ].map(([file, find, replace]) => ({ file: `controller/${file}`, find, replace })),
    // Chunks of many lengths, so that manifests have as many runs as they may have.
    {
      file: 'client/objects/chunked.ts',
      find: 'const manifest = manifestOf(bytes.length)',
      replace:
        'const manifest = Array.from({ length: Math.ceil(bytes.length / 240) }, (_, at) => ({ count: 1, chunkBytes: Math.min(240 + (at % 2), bytes.length - at * 240 - Math.floor(at / 2)) })).filter(({ chunkBytes }) => chunkBytes > 0)',
    },
    // A slot of this world has few bytes, which would be pulled before any call finds a remote entry.
    {
      file: 'storage-node/handoff/puller.ts',
      find: 'const bytes = await this.#pullBatch(',
      replace:
        'await sleep(clock, random.fraction() ** 2 * 400)\n        if (!this.#isWanted(job, index, slot)) return\n        const bytes = await this.#pullBatch(',
    },
  )

const forNode = {
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  sourcemap: 'inline',
  logLevel: 'silent',
}

/** Bundles the simulation with the planes in the small world, with or without a planted bug. */
export async function bundle(outfile, bug = null) {
  await build({
    entryPoints: [resolve(import.meta.dirname, 'main.ts')],
    outfile,
    ...forNode,
    external: ['pino'],
    plugins: [replacing([...smallWorld, ...editsOf(bug)]), simulated],
  })
}

/**
 * AWS's driver is bundled for its commands and errors, and SQLite is used as installed. The file system is replaced, for the persistent folder, by one in
 * memory.
 */
const simulated = {
  name: 'simulated',
  setup(context) {
    const { resolve: find } = createRequire(import.meta.url)
    context.onResolve({ filter: /^(@aws-sdk\/client-s3|better-sqlite3)$/ }, ({ path }) => {
      return { path: pathToFileURL(find(path)).href, external: true }
    })
    context.onResolve({ filter: /^node:fs(\/promises)?$/ }, ({ importer }) => {
      const isPersisted = relative(root, importer).startsWith('service/persisted/')
      return isPersisted ? { path: resolve(import.meta.dirname, 'backends/files.ts') } : null
    })
  },
}

/** Bundles the simulation of a fleet with the controller's code unchanged. */
export async function bundleFleet(outfile) {
  await build({
    entryPoints: [resolve(import.meta.dirname, 'fleet/main.ts')],
    outfile,
    ...forNode,
  })
}

/** Throws, with the name of the bug, unless each of its texts occurs in its file exactly once. */
export async function checkTexts(bug) {
  const files = new Map()
  for (const edit of editsOf(bug)) {
    const { file } = edit
    const contents = files.get(file) ?? (await readFile(resolve(root, file), 'utf8'))
    files.set(file, replaceOnce(contents, edit))
  }
}

function editsOf(bug) {
  return bug === null ? [] : [bug, ...(bug.also ?? [])].map((edit) => ({ ...edit, bug: bug.name }))
}

function replacing(edits) {
  return {
    name: 'replace',
    setup(context) {
      const files = new Set(edits.map(({ file }) => file))
      const seen = new Set()
      context.onLoad({ filter: /\.ts$/ }, async ({ path }) => {
        const file = relative(root, path)
        if (!files.has(file)) return null
        seen.add(file)
        let contents = await readFile(path, 'utf8')
        for (const edit of edits) if (edit.file === file) contents = replaceOnce(contents, edit)
        return { contents, loader: 'ts' }
      })
      context.onEnd(() => {
        for (const file of files) if (!seen.has(file)) throw new Error(`${file} is no part of the simulation`)
      })
    },
  }
}

function replaceOnce(contents, { file, find, replace, bug = 'the small world' }) {
  const parts = contents.split(find)
  if (parts.length !== 2) throw new Error(`${bug}: ${file} has ${parts.length - 1} times, not once: ${find}`)
  return parts.join(replace)
}
