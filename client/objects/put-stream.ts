import { Readable } from 'node:stream'
import { asMayflyError, MayflyError } from '../../protocol/errors.ts'
import { CHUNK_BYTES, CHUNKS_IN_FLIGHT, CHUNKS_MAX, SOURCE_REST_MS_MAX } from '../../protocol/limits.ts'
import { manifestOf } from '../../protocol/model/manifest.ts'
import type { Clock } from '../../protocol/runtime.ts'
import { ChunkMemory } from '../../protocol/wire/chunk-memory.ts'
import { abortedBy, type Deadline } from '../routing/deadline.ts'
import type { KeyAddress } from '../routing/key-address.ts'
import type { Router } from '../routing/router.ts'
import { putChunks, type SendChunk } from './chunked.ts'
import { type Bytes, encodeText, type StreamFields, viewOf } from './object-fields.ts'
import { putObject } from './put.ts'
import type { StreamWindows } from './stream-windows.ts'

/** A source of a stream's bytes: a Node or web stream, or any async iterable, of what `put` takes. */
export type ByteSource = AsyncIterable<Bytes>

interface PutStream extends StreamFields {
  readonly source: ByteSource
  readonly windows: StreamWindows
  /** Where chunks are collected; if not given, the stream has its own. */
  readonly memory: ChunkMemory | undefined
  readonly locate: (bounds: Deadline) => Promise<KeyAddress>
  readonly checksums: boolean
  readonly signal: AbortSignal | undefined
  /** Deadline of the next message. */
  readonly bounds: () => Deadline
}

/**
 * Stores a source until its end, in chunks that are sent as they fill; as one message if it ends before the
 * first chunk is full. Memory is bounded by the chunks in flight, and the source is read no faster than the
 * nodes accept them.
 */
export async function putFrom(
  router: Router,
  { source, windows, memory, locate, signal, ...put }: PutStream,
): Promise<{ version: number }> {
  const chunks = new Chunks(source, { signal, clock: router.runtime.clock, memory })
  try {
    const at = await locate(put.bounds())
    const first = await chunks.next()
    if (chunks.ended)
      return await putObject(router, at, {
        ...put,
        metadata: put.metadata(),
        bytes: first,
        bounds: put.bounds(),
      })
    return await putChunks(router, at, {
      put,
      send: (sendChunk) => sendAll(chunks, first, { sendChunk, windows, signal }),
    })
  } catch (error) {
    chunks.stop()
    throw error
  }
}

async function sendAll(
  chunks: Chunks,
  first: Buffer,
  { sendChunk, windows, signal }: Pick<PutStream, 'windows' | 'signal'> & { sendChunk: SendChunk },
): Promise<ReturnType<typeof manifestOf>> {
  const sending = new Set<Promise<void>>()
  let bytes = 0
  let next = first
  for (let index = 0; next.length > 0; index++) {
    if (index >= CHUNKS_MAX)
      throw new MayflyError('OBJECT_TOO_LARGE', `The stream has more than ${CHUNKS_MAX} chunks`)
    bytes += next.length
    await windows.take(signal)
    const chunk = next
    const sent: Promise<void> = sendChunk(index, chunk)
      .then(() => chunks.memory.give(chunk))
      .catch((error: unknown) => chunks.fail(error))
      .finally(() => {
        windows.give()
        sending.delete(sent)
      })
    sending.add(sent)
    if (sending.size >= CHUNKS_IN_FLIGHT) await Promise.race(sending)
    next = await chunks.next()
  }
  await Promise.all(sending)
  chunks.check()
  return manifestOf(bytes)
}

interface ChunksOptions {
  readonly signal: AbortSignal | undefined
  readonly clock: Clock
  readonly memory: ChunkMemory | undefined
}

/**
 * Collects a source into chunks. A failure or the signal ends the wait for the source at once; an idle source
 * ends after `SOURCE_REST_MS_MAX`, so that earlier chunks are freed.
 */
class Chunks {
  /** The last chunk has been returned. */
  ended = false
  /** Takes chunks back that the node has answered. */
  readonly memory: ChunkMemory
  readonly #source: ByteSource
  readonly #pieces: AsyncIterator<Bytes>
  readonly #signal: AbortSignal | undefined
  readonly #clock: Clock
  readonly #onAbort = (): void => this.fail(abortedBy(this.#signal))
  #rest: Uint8Array = new Uint8Array(0)
  #failure: MayflyError | null = null
  #interrupt: (error: MayflyError) => void = () => undefined

  constructor(
    source: ByteSource,
    { signal, clock, memory = new ChunkMemory(CHUNKS_IN_FLIGHT + 1) }: ChunksOptions,
  ) {
    if (typeof source?.[Symbol.asyncIterator] !== 'function')
      throw new MayflyError(
        'BAD_REQUEST',
        source instanceof Blob
          ? 'readable: it is a Blob; use its stream()'
          : 'readable: it is no stream and no async iterable',
      )
    this.memory = memory
    this.#source = source
    this.#pieces = source[Symbol.asyncIterator]()
    this.#signal = signal
    this.#clock = clock
    if (signal?.aborted) this.#onAbort()
    signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** A full chunk; after the end of the source the rest, then empty. */
  async next(): Promise<Buffer> {
    const chunk = this.memory.take(CHUNK_BYTES)
    let used = 0
    while (used < CHUNK_BYTES && !this.ended) {
      this.check()
      if (this.#rest.length === 0) await this.#read()
      const taken = this.#rest.subarray(0, CHUNK_BYTES - used)
      chunk.set(taken, used)
      used += taken.length
      this.#rest = this.#rest.subarray(taken.length)
    }
    return chunk.subarray(0, used)
  }

  fail(error: unknown): void {
    this.#failure ??= asMayflyError(error)
    this.#interrupt(this.#failure)
  }

  check(): void {
    if (this.#failure !== null) throw this.#failure
  }

  /** Releases a source that is not read to its end. */
  stop(): void {
    this.#release()
    if (this.#source instanceof Readable) this.#source.destroy()
    else void this.#pieces.return?.()?.catch(() => undefined)
  }

  async #read(): Promise<void> {
    const resting = this.#clock.after(SOURCE_REST_MS_MAX, () => this.fail(forgotten()))
    resting.unref()
    const { done, value } = await new Promise<IteratorResult<Bytes>>((resolve, reject) => {
      this.#interrupt = reject
      this.#pieces.next().then(resolve, reject)
    }).finally(() => resting.cancel())
    if (done) {
      this.ended = true
      this.#release()
      return
    }
    this.#rest = typeof value === 'string' ? encodeText(value, 'readable') : viewOf(value, 'readable')
  }

  #release(): void {
    this.#signal?.removeEventListener('abort', this.#onAbort)
  }
}

function forgotten(): MayflyError {
  const minutes = SOURCE_REST_MS_MAX / 60_000
  return new MayflyError(
    'DEADLINE_EXCEEDED',
    `The source has given nothing for ${minutes} minutes, so the put was given up; put it again once the source goes on`,
  )
}
