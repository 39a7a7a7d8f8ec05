import { RECEIVE_BYTES } from '../../protocol/limits.ts'
import {
  ANSWERS_QUEUED_BYTES_MAX,
  ANSWERS_QUEUED_BYTES_MAX_CROWDED,
  ANSWERS_QUEUED_BYTES_MAX_FULL,
  JOB_HELD_BYTES_MAX,
  JOB_HELD_BYTES_MIN,
  RECEIVE_BYTES_MIN,
  SERVER_HELD_BYTES_MAX,
} from './limits.ts'

/** Process memory that the connections of all jobs of a server hold. */
export class ServerMemory {
  bytes = 0
  /** Accounts with connections that wait for room. */
  readonly waiting = new Set<MemoryAccount>()

  get isOver(): boolean {
    return this.bytes > SERVER_HELD_BYTES_MAX
  }
}

/** Continues a connection that waited for room, and calls `passOn` when it has; false if it is closed. */
type Resume = () => boolean

/** Process memory that the connections of one job hold on a server, in bytes. */
export class MemoryAccount {
  /** Size of one read of a connection. */
  readBytes = RECEIVE_BYTES
  #bytes = 0
  readonly #server: ServerMemory
  readonly #isBounded: boolean
  /** FIFO. */
  readonly #waiting: Resume[] = []
  /** A connection that waited has been resumed, and has not come to its turn. */
  #isResuming = false

  /** One that is not bounded is for the planes. */
  constructor(server: ServerMemory, { isBounded = true } = {}) {
    this.#server = server
    this.#isBounded = isBounded
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Charges memory; negative bytes release it. */
  add(bytes: number): void {
    const server = this.#server
    const wasOver = server.isOver
    this.#bytes += bytes
    server.bytes += bytes
    if (bytes >= 0 || server.waiting.size === 0) return
    // The bound of every job rises as the server comes below its own.
    if (wasOver && !server.isOver) for (const job of [...server.waiting]) job.#resume()
    else this.#resume()
  }

  /** Whether an incomplete frame may take memory. */
  get hasRoom(): boolean {
    return this.#bytes < this.#bytesMax
  }

  /** Whether a connection with so many bytes of answers queued may have another request processed. */
  admitsAnswer(queuedBytes: number): boolean {
    const max = this.#bytesMax
    if (this.#bytes < max / 2) return queuedBytes <= ANSWERS_QUEUED_BYTES_MAX
    if (this.#bytes < max) return queuedBytes <= ANSWERS_QUEUED_BYTES_MAX_CROWDED
    return queuedBytes <= ANSWERS_QUEUED_BYTES_MAX_FULL && this.#bytes < 2 * max
  }

  /** Calls `resume` once there is room, one connection at a time. */
  whenRoom(resume: Resume): void {
    this.#waiting.push(resume)
    this.#server.waiting.add(this)
  }

  /** A resumed connection has had its turn: the next one may follow. */
  passOn(): void {
    this.#isResuming = false
    this.#resume()
  }

  /** The job has so many connections. */
  share(connections: number): void {
    const fair = JOB_HELD_BYTES_MAX / Math.max(1, connections)
    let bytes = RECEIVE_BYTES
    while (bytes > fair && bytes > RECEIVE_BYTES_MIN) bytes /= 2
    this.readBytes = bytes
  }

  get #bytesMax(): number {
    if (!this.#isBounded) return Number.POSITIVE_INFINITY
    return this.#server.isOver ? JOB_HELD_BYTES_MIN : JOB_HELD_BYTES_MAX
  }

  #resume(): void {
    while (!this.#isResuming && this.hasRoom) {
      const next = this.#waiting.shift()
      if (next === undefined) return void this.#server.waiting.delete(this)
      this.#isResuming = next()
    }
  }
}
