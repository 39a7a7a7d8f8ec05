import { MayflyError } from '../../../protocol/errors.ts'
import type { Dial, Link, LinkHandlers } from '../../../protocol/transport/link.ts'

/**
 * Gives a second process the memory of a first one. Both run the same code from the beginning, with the same clock and randomness, and the second receives what
 * the network delivers to the first, at the same times. What it sends is discarded, and must equal what the first has sent.
 */
export class Mirror {
  /** For the first process. */
  readonly dial: Dial
  readonly #dials: Promise<MirroredLink>[] = []
  readonly #links: MirroredLink[] = []
  #copied = 0
  #restored: Dial | null = null
  #diverged = false

  constructor(dial: Dial) {
    this.dial = (address) => this.#record(dial(address))
  }

  /** The second process has not done the same as the first, so the run is not checked for clones. */
  get diverged(): boolean {
    return this.#diverged || this.#links.some(({ diverged }) => diverged)
  }

  /** For the second process. */
  readonly copy: Dial = async (address) => {
    if (this.#restored !== null) return await this.#restored(address)
    const link = this.#dials[this.#copied++]
    if (link !== undefined) return await link
    this.#diverged = true
    throw lost()
  }

  /** The second process receives nothing any more. */
  stop(): void {
    for (const link of this.#links) link.sever()
  }

  /** The second process continues on its own. Its connections are closed, or stop carrying bytes without being closed. */
  restore(dial: Dial, isSilent: () => boolean): void {
    this.#restored = dial
    for (const link of this.#links) if (!isSilent()) link.close(new Error('the connection was reset'))
  }

  async #record(dialed: Promise<Link>): Promise<Link> {
    const mirrored = dialed.then((link) => new MirroredLink(link))
    this.#dials.push(
      mirrored.then((link) => {
        if (this.#restored !== null) throw lost()
        this.#links.push(link)
        return link
      }),
    )
    this.#dials.at(-1)?.catch(() => undefined)
    return (await mirrored).original
  }
}

interface Written {
  readonly bytes: Buffer
  taken: boolean
  /** Called for the copy once it has written the same. */
  tell: (() => void) | null
}

/** The copy's end of a connection of the first process. */
class MirroredLink implements Link {
  /** For the first process. */
  readonly original: Link
  diverged = false
  queuedBytes = 0
  readonly #written: Written[] = []
  #copied = 0
  #handlers: LinkHandlers | null = null
  /** What arrived before the copy opened its end. */
  #early: ((handlers: LinkHandlers) => void)[] = []
  #state: 'mirrored' | 'silent' | 'closed' = 'mirrored'

  constructor(link: Link) {
    this.original = new RecordedLink(link, {
      written: (bytes) => this.#wrote(bytes),
      happened: (event) => this.#happen(event),
      closed: (cause) => {
        if (this.#state === 'mirrored') this.close(cause)
      },
    })
  }

  open(handlers: LinkHandlers): void {
    this.#handlers = handlers
    const early = this.#early
    this.#early = []
    for (const event of early) event(handlers)
  }

  write(parts: readonly Uint8Array[], taken: () => void): void {
    if (this.#state !== 'mirrored') return taken()
    const written = this.#written[this.#copied++]
    const bytes = Buffer.concat(parts)
    if (written === undefined || !written.bytes.equals(bytes)) {
      this.diverged = true
      return taken()
    }
    if (written.taken) return taken()
    this.queuedBytes += bytes.length
    written.tell = () => {
      this.queuedBytes -= bytes.length
      taken()
    }
  }

  afterInput(task: () => void): void {
    this.original.afterInput(task)
  }

  pause(): void {
    // Nothing arrives at the first process either.
  }

  resume(): void {
    // It arrives when it arrives at the first process.
  }

  end(): void {
    this.#closeIfSevered()
  }

  destroy(): void {
    this.#closeIfSevered()
  }

  keepAlive(): void {
    // There is no real handle that could keep the process alive.
  }

  /** The first process continues without the copy. */
  sever(): void {
    if (this.#state !== 'mirrored') return
    this.#state = 'silent'
    for (const written of this.#written) {
      written.tell?.()
      written.tell = null
    }
  }

  close(cause: Error | null): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#handlers?.closed(cause)
  }

  #closeIfSevered(): void {
    if (this.#state === 'silent') queueMicrotask(() => this.close(null))
  }

  #wrote(bytes: Buffer): () => void {
    const written: Written = { bytes, taken: false, tell: null }
    this.#written.push(written)
    return () => {
      written.taken = true
      written.tell?.()
      written.tell = null
    }
  }

  #happen(event: (handlers: LinkHandlers) => void): void {
    if (this.#state !== 'mirrored') return
    if (this.#handlers === null) this.#early.push(event)
    else event(this.#handlers)
  }
}

interface Recorder {
  /** Returns what to call when the network has accepted the bytes. */
  readonly written: (bytes: Buffer) => () => void
  readonly happened: (event: (handlers: LinkHandlers) => void) => void
  readonly closed: (cause: Error | null) => void
}

/** The first process's end. */
class RecordedLink implements Link {
  readonly #link: Link
  readonly #recorder: Recorder

  constructor(link: Link, recorder: Recorder) {
    this.#link = link
    this.#recorder = recorder
  }

  get queuedBytes(): number {
    return this.#link.queuedBytes
  }

  open(handlers: LinkHandlers): void {
    const { happened, closed } = this.#recorder
    let space: Buffer = Buffer.alloc(0)
    this.#link.open({
      space: () => {
        space = handlers.space()
        return space
      },
      filled: (count) => {
        const bytes = Buffer.from(space.subarray(0, count))
        handlers.filled(count)
        happened((copy) => deliver(bytes, copy))
      },
      drained: () => {
        handlers.drained()
        happened((copy) => copy.drained())
      },
      silent: () => {
        handlers.silent()
        happened((copy) => copy.silent())
      },
      closed: (cause) => {
        handlers.closed(cause)
        closed(cause)
      },
    })
  }

  write(parts: readonly Uint8Array[], taken: () => void): void {
    const told = this.#recorder.written(Buffer.concat(parts))
    this.#link.write(parts, () => {
      taken()
      told()
    })
  }

  afterInput(task: () => void): void {
    this.#link.afterInput(task)
  }

  pause(): void {
    this.#link.pause()
  }

  resume(): void {
    this.#link.resume()
  }

  end(): void {
    this.#link.end()
  }

  destroy(): void {
    this.#link.destroy()
  }

  keepAlive(value: boolean): void {
    this.#link.keepAlive(value)
  }
}

function deliver(bytes: Buffer, handlers: LinkHandlers): void {
  for (let offset = 0; offset < bytes.length; ) {
    const copied = bytes.copy(handlers.space(), 0, offset)
    handlers.filled(copied)
    offset += copied
  }
}

function lost(): MayflyError {
  return new MayflyError('UNAVAILABLE', 'Cannot connect: the process was restored meanwhile')
}
