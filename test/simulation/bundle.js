import { readFile } from 'node:fs/promises'
import { relative, resolve } from 'node:path'
import { build } from 'esbuild'

const root = resolve(import.meta.dirname, '../..')

/**
 * In a run of a few virtual seconds bytes, leases and pages have to be small for their ends to be met. Each text
 * must stand in its file exactly once, so that none of these can rot.
 */
const smallWorld = [
  ['CHUNK_BYTES = 1024 * 1024', 'CHUNK_BYTES = 256'],
  ['PUT_LEASE_MS = 30_000', 'PUT_LEASE_MS = 600'],
  ['READ_LEASE_MS = 30_000', 'READ_LEASE_MS = 2_000'],
  ['RECLAIM_MS = 2_000', 'RECLAIM_MS = 200'],
  ['NODE_LEASE_MS = 15_000', 'NODE_LEASE_MS = 3_000'],
  ['LEASE_MARGIN_MS = 1_500', 'LEASE_MARGIN_MS = 300'],
  ['REPEAT_MS_MAX = 30_000', 'REPEAT_MS_MAX = 3_000'],
  ['SESSION_KEEP_MS = 60_000', 'SESSION_KEEP_MS = 6_000'],
  ['MOVE_SLOTS_MAX = 16', 'MOVE_SLOTS_MAX = 2'],
  ['INDEX_PAGE_ENTRIES = 1_000', 'INDEX_PAGE_ENTRIES = 2'],
  ['PULL_BYTES_PER_SECOND = 256 * 1024 * 1024', 'PULL_BYTES_PER_SECOND = 4_000'],
  ['PULL_ITEMS_MAX = 256', 'PULL_ITEMS_MAX = 2'],
  ['LIST_PAGE_MAX = 1_000', 'LIST_PAGE_MAX = 1'],
  ['LIST_SCAN_BATCH = 5_000', 'LIST_SCAN_BATCH = 2'],
]
  .map(([find, replace]) => ({ file: 'protocol/limits.ts', find, replace }))
  .concat({
    file: 'storage-node/content.ts',
    find: 'PART_BYTES_MIN = 4 * 1024',
    replace: 'PART_BYTES_MIN = 64',
  })

/** Bundles the simulation with the planes, some texts of them replaced. */
export async function bundle(outfile, replacements = []) {
  await build({
    entryPoints: [resolve(import.meta.dirname, 'main.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    sourcemap: 'inline',
    external: ['better-sqlite3', 'pino'],
    logLevel: 'error',
    plugins: [replacing([...smallWorld, ...replacements])],
  })
}

function replacing(replacements) {
  return {
    name: 'replace',
    setup(context) {
      const files = new Set(replacements.map(({ file }) => file))
      const seen = new Set()
      context.onLoad({ filter: /\.ts$/ }, async ({ path }) => {
        const file = relative(root, path)
        if (!files.has(file)) return null
        seen.add(file)
        let contents = await readFile(path, 'utf8')
        for (const replacement of replacements) {
          if (replacement.file === file) contents = replaceOnce(contents, replacement)
        }
        return { contents, loader: 'ts' }
      })
      context.onEnd(() => {
        for (const file of files) if (!seen.has(file)) throw new Error(`${file} is no part of the simulation`)
      })
    },
  }
}

function replaceOnce(contents, { file, find, replace }) {
  const parts = contents.split(find)
  if (parts.length !== 2) throw new Error(`${file} has ${parts.length - 1} times, not once: ${find}`)
  return parts.join(replace)
}
