import { copyFileSync, rmSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { type Clock, repeat, type Timer } from '../../protocol/runtime.ts'

/**
 * A larger log is copied to `NAME.log.1`, replacing the previous copy, and truncated: at most twice this plus what is written between two
 * checks.
 */
export const LOG_BYTES_MAX = 16 * 2 ** 20
/** Interval of the checks. Each message is rate-limited, so little is written in between. */
export const LOG_LOOK_MS = 10_000
/** Number of logs of failed storage nodes that are retained, newest first. */
export const FAILED_LOGS_MAX = 20

/**
 * The logs of the cluster's processes, bounded in size and number. Logs are opened for appending, so a process continues at the start of a
 * truncated file (logrotate's `copytruncate`). Lines written between copy and truncation are lost.
 */
export class LogFolder {
  readonly #dir: string
  readonly #clock: Clock
  readonly #open = new Set<string>()
  /** Names of nodes that failed, oldest first. */
  readonly #failed: string[] = []
  #look: Timer | null = null

  constructor(dir: string, clock: Clock) {
    this.#dir = dir
    this.#clock = clock
  }

  watch(): void {
    this.#look = repeat(this.#clock, LOG_LOOK_MS, () => this.#rotate())
  }

  stop(): void {
    this.#look?.cancel()
    this.#look = null
  }

  /** The path of the log of a process that starts. */
  open(name: string): string {
    this.#open.add(name)
    return this.#path(name)
  }

  /** Called when a node's process has exited; its log is retained if it failed. */
  ended(name: string, { failed }: { failed: boolean }): void {
    this.#open.delete(name)
    if (!failed) return this.#remove(name)
    this.#failed.push(name)
    while (this.#failed.length > FAILED_LOGS_MAX) this.#remove(this.#failed.shift() as string)
  }

  #rotate(): void {
    for (const name of this.#open) {
      const path = this.#path(name)
      const bytes = statSync(path, { throwIfNoEntry: false })?.size ?? 0
      if (bytes <= LOG_BYTES_MAX) continue
      copyFileSync(path, `${path}.1`)
      truncateSync(path)
    }
  }

  #remove(name: string): void {
    for (const path of [this.#path(name), `${this.#path(name)}.1`]) rmSync(path, { force: true })
  }

  #path(name: string): string {
    return join(this.#dir, `${name}.log`)
  }
}
