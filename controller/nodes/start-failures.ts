import { backoffMs, type Runtime } from '../../protocol/runtime.ts'
import { CLASS_AVOIDED_MS, NODE_START_RETRY_MS_MAX, NODE_START_RETRY_MS_MIN } from '../limits.ts'

const bounds = { msMin: NODE_START_RETRY_MS_MIN, msMax: NODE_START_RETRY_MS_MAX }

/** A class whose last start failed. */
interface Failing {
  readonly atMs: number
  readonly reason: string
  /** Failures in a row; those of nodes that were started together count once. */
  readonly count: number
  readonly notBeforeMs: number
  /** The node that is tried after a back-off; null if none is. */
  readonly tried: string | null
}

/**
 * Classes of which a node could lately not be started. Others are preferred, where they serve. After a failure nodes of the class are
 * started one at a time, with back-off, until one serves.
 */
export class StartFailures {
  readonly #runtime: Runtime
  readonly #failing = new Map<string, Failing>()

  constructor(runtime: Runtime) {
    this.#runtime = runtime
  }

  /** False during the back-off of the class, and while a node is tried. */
  mayStart(className: string): boolean {
    const failing = this.#failing.get(className)
    if (failing === undefined) return true
    return failing.tried === null && this.#runtime.clock.monotonicMs() >= failing.notBeforeMs
  }

  /** No node of the class is started before this time. */
  notBeforeMs(className: string): number {
    return this.#failing.get(className)?.notBeforeMs ?? Number.NEGATIVE_INFINITY
  }

  started(className: string, node: string): void {
    const failing = this.#failing.get(className)
    if (failing !== undefined) this.#failing.set(className, { ...failing, tried: node })
  }

  failed(className: string, node: string, reason: string): void {
    const { clock, random } = this.#runtime
    const atMs = clock.monotonicMs()
    const failing = this.#failing.get(className)
    if (failing !== undefined && failing.tried !== node) {
      this.#failing.set(className, { ...failing, atMs, reason })
      return
    }
    const { count } = failing ?? { count: 0 }
    const notBeforeMs = atMs + backoffMs(count, bounds, random)
    this.#failing.set(className, { atMs, reason, count: count + 1, notBeforeMs, tried: null })
  }

  /** A node of the class has started. */
  succeeded(className: string): void {
    this.#failing.delete(className)
  }

  /** The node was told to end before it was known whether it starts. */
  stopped(className: string, node: string): void {
    const failing = this.#failing.get(className)
    if (failing?.tried === node) this.#failing.set(className, { ...failing, tried: null })
  }

  isAvoided(className: string): boolean {
    const { atMs = Number.NEGATIVE_INFINITY } = this.#failing.get(className) ?? {}
    return this.#runtime.clock.monotonicMs() - atMs < CLASS_AVOIDED_MS
  }

  /** Of the last failure; null if there is none. */
  reasonOf(className: string): string | null {
    return this.#failing.get(className)?.reason ?? null
  }
}
