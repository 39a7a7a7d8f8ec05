import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../../protocol/runtime.ts'
import type { Background } from '../../../service/process/background.ts'
import type { TierSpace, TierStore } from '../tier-store.ts'
import { Compactor } from './compactor.ts'
import { SegmentLog } from './segment-log.ts'

/** The SSD tier of one node: a folder with a folder per job. Removed when the node stops. */
export class SsdTier implements TierStore {
  readonly #dir: string
  readonly #compactor: Compactor
  readonly #logs = new Set<SegmentLog>()

  constructor(dir: string, deps: { clock: Clock; background: Background }) {
    this.#dir = dir
    this.#compactor = new Compactor(deps)
  }

  open(job: string): TierSpace {
    const log = new SegmentLog(join(this.#dir, job), {
      wasteful: (segment) => this.#compactor.add(log, segment),
      dropped: () => this.#logs.delete(log),
    })
    this.#logs.add(log)
    return log
  }

  /** Disk usage of its files. */
  get diskBytes(): number {
    let bytes = 0
    for (const log of this.#logs) bytes += log.diskBytes
    return bytes
  }

  async close(): Promise<void> {
    await this.#compactor.stop()
    await Promise.all([...this.#logs].map((log) => log.drop()))
    await rm(this.#dir, { recursive: true, force: true })
  }
}
