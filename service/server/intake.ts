import { CALLS_OUTSTANDING_MAX, HELLO_BYTES_MAX } from '../../protocol/limits.ts'
import type { Clock, Timer } from '../../protocol/runtime.ts'
import type { Link } from '../../protocol/transport/link.ts'
import type { Outbox } from '../../protocol/transport/outbox.ts'
import type { FrameReader } from '../../protocol/wire/frame-reader.ts'
import {
  ANSWERS_BYTES_PER_LOOK_MIN,
  ANSWERS_QUEUED_BYTES_MAX_FULL,
  FRAME_HELD_BYTES_MIN,
  READER_LOOK_MS,
} from './limits.ts'
import type { MemoryAccount } from './memory-account.ts'
import type { RequestsUnderWay } from './requests-under-way.ts'
import type { Turns } from './turns.ts'

/** Throttles peers that use more of a server than their share. */
export interface Pace {
  /**
   * Called after a turn of a job's peer that took `cpuMs` of the event loop. True: the connection is paused
   * until `resume` is called, once.
   */
  holds(job: string, cpuMs: number, resume: () => void): boolean
}

interface IntakeOptions {
  readonly link: Link
  readonly frames: FrameReader
  readonly outbox: Outbox
  readonly underWay: RequestsUnderWay
  readonly clock: Clock
  readonly turns: Turns
  readonly pace: Pace | undefined
  /** Delivery continues after a pause: everything that has arrived is processed now. */
  readonly onResume: (pausedMs: number) => void
}

/**
 * Decides whether the received bytes of one connection are processed. They wait while the job has no turn or
 * is over its rate, while there is no memory for an incomplete frame, and while too many answers are queued
 * or under way.
 */
export class Intake {
  /** Nothing is read from the peer. */
  isPaused = false
  #pausedAtMs = 0
  readonly #options: IntakeOptions
  /** Empty for planes, and before the hello. */
  #job = ''
  /** Null before the hello, when little may be sent: nothing is charged. */
  #account: MemoryAccount | null = null
  #chargedBytes = 0
  /** Bytes of announced answers. */
  #expectedBytes = 0
  /** The job is over its rate. */
  #isThrottled = false
  #awaitsTurn = false
  /** The job has no room for an incomplete frame, or for another answer. */
  #awaitsRoom = false
  #reader: Timer | null = null
  #isClosed = false
  /** The job is within its rate again. Made once, because `keepPace` runs after every read. */
  readonly #continue = (): void => {
    this.#isThrottled = false
    this.balance()
  }

  constructor(options: IntakeOptions) {
    this.#options = options
  }

  /** The hello has arrived. */
  enter(job: string, account: MemoryAccount): void {
    this.#job = job
    this.#account = account
    this.#options.outbox.account = account
  }

  /** Size of the next read. */
  get readBytes(): number {
    return this.#account?.readBytes ?? HELLO_BYTES_MAX
  }

  /** Whether no further request is processed until answers have left. */
  get isFull(): boolean {
    return this.#account?.admitsAnswer(this.#queuedBytes) === false
  }

  /** Whether an incomplete frame may take `bytes`; if not, delivery continues once there is room. */
  admits(bytes: number): boolean {
    const account = this.#account
    if (bytes <= FRAME_HELD_BYTES_MIN || account === null || account.hasRoom) return true
    this.#awaitRoom(account)
    return false
  }

  /** Stops delivery until the job has a turn. */
  awaitTurn(): void {
    if (this.#awaitsTurn || this.#isClosed) return
    const { frames, turns } = this.#options
    this.#awaitsTurn = true
    frames.pause()
    turns.wait(this.#job, () => {
      this.#awaitsTurn = false
      this.balance()
    })
  }

  /** After a turn that took `cpuMs`. */
  keepPace(cpuMs: number): void {
    const { pace } = this.#options
    if (pace === undefined || this.#job === '' || this.#isThrottled || this.#isClosed) return
    this.#isThrottled = pace.holds(this.#job, cpuMs, this.#continue)
  }

  /** Announces an answer of so many bytes. The returned function takes that back; it is idempotent. */
  expect(bytes: number): () => void {
    let isExpected = true
    this.#expectedBytes += bytes
    return () => {
      if (isExpected) this.#expectedBytes -= bytes
      isExpected = false
    }
  }

  /** Pauses or resumes, as what has changed requires. */
  balance(): void {
    if (this.#isClosed) return
    const { link, frames, underWay, clock, onResume } = this.#options
    this.#charge(frames.heldBytes)
    const { isFull } = this
    const account = this.#account
    // Otherwise its own answers leave first, and the network tells of that.
    if (account !== null && isFull && this.#queuedBytes <= ANSWERS_QUEUED_BYTES_MAX_FULL)
      this.#awaitRoom(account)
    if (isFull && this.#options.outbox.queuedBytes > 0) this.#watchReader()
    else this.#stopWatching()
    const isHeld = this.#isThrottled || this.#awaitsTurn || this.#awaitsRoom
    const mustPause = isHeld || isFull || underWay.size >= CALLS_OUTSTANDING_MAX
    if (mustPause === this.isPaused) return
    this.isPaused = mustPause
    if (mustPause) {
      this.#pausedAtMs = clock.monotonicMs()
      frames.pause()
      link.pause()
    } else {
      link.resume()
      onResume(clock.monotonicMs() - this.#pausedAtMs)
    }
  }

  close(): void {
    this.#isClosed = true
    this.#stopWatching()
    this.#charge(0)
  }

  get #queuedBytes(): number {
    return this.#options.outbox.queuedBytes + this.#expectedBytes
  }

  #charge(heldBytes: number): void {
    if (this.#account === null || heldBytes === this.#chargedBytes) return
    this.#account.add(heldBytes - this.#chargedBytes)
    this.#chargedBytes = heldBytes
  }

  #awaitRoom(account: MemoryAccount): void {
    if (this.#awaitsRoom) return
    this.#awaitsRoom = true
    account.whenRoom(() => {
      this.#awaitsRoom = false
      if (this.#isClosed) return false
      this.#options.turns.wait(this.#job, () => {
        this.balance()
        account.passOn()
      })
      return true
    })
  }

  /** Disconnects a peer that takes its answers too slowly: they hold memory. */
  #watchReader(): void {
    if (this.#reader !== null) return
    const { clock, link, outbox } = this.#options
    const takenBytes = outbox.takenBytes
    this.#reader = clock.after(READER_LOOK_MS, () => {
      this.#reader = null
      if (outbox.takenBytes - takenBytes < ANSWERS_BYTES_PER_LOOK_MIN) link.destroy()
      else this.#watchReader()
    })
  }

  #stopWatching(): void {
    this.#reader?.cancel()
    this.#reader = null
  }
}
