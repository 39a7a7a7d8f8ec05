import { type FileHandle, open, realpath, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { GetStreamOptions, Job } from '../../../client/index.ts'
import { CHUNK_BYTES, STREAM_WINDOW_CHUNKS } from '../../../protocol/limits.ts'
import { ChunkMemory, chunkMemory } from '../../../protocol/wire/chunk-memory.ts'

type Chunks = AsyncIterable<Buffer> | Iterable<Buffer>

/** Writes an object into a file as it arrives; `progress` is told of each chunk. */
export async function writeObject(path: string, { job, key, options, progress }: Source): Promise<void> {
  const memory = new ChunkMemory(STREAM_WINDOW_CHUNKS)
  const chunks = job.getStream(key, { ...options, [chunkMemory]: memory } as GetStreamOptions)
  await writeAll(path, chunks, (chunk) => {
    progress?.(chunk.length)
    memory.give(chunk)
  })
}

interface Source {
  readonly job: Job
  readonly key: string
  readonly options: GetStreamOptions
  readonly progress?: (bytes: number) => void
}

/** As `replaceFile`, but a symbolic link is followed, and a device or a pipe is written itself. */
export async function toFile(file: string, write: (path: string) => Promise<void>): Promise<void> {
  const there = await stat(file).catch(() => null)
  if (there === null) await replaceFile(file, write)
  else if (there.isFile()) await replaceFile(await realpath(file), write)
  else await write(file)
}

/** Writes beside the file, and replaces it at the end: a failure leaves what was there. */
export async function replaceFile(file: string, write: (path: string) => Promise<void>): Promise<void> {
  const fresh = join(dirname(file), `.${basename(file).slice(0, 200)}.${process.pid}.part`)
  try {
    await write(fresh)
    await rename(fresh, file)
  } catch (error) {
    await rm(fresh, { force: true })
    // Errors name the file that the user named, not the temporary one.
    const fault = error as NodeJS.ErrnoException
    if (fault.path === fresh) fault.path = file
    throw error
  }
}

/** Concurrent writes of one file: the next chunks are received meanwhile. */
const WRITES_IN_FLIGHT = 4

/** Writes the chunks, each at its place, while further ones arrive. A chunk must not change until it is `written`. */
export async function writeAll(
  path: string,
  chunks: Chunks,
  written: (chunk: Buffer) => void = () => undefined,
): Promise<void> {
  const handle = await open(path, 'w')
  // A pipe or a terminal has no positions: its writes keep their order only one after the other.
  const hasPositions = (await handle.stat()).isFile()
  const inFlightMax = hasPositions ? WRITES_IN_FLIGHT : 1
  const writing = new Set<Promise<void>>()
  const failures: unknown[] = []
  let position = 0
  try {
    for await (const chunk of chunks) {
      const write: Promise<void> = writeAt(handle, chunk, hasPositions ? position : null)
        .then(
          () => written(chunk),
          (error: unknown) => void failures.push(error),
        )
        .finally(() => writing.delete(write))
      writing.add(write)
      position += chunk.length
      if (writing.size >= inFlightMax) await Promise.race(writing)
      if (failures.length > 0) break
    }
  } finally {
    await Promise.all(writing)
    await handle.close()
  }
  if (failures.length > 0) throw failures[0]
}

/** At the end of what was written, without a position. */
async function writeAt(handle: FileHandle, bytes: Buffer, position: number | null): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    const at = position === null ? null : position + written
    written += (await handle.write(bytes, written, bytes.length - written, at)).bytesWritten
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

/**
 * A file from its start, read one chunk ahead into buffers that are used again: `putStream` copies what it is given.
 */
export async function* readChunks(handle: FileHandle): AsyncGenerator<Buffer, void, undefined> {
  const read = (buffer: Buffer): ReturnType<typeof handle.read<Buffer>> => {
    const reading = handle.read(buffer, 0, CHUNK_BYTES, null)
    // It may not be awaited if the put fails meanwhile.
    reading.catch(() => undefined)
    return reading
  }
  let spare: Buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES)
  let next = read(Buffer.allocUnsafeSlow(CHUNK_BYTES))
  for (;;) {
    const { bytesRead, buffer } = await next
    if (bytesRead === 0) return
    next = read(spare)
    spare = buffer
    yield buffer.subarray(0, bytesRead)
  }
}
