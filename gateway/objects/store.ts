import type { Job } from '../../client/job.ts'
import { isError } from '../../protocol/errors.ts'
import { CHUNK_BYTES } from '../../protocol/limits.ts'
import { type ChunkMemory, chunkMemory } from '../../protocol/wire/chunk-memory.ts'
import type { Verified } from '../http/body.ts'
import { randomId } from '../http/random-id.ts'
import { asS3Error, S3Error } from '../http/s3-error.ts'
import type { PutCondition } from './conditions.ts'
import { type Attributes, metadataOf, type ObjectRecord, ttlOf } from './object-record.ts'

/** An object that is to be stored. */
export interface Storing {
  readonly bucket: string
  readonly key: string
  /** Bytes that `source` gives. */
  readonly bytes: number
  /** The source ends normally only after verification; if it fails, nothing is stored. */
  readonly source: () => AsyncIterable<Buffer>
  /** Called at the end of the source. */
  readonly verified: () => Pick<Verified, 'md5' | 'checksum'> & { readonly etag?: string }
  readonly attributes: Attributes
  readonly condition: PutCondition
  readonly nowMs: number
  /** Names the put; a random name if not given. */
  readonly put?: string
  readonly signal: AbortSignal
  /** Where the bytes are collected. */
  readonly chunks: ChunkMemory
}

/**
 * Stores an object: in one message if it fits, else in chunks as they arrive. Resolves with its record. If the answer of
 * its node is lost, the key is read: it may say that the put was carried out.
 */
export async function store(job: Job, storing: Storing): Promise<ObjectRecord> {
  const { bucket, key, attributes, condition, signal, chunks } = storing
  const { metadata, record } = recorder(storing)
  const options = { bucket, signal, ...condition, ...ttlOf(attributes), [chunkMemory]: chunks }
  try {
    if (storing.bytes <= CHUNK_BYTES) {
      const bytes = await collect(storing)
      await job.put(key, bytes, { ...options, metadata: metadata() })
      // After a failure a connection may still read them.
      chunks.give(bytes)
    } else await job.putStream(key, storing.source(), { ...options, metadata })
    return record()
  } catch (error) {
    if (!isError(error, 'OUTCOME_UNKNOWN')) throw error
    if (await wasCarriedOut(job, storing, record())) return record()
    // Repeating a put without a condition stores the same bytes; that of another one could not tell its own success.
    if (Object.keys(condition).length === 0) throw new S3Error('InternalError', undefined, { cause: error })
    throw asS3Error(error)
  }
}

/** All bytes of the source: in memory of `chunks` unless they come in one piece. */
async function collect({ source, bytes, chunks }: Storing): Promise<Buffer> {
  let whole: Buffer = Buffer.alloc(0)
  let used = 0
  for await (const piece of source()) {
    if (piece.length === bytes) whole = piece
    else {
      if (used === 0) whole = chunks.take(bytes)
      piece.copy(whole, used)
    }
    used += piece.length
  }
  return whole.subarray(0, used)
}

function recorder({ verified, bytes, nowMs, attributes, put = randomId() }: Storing) {
  const record = (): ObjectRecord => {
    const { md5, etag = md5, checksum } = verified()
    const { headers } = attributes
    return { etag, modifiedMs: nowMs, bytes, put, headers, ...(checksum !== null && { checksum }) }
  }
  return { record, metadata: () => metadataOf(attributes, record()) }
}

async function wasCarriedOut(job: Job, { bucket, key }: Storing, { put }: ObjectRecord): Promise<boolean> {
  const stat = await job.stat(key, { bucket }).catch(() => null)
  return stat !== null && Object.values(stat.metadata).some((value) => value.includes(`"put":"${put}"`))
}
