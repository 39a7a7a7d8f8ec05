import { decodeMetadata, encodeMetadata, type Metadata } from './metadata.ts'

/** What a job has to know of a kept object that comes back into it, beside what the kept store tells of each. */
export interface KeptAbout {
  /** The name of its bucket may be that of another one by now. */
  readonly bucketId: number
  readonly metadata: Metadata
}

const ID_BYTES = 4

/** As the kept store has it: the bucket's id, then the metadata as a record has it. */
export function encodeAbout({ bucketId, metadata }: KeptAbout): Buffer {
  const id = Buffer.alloc(ID_BYTES)
  id.writeUInt32LE(bucketId)
  return Buffer.concat([id, encodeMetadata(metadata)])
}

/** Null where that is no such thing. */
export function decodeAbout(encoded: Buffer): KeptAbout | null {
  if (encoded.length < ID_BYTES) return null
  return { bucketId: encoded.readUInt32LE(), metadata: decodeMetadata(encoded.subarray(ID_BYTES)) }
}
