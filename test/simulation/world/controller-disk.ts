import { SqliteStore } from '../../../controller/store/sqlite-store.ts'
import type { Store } from '../../../controller/store/store.ts'
import { MayflyError } from '../../../protocol/errors.ts'
import type { Host } from './host.ts'
import type { SeededRandom } from './random.ts'

/**
 * The controller's disk, which survives its processes: the published store on a database in memory. It writes before the call returns, so a crash comes
 * before a write, or after it and before the process continues.
 */
export class ControllerDisk {
  /** While the disk is full or its device fails, nothing is written and every write is rejected. */
  failing = false
  readonly #store = new SqliteStore(':memory:', (commit) => commit())

  /** The store, as a process on `host` opens it. */
  of(host: Host, random: SeededRandom): Store {
    // One write after the other, as in the published store: none overtakes a slow one.
    let freeMs = 0
    const later = (): Promise<void> =>
      new Promise((resolve) => {
        const nowMs = host.clock.monotonicMs()
        const tookMs = random.chance(0.03) ? random.between(0, 300) : random.between(0, 2)
        freeMs = Math.max(freeMs, nowMs) + tookMs
        host.after(freeMs - nowMs, resolve)
      })
    return new Proxy(this.#store as Store, {
      get:
        (store, name: keyof Store) =>
        async (...args: unknown[]) => {
          // The contents of the disk survive the process.
          if (name === 'close') return
          if (this.failing && name !== 'load') {
            await later()
            throw new MayflyError('UNAVAILABLE', "The disk is full that holds the controller's state")
          }
          const done = (store[name] as (...args: unknown[]) => Promise<unknown>).apply(store, args)
          await later()
          return await done
        },
    })
  }

  /** Everything that is stored. */
  read(): ReturnType<Store['load']> {
    return this.#store.load()
  }

  /** Called after the run. */
  close(): Promise<void> {
    return this.#store.close()
  }
}
