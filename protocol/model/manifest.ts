import { MayflyError } from '../errors.ts'
import { CHUNK_BYTES, CHUNKS_MAX, MANIFEST_RUNS_MAX } from '../limits.ts'
import { array, type Codec, struct, u32 } from '../wire/codec.ts'
import { violation } from '../wire/reader.ts'

/** The chunk lengths of a large object, in order, as runs of equal ones. */
export type Manifest = readonly ChunkRun[]

interface ChunkRun {
  readonly count: number
  readonly chunkBytes: number
}

const runs = array(struct({ count: u32, chunkBytes: u32 }))

export const manifestCodec: Codec<Manifest> = {
  shape: runs.shape,
  write: runs.write,
  read: (reader) => {
    const manifest = runs.read(reader)
    let chunks = 0
    for (const { count, chunkBytes } of manifest) {
      chunks += count
      if (count === 0 || chunkBytes === 0 || chunkBytes > CHUNK_BYTES || chunks > CHUNKS_MAX) {
        throw violation('a manifest has an empty run, a chunk over the limit or too many chunks')
      }
    }
    return manifest
  },
}

/** Throws `BAD_REQUEST` over `MANIFEST_RUNS_MAX`. */
export function checkRuns(manifest: Manifest): void {
  if (manifest.length <= MANIFEST_RUNS_MAX) return
  throw new MayflyError(
    'BAD_REQUEST',
    `manifest: ${manifest.length} runs of equal chunks are over ${MANIFEST_RUNS_MAX}; send chunks of one length, but for the last`,
  )
}

/** The manifest of an object in chunks of `CHUNK_BYTES`, the last one shorter. */
export function manifestOf(bytes: number): Manifest {
  const count = Math.floor(bytes / CHUNK_BYTES)
  const rest = bytes % CHUNK_BYTES
  return [
    ...(count > 0 ? [{ count, chunkBytes: CHUNK_BYTES }] : []),
    ...(rest > 0 ? [{ count: 1, chunkBytes: rest }] : []),
  ]
}

export function manifestBytes(manifest: Manifest): number {
  return manifest.reduce((sum, run) => sum + run.count * run.chunkBytes, 0)
}

/** Every chunk with its offset. */
export function* chunksOf(manifest: Manifest): Generator<{ index: number; offset: number; bytes: number }> {
  let index = 0
  let offset = 0
  for (const run of manifest) {
    for (let i = 0; i < run.count; i++) {
      yield { index, offset, bytes: run.chunkBytes }
      index++
      offset += run.chunkBytes
    }
  }
}
