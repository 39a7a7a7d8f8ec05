import { copyFileSync, rmSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { type Clock, repeat, type Timer } from '../../protocol/runtime.ts'

/** A log that is larger is copied to `NAME.log.1`, in the place of the one before, and emptied: at most twice this and what comes in between two looks. */
export const LOG_BYTES_MAX = 16 * 2 ** 20
/** How often sizes are looked at. Each message is logged at a bounded rate, so little comes in between. */
export const LOG_LOOK_MS = 10_000
/** Logs of storage nodes that failed: of so many of the newest, for whoever looks for the cause. */
export const FAILED_LOGS_MAX = 20

/**
 * The logs of the cluster's processes, bounded in size and number. A process has its log open for appending, so
 * it goes on at the beginning of the emptied file (logrotate's `copytruncate`); lines that it writes between copy and
 * truncation are lost.
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

  /** A node's process has ended: its log stays if it failed. */
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
