import { Readable } from 'node:stream'
import { ANY_VERSION, dataOperations, ObjectKind } from '../protocol/data-operations.ts'
import { asMayflyError, isError, MayflyError } from '../protocol/errors.ts'
import { READ_LEASE_MS, STREAM_WINDOW_CHUNKS } from '../protocol/limits.ts'
import { repeat, type Timer } from '../protocol/runtime.ts'
import { abortedBy, type Bounds } from './bounds.ts'
import type { KeyAddress } from './key-address.ts'
import { tellOwner } from './large-object.ts'
import type { Part } from './range.ts'
import { type Get, type Opened, openObject, readerOf, wasReplaced } from './reading.ts'
import type { Router } from './router.ts'

interface Source {
  readonly at: KeyAddress
  readonly opened: Opened
}

interface GetStream extends Pick<Get, 'range' | 'checksums'> {
  /** How long a key that is not there is waited for, from the first read. */
  readonly waitMs: number
  /** Of the next message, which `signal` ends as well. */
  readonly bounds: (signal: AbortSignal) => Bounds
  readonly signal: AbortSignal | undefined
  /** Finds the key's bucket and runs `open`. */
  readonly locate: (bounds: Bounds, open: (at: KeyAddress) => Promise<Source>) => Promise<Source>
}

/**
 * A stream of an object's bytes. It asks for parts ahead of its reader, a bounded number of them, and for no more while
 * the reader rests; the version that it began with is leased for as long as it lives.
 */
export function streamObject(router: Router, options: GetStream): Readable {
  const reading = new Reading(router, options)
  const { signal } = options
  const onAbort = (): void => void stream.destroy(abortedBy(signal))
  const stream = new Readable({
    // One part: what was asked for ahead waits in the window, not here.
    highWaterMark: 1,
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

class Reading {
  readonly #router: Router
  readonly #options: GetStream
  readonly #stopped = new AbortController()
  readonly #window: Promise<Buffer>[] = []
  #parts: Iterator<Part> | null = null
  #version = ANY_VERSION
  #lostVersion = ANY_VERSION
  #lease: { renewing: Timer; end: () => Promise<void> } | null = null
  #begun = false
  #untilMs: number | null = null

  constructor(router: Router, options: GetStream) {
    this.#router = router
    this.#options = options
  }

  /** The next bytes, null at the end. */
  async next(): Promise<Buffer | null> {
    for (;;) {
      try {
        this.#parts ??= await this.#open()
        this.#fill()
        const bytes = await this.#window.shift()
        this.#begun = true
        if (bytes === undefined) this.#endLease()
        // An empty object is an empty stream.
        return bytes === undefined || bytes.length === 0 ? null : bytes
      } catch (error) {
        if (this.#parts === null) throw error
        if (this.#begun) throw afterBegin(error)
        // The key's owner knows whether a part that is missing was lost, or freed because its version was replaced.
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

  async #open(): Promise<Iterator<Part>> {
    const router = this.#router
    const { range, checksums, waitMs, locate } = this.#options
    const { clock } = router.runtime
    this.#untilMs ??= clock.monotonicMs() + waitMs
    const { deadlineMs, signal } = this.#bounds()
    const bounds = { deadlineMs: deadlineMs + Math.max(0, this.#untilMs - clock.monotonicMs()), signal }
    const get = { range, checksums, consume: false, untilMs: this.#untilMs, bounds }
    const { at, opened } = await locate(bounds, async (at) => ({
      at,
      opened: await openObject(router, at, get),
    }))
    const { version, kind } = opened.head
    this.#version = version
    if (kind === ObjectKind.manifest) {
      const reader = readerOf(opened.head)
      const renewing = repeat(clock, READ_LEASE_MS / 3, () =>
        tellOwner(router, at, dataOperations.readRenew, reader),
      )
      renewing.unref()
      this.#lease = { renewing, end: () => tellOwner(router, at, dataOperations.readEnd, reader) }
      if (this.#stopped.signal.aborted) this.#endLease()
    }
    return opened.parts[Symbol.iterator]()
  }

  /** Asks for parts until the window is full. */
  #fill(): void {
    while (this.#window.length < STREAM_WINDOW_CHUNKS) {
      const part = this.#parts?.next()
      if (part === undefined || part.done) return
      const reading = part.value.read(this.#bounds())
      // Whoever takes it from the window sees its failure.
      reading.catch(() => undefined)
      this.#window.push(reading)
    }
  }

  #forget(): void {
    this.#endLease()
    this.#window.length = 0
    this.#parts = null
  }

  #endLease(): void {
    this.#lease?.renewing.cancel()
    void this.#lease?.end()
    this.#lease = null
  }

  #bounds(): Bounds {
    return this.#options.bounds(this.#stopped.signal)
  }
}

/** What the reader has of the old version cannot be taken back. */
function afterBegin(error: unknown): unknown {
  if (!wasReplaced(error)) return error
  return new MayflyError('VERSION_MISMATCH', 'The object was replaced while it was read', { cause: error })
}
