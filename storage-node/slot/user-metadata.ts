import { MayflyError } from '../../protocol/errors.ts'
import { METADATA_BYTES_MAX } from '../../protocol/limits.ts'
import { flawOfName } from '../../protocol/model/text.ts'
import { METADATA_NAMES_MAX } from '../limits.ts'

/** Metadata that the user attaches to an object. */
export type UserMetadata = readonly { readonly name: string; readonly value: string }[]

const LENGTH_BYTES = 2
const none = Buffer.alloc(0)

/** As `encodeMetadata`, of metadata that a client sends. Throws `BAD_REQUEST` for a name that none may have. */
export function encodeNewMetadata(metadata: UserMetadata): Buffer {
  for (const { name } of metadata) {
    const flaw = flawOfName(name)
    if (flaw !== null) throw new MayflyError('BAD_REQUEST', `metadata: it has a name that ${flaw}`)
  }
  return encodeMetadata(metadata)
}

/** Encodes metadata for a record: each text after its length. Throws `BAD_REQUEST` over a limit. */
export function encodeMetadata(metadata: UserMetadata): Buffer {
  if (metadata.length === 0) return none
  const texts = metadata.flatMap(({ name, value }) => [Buffer.from(name), Buffer.from(value)])
  const bytes = texts.reduce((sum, text) => sum + text.length, 0)
  if (bytes > METADATA_BYTES_MAX) {
    throw new MayflyError('BAD_REQUEST', `metadata: ${bytes} bytes are over ${METADATA_BYTES_MAX}`)
  }
  if (metadata.length > METADATA_NAMES_MAX) {
    throw new MayflyError('BAD_REQUEST', `metadata: ${metadata.length} names are over ${METADATA_NAMES_MAX}`)
  }
  const encoded = Buffer.allocUnsafe(bytes + texts.length * LENGTH_BYTES)
  let offset = 0
  for (const text of texts) {
    offset = encoded.writeUInt16LE(text.length, offset)
    offset += text.copy(encoded, offset)
  }
  return encoded
}

export function decodeMetadata(encoded: Buffer): UserMetadata {
  const texts: string[] = []
  for (let offset = 0; offset < encoded.length; ) {
    const end = offset + LENGTH_BYTES + encoded.readUInt16LE(offset)
    texts.push(encoded.toString('utf8', offset + LENGTH_BYTES, end))
    offset = end
  }
  return Array.from({ length: texts.length / 2 }, (_, index) => ({
    name: texts[2 * index] as string,
    value: texts[2 * index + 1] as string,
  }))
}
