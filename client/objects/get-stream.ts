import { Readable } from 'node:stream'
import { asMayflyError, isError, MayflyError } from '../../protocol/errors.ts'
import { READ_LEASE_MS, STREAM_REST_MS_MAX, STREAM_WINDOW_CHUNKS } from '../../protocol/limits.ts'
import { ANY_VERSION, dataOperations, ObjectKind } from '../../protocol/operations/data-operations.ts'
import { repeat, type Timer } from '../../protocol/runtime.ts'
import type { ChunkMemory } from '../../protocol/wire/chunk-memory.ts'
import { abortedBy, type Deadline } from '../routing/deadline.ts'
import type { KeyAddress } from '../routing/key-address.ts'
import type { Router } from '../routing/router.ts'
import { askOwner, tellOwner } from './chunked.ts'
import { type Get, type Opened, openObject, readerOf, wasReplaced } from './get.ts'
import type { Part } from './range.ts'
import type { StreamWindows, Window } from './stream-windows.ts'

interface Source {
  readonly at: KeyAddress
  readonly opened: Opened
}

interface GetStream extends Pick<Get, 'range' | 'checksums' | 'version'> {
  readonly windows: StreamWindows
  /** How long to wait for a missing key, from the first read. */
  readonly waitMs: number
  /** Deadline of the next message, which `signal` aborts as well. */
  readonly bounds: (signal: AbortSignal) => Deadline
  readonly signal: AbortSignal | undefined
  readonly memory: ChunkMemory | undefined
  /** Looks up the key's bucket and runs `open`. */
  readonly locate: (bounds: Deadline, open: (at: KeyAddress) => Promise<Source>) => Promise<Source>
}

/** The next part of the window. */
interface Next {
  readonly part: Part
  /** Null if it is not requested, or was dropped. */
  bytes: Promise<Buffer> | null
  isHere: boolean
}

/** The lease of the version being read. */
interface Lease {
  renew(): Promise<void>
  end(): Promise<void>
}

/**
 * A stream of an object's bytes. It prefetches a bounded number of parts, none while the reader pauses, and
 * leases the version that it began with as long as the reader continues.
 */
export function streamObject(router: Router, options: GetStream): Readable {
  const reading = new Reading(router, options)
  const { signal } = options
  const onAbort = (): void => void stream.destroy(abortedBy(signal))
  const stream = new Readable({
    // Prefetched bytes are in the window.
    highWaterMark: 0,
    read: () => {
      reading.next().then(
        (bytes) => void stream.push(bytes),
        (error: unknown) => void stream.destroy(asMayflyError(error)),
      )
    },
    destroy: (error, done) => {
      signal?.removeEventListener('abort', onAbort)
      reading.stop()
      done(error)
    },
  })
  signal?.addEventListener('abort', onAbort, { once: true })
  if (signal?.aborted) onAbort()
  return stream
}

class Reading implements Window {
  readonly #router: Router
  readonly #options: GetStream
  readonly #stopped = new AbortController()
  readonly #window: Next[] = []
  #parts: Iterator<Part> | null = null
  #version = ANY_VERSION
  #lostVersion = ANY_VERSION
  /** Null if nothing is leased. */
  #lease: Lease | null = null
  /** Null while the reader has paused for long. */
  #watching: Timer | null = null
  #begun = false
  /** The reader waits for the first part of the window. */
  #isAwaited = false
  /** When the reader last took a part, or began. */
  #readMs = 0
  #untilMs: number | null = null

  constructor(router: Router, options: GetStream) {
    this.#router = router
    this.#options = options
  }

  /** The next bytes; null at the end. */
  async next(): Promise<Buffer | null> {
    for (;;) {
      try {
        this.#parts ??= await this.#open()
        if (this.#watching === null) await this.#goOn()
        const bytes = await this.#take()
        this.#begun = true
        if (bytes === null) this.#end()
        // An empty object is an empty stream.
        return bytes === null || bytes.length === 0 ? null : bytes
      } catch (error) {
        if (this.#parts === null) throw error
        if (this.#begun) throw this.#afterBegin(error)
        // The key's owner knows whether a missing part was lost, or freed because its version was replaced.
        const mayBeFreed = isError(error, 'OBJECT_LOST') && this.#version !== this.#lostVersion
        if (!mayBeFreed && !wasReplaced(error)) throw error
        if (mayBeFreed) this.#lostVersion = this.#version
        this.#forget()
      }
    }
  }

  stop(): void {
    this.#stopped.abort()
    this.#forget()
  }

  shed(): boolean {
    for (let index = this.#window.length - 1; index >= (this.#isAwaited ? 1 : 0); index--) {
      const next = this.#window[index] as Next
      if (next.bytes === null || !next.isHere) continue
      next.bytes = null
      this.#options.windows.give()
      return true
    }
    return false
  }

  async #open(): Promise<Iterator<Part>> {
    const router = this.#router
    const { range, checksums, version: asked, waitMs, locate } = this.#options
    const { clock } = router.runtime
    this.#untilMs ??= clock.monotonicMs() + waitMs
    const { deadlineMs, signal, context } = this.#bounds()
    const restMs = Math.max(0, this.#untilMs - clock.monotonicMs())
    const bounds = { deadlineMs: deadlineMs + restMs, signal, context }
    const get = { range, checksums, version: asked, consume: false, untilMs: this.#untilMs, bounds }
    const { at, opened } = await locate(bounds, async (at) => ({
      at,
      opened: await openObject(router, at, get),
    }))
    const { version, kind } = opened.head
    this.#version = version
    this.#readMs = clock.monotonicMs()
    if (kind === ObjectKind.manifest) {
      const reader = readerOf(opened.head)
      const { readRenew, readEnd } = dataOperations
      this.#lease = {
        renew: () => askOwner(router, at, { operation: readRenew, lease: reader, bounds: this.#bounds() }),
        end: () => tellOwner(router, at, readEnd, reader),
      }
    }
    this.#watch()
    if (this.#stopped.signal.aborted) this.#end()
    return opened.parts[Symbol.iterator]()
  }

  /** The first part of the window, once it has arrived; null at the end. */
  async #take(): Promise<Buffer | null> {
    const { windows } = this.#options
    const head = this.#window[0] ?? this.#add()
    if (head === null) return null
    this.#isAwaited = true
    try {
      if (head.bytes === null) {
        await this.#takeRoom()
        this.#read(head)
      }
      windows.used(this)
      this.#readAhead()
      const bytes = (await head.bytes) as Buffer
      if (this.#window.shift() === head) windows.give()
      this.#readMs = this.#router.runtime.clock.monotonicMs()
      return bytes
    } finally {
      this.#isAwaited = false
    }
  }

  async #takeRoom(): Promise<void> {
    const { windows } = this.#options
    const { signal } = this.#stopped
    await windows.take(signal)
    if (!signal.aborted) return
    windows.give()
    throw abortedBy(signal)
  }

  /** Requests parts until the window or the job's stream memory is full. */
  #readAhead(): void {
    for (let index = 1; index < STREAM_WINDOW_CHUNKS; index++) {
      const next = this.#window[index] ?? this.#add()
      if (next === null) return
      if (next.bytes !== null) continue
      if (!this.#options.windows.tryTake()) return
      this.#read(next)
    }
  }

  #add(): Next | null {
    const part = this.#parts?.next()
    if (part === undefined || part.done) return null
    const next = { part: part.value, bytes: null, isHere: false }
    this.#window.push(next)
    return next
  }

  #read(next: Next): void {
    const { part } = next
    const target = part.isHere ? undefined : this.#options.memory?.take(part.bytes)
    const bytes = part.read(this.#bounds(), target)
    next.bytes = bytes
    next.isHere = false
    bytes.then(
      () => {
        if (next.bytes !== bytes) return
        next.isHere = true
        this.#options.windows.settle()
      },
      // The failure surfaces when the part is taken.
      () => undefined,
    )
  }

  /** Renews the lease while the reader continues. A long pause ends the lease and drops prefetched parts. */
  #watch(): void {
    const { clock } = this.#router.runtime
    const watching = repeat(clock, READ_LEASE_MS / 3, async () => {
      if (this.#isAwaited || clock.monotonicMs() - this.#readMs < STREAM_REST_MS_MAX)
        return await this.#lease?.renew().catch(() => undefined)
      watching.cancel()
      this.#watching = null
      this.#dropWindow()
    })
    watching.unref()
    this.#watching = watching
  }

  /**
   * The reader continues after a pause. Throws `NOT_FOUND` if the lease has lapsed and the version is gone.
   */
  async #goOn(): Promise<void> {
    await this.#lease?.renew()
    this.#readMs = this.#router.runtime.clock.monotonicMs()
    if (!this.#stopped.signal.aborted) this.#watch()
  }

  #forget(): void {
    this.#end()
    this.#dropWindow()
    this.#window.length = 0
    this.#parts = null
  }

  #dropWindow(): void {
    const { windows } = this.#options
    windows.drop(this)
    for (const next of this.#window) {
      if (next.bytes !== null) windows.give()
      next.bytes = null
    }
  }

  /** All was read, or the reader has stopped. */
  #end(): void {
    this.#watching?.cancel()
    void this.#lease?.end()
    this.#lease = null
  }

  #bounds(): Deadline {
    return this.#options.bounds(this.#stopped.signal)
  }

  /** Bytes of the old version that were already delivered cannot be revoked. */
  #afterBegin(error: unknown): unknown {
    if (!wasReplaced(error)) return error
    const restedMs = this.#router.runtime.clock.monotonicMs() - this.#readMs
    const reason =
      restedMs < READ_LEASE_MS
        ? 'The object was replaced while it was read'
        : `The stream was not read for ${Math.round(restedMs / 1000)} s, which is longer than its version is retained, and the object was replaced or deleted meanwhile: read it anew`
    return new MayflyError('VERSION_MISMATCH', reason, { cause: error })
  }
}
