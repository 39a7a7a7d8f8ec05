import { connect, type Socket } from 'node:net'
import { MayflyError } from '../errors.ts'
import { CONNECT_MS_MAX, LINK_SILENT_MS } from '../limits.ts'
import { systemRuntime } from '../runtime.ts'
import { parseAddress } from './address.ts'
import type { Link, LinkHandlers } from './link.ts'

/** Options of a socket that reads into memory of the link's reader. */
export interface Receiving {
  readonly buffer: () => Uint8Array
  readonly callback: (bytes: number) => boolean
}

/** Node needs memory for the first read before there is a reader; a hello, or its answer, fits. */
const FIRST_READ_BYTES = 1024

/** Written after bytes whose departure must be noticed. */
const nothing = Buffer.alloc(0)

/** A link over a connected or connecting socket. */
export class TcpLink implements Link {
  readonly #socket: Socket
  #handlers: LinkHandlers | null = null
  #paused = false
  /** The network did not take the last write at once. Then Node's own timeout is set, which sees how much of a write it takes. */
  #isLate = false
  /** Otherwise two counters are compared from time to time: Node's timeout would be set anew by every read and write. */
  #looks: NodeJS.Timeout | undefined
  #lookedBytes = 0
  #first: Buffer | null = Buffer.allocUnsafe(FIRST_READ_BYTES)

  /** `makeSocket` creates a socket with these options, or one that emits `data` if that is not possible. */
  constructor(makeSocket: (receiving: Receiving) => Socket) {
    this.#socket = makeSocket({
      buffer: () => this.#handlers?.space() ?? (this.#first as Buffer),
      callback: (bytes) => this.#received(bytes),
    })
  }

  get socket(): Socket {
    return this.#socket
  }

  open(handlers: LinkHandlers): void {
    let cause: Error | null = null
    this.#handlers = handlers
    this.#socket
      .on('data', (piece) => this.#copy(piece))
      .on('drain', () => handlers.drained())
      .on('error', (error) => {
        cause = error
      })
      .on('close', () => {
        clearInterval(this.#looks)
        handlers.closed(cause)
      })
      .on('timeout', () => {
        // Otherwise Node would report it once, and again only after the next byte.
        this.#setLate(true)
        this.#silent(handlers)
      })
      .setNoDelay(true)
      .setKeepAlive(true, 30_000)
      .resume()
    this.#looks = setInterval(() => this.#look(handlers), LINK_SILENT_MS).unref()
  }

  write(parts: readonly Uint8Array[], taken: () => void): void {
    const socket = this.#socket
    if (!socket.writable) return taken()
    const last = parts.length - 1
    const wasLate = this.#isLate
    if (last > 0) socket.cork()
    for (let i = 0; i < last; i++) socket.write(parts[i] as Uint8Array)
    // A callback costs Node another tick, also for a write that the network takes at once.
    if (wasLate) socket.write(parts[last] as Uint8Array, taken)
    else socket.write(parts[last] as Uint8Array)
    if (last > 0) socket.uncork()
    const isLate = socket.writableLength > 0
    if (isLate !== wasLate) this.#setLate(isLate)
    if (wasLate) return
    if (isLate) socket.write(nothing, taken)
    else taken()
  }

  get queuedBytes(): number {
    return this.#isLate ? this.#socket.writableLength : 0
  }

  afterInput(task: () => void): void {
    setImmediate(task)
  }

  pause(): void {
    this.#paused = true
    this.#socket.pause()
    // After a `resume` in the same turn Node starts reading at the end of the turn, whatever was called
    // since.
    process.nextTick(() => {
      if (this.#paused) this.#socket.pause()
    })
  }

  resume(): void {
    this.#paused = false
    this.#socket.resume()
  }

  end(): void {
    this.#socket.end()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  keepAlive(value: boolean): void {
    if (value) this.#socket.ref()
    else this.#socket.unref()
  }

  #setLate(isLate: boolean): void {
    this.#isLate = isLate
    this.#socket.setTimeout(isLate ? LINK_SILENT_MS : 0)
  }

  #look(handlers: LinkHandlers): void {
    const { bytesRead, bytesWritten } = this.#socket
    const isSilent = bytesRead + bytesWritten === this.#lookedBytes
    this.#lookedBytes = bytesRead + bytesWritten
    if (isSilent && !this.#isLate) this.#silent(handlers)
  }

  #silent(handlers: LinkHandlers): void {
    const { bytesRead } = this.#socket
    // After a suspension of the process, pending input is read first.
    setImmediate(() => {
      if (this.#socket.bytesRead === bytesRead && !this.#socket.destroyed) handlers.silent()
    })
  }

  #received(bytes: number): boolean {
    const first = this.#first
    this.#first = null
    if (first !== null) this.#copy(first.subarray(0, bytes))
    else this.#handlers?.filled(bytes)
    return true
  }

  #copy(piece: Buffer): void {
    for (let offset = 0; offset < piece.length && !this.#socket.destroyed; ) {
      const copied = piece.copy(this.#handlers?.space() as Buffer, 0, offset)
      this.#handlers?.filled(copied)
      offset += copied
    }
  }
}

interface Connecting {
  readonly makeSocket: (receiving: Receiving) => Socket
  /** Emitted by the socket when it can be used. */
  readonly event: 'connect' | 'secureConnect'
  /** The error of a failure of its own kind; null if the server was not reached. */
  readonly failure: (cause: Error) => MayflyError | null
}

/** Opens a link. Rejects with what `failure` makes of an error, or with `UNAVAILABLE`. */
export function connectLink(address: string, { makeSocket, event, failure }: Connecting): Promise<TcpLink> {
  return new Promise((resolve, reject) => {
    const link = new TcpLink(makeSocket)
    const { socket } = link
    const timer = systemRuntime.clock.after(CONNECT_MS_MAX, () =>
      fail(new Error(`no answer within ${CONNECT_MS_MAX} ms`)),
    )
    function fail(cause: Error): void {
      timer.cancel()
      socket.destroy()
      const unreachable = `Cannot connect to ${address}: ${whyNotConnected(cause)}`
      reject(failure(cause) ?? new MayflyError('UNAVAILABLE', unreachable, { cause }))
    }
    socket.once('error', fail)
    socket.once(event, () => {
      timer.cancel()
      socket.off('error', fail)
      resolve(link)
    })
  })
}

/** Connects to `host:port`. A name is resolved for each connection. Rejects with `UNAVAILABLE`. */
export async function dialTcp(address: string): Promise<TcpLink> {
  const { host, port } = parseAddress(address)
  return await connectLink(address, {
    makeSocket: (onread) => connect({ host, port, onread }),
    event: 'connect',
    failure: () => null,
  })
}

/** Why a connection could not be opened, and the remedy if it is a limit of this process. */
export function whyNotConnected(cause: NodeJS.ErrnoException): string {
  if (cause.code !== 'EMFILE' && cause.code !== 'ENFILE') return cause.message
  return `this process has too many files open (${cause.code}); close some, or raise the limit (ulimit -n)`
}
