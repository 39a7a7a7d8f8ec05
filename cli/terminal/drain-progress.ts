import { DRAIN_STALL_MS_MAX } from '../../protocol/limits.ts'
import { bar } from './progress.ts'
import { count, formatBytes } from './table.ts'

/** What a draining node still holds. */
export interface Left {
  readonly jobs: number
  readonly objects: number
  readonly usedBytes: number
}

/** Progress of a drain, and whether it still advances. Times are milliseconds of one clock. */
export class DrainProgress {
  readonly #node: string
  #left: Left | null = null
  /** The maximum that the node held; some of it may be written during the drain. */
  #bytesMax = 0
  /** The smallest amount so far, and when it was reached. */
  #least: Left = { jobs: Infinity, objects: Infinity, usedBytes: Infinity }
  #movedMs: number

  constructor(node: string, nowMs: number) {
    this.#node = node
    this.#movedMs = nowMs
  }

  /** Records what is left now. True if it has changed. */
  note(left: Left, nowMs: number): boolean {
    const changed = JSON.stringify(left) !== JSON.stringify(this.#left)
    this.#left = left
    this.#bytesMax = Math.max(this.#bytesMax, left.usedBytes)
    const { jobs, objects, usedBytes } = this.#least
    if (left.jobs < jobs || left.objects < objects || left.usedBytes < usedBytes) {
      this.#movedMs = nowMs
      this.#least = {
        jobs: Math.min(jobs, left.jobs),
        objects: Math.min(objects, left.objects),
        usedBytes: Math.min(usedBytes, left.usedBytes),
      }
    }
    return changed
  }

  /** True if the node has not become emptier for `DRAIN_STALL_MS_MAX`. */
  isStalled(nowMs: number): boolean {
    return nowMs - this.#movedMs > DRAIN_STALL_MS_MAX
  }

  /** `n-… drains: 1 job, 40 objects and 2.5 MiB are left`. */
  line(): string {
    return `${this.#node} drains: ${this.#what()}`
  }

  /** The same line after a progress bar, for redrawing. */
  bar(): string {
    const { usedBytes } = this.#left ?? { usedBytes: this.#bytesMax }
    const done = this.#bytesMax === 0 ? 0 : 1 - usedBytes / this.#bytesMax
    return `${this.#node} ${bar(done)}  ${this.#what()}`
  }

  #what(): string {
    if (this.#left === null) return 'it has not said yet what is left'
    const { jobs, objects, usedBytes } = this.#left
    return `${count(jobs, 'job')}, ${count(objects, 'object')} and ${formatBytes(usedBytes)} are left`
  }
}
