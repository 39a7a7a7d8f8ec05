import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { CHUNK_BYTES } from '../../../protocol/limits.ts'

type Chunks = AsyncIterable<Buffer> | Iterable<Buffer>

/** Writes beside the file, and replaces it at the end: a failure leaves what was there. */
export async function toFile(file: string, write: (path: string) => Promise<void>): Promise<void> {
  const fresh = join(dirname(file), `.${basename(file).slice(0, 200)}.${process.pid}.part`)
  try {
    await write(fresh)
    await rename(fresh, file)
  } catch (error) {
    await rm(fresh, { force: true })
    // Its user knows the file by its own name.
    const fault = error as NodeJS.ErrnoException
    if (fault.path === fresh) fault.path = file
    throw error
  }
}

/** Writes each chunk as it arrives. */
export async function writeAll(path: string, chunks: Chunks): Promise<void> {
  const handle = await open(path, 'w')
  try {
    for await (const chunk of chunks) await handle.writeFile(chunk)
  } finally {
    await handle.close()
  }
}

/** Resolves once all is written. Standard output stays open. */
export async function toOutput(chunks: Chunks): Promise<void> {
  await pipeline(chunks, process.stdout, { end: false })
}

/** `-` and nothing are standard output. */
export function isOutput(file: string | undefined): file is '-' | undefined {
  return file === undefined || file === '-'
}

/** A file from its start, in a buffer that is used again for the next chunk: `putStream` copies what it is given. */
export async function* readChunks(handle: FileHandle): AsyncGenerator<Buffer, void, undefined> {
  const buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES)
  for (;;) {
    const { bytesRead } = await handle.read(buffer, 0, CHUNK_BYTES, null)
    if (bytesRead === 0) return
    yield buffer.subarray(0, bytesRead)
  }
}
