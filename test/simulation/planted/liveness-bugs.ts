import type { Planted } from './planted.ts'

/** Connections that stop carrying bytes, and processes that were frozen. */
export const livenessBugs: readonly Planted[] = [
  {
    name: 'silent-connection-trusted',
    what: 'A connection that no longer delivers bytes stays in use (I20).',
    file: 'protocol/transport/caller-pool.ts',
    find: 'if (this.#callers.get(address) === caller) void this.#doubt(address, caller)',
    replace: '',
    profile: 'silent',
    seedsMax: 10,
  },
  {
    name: 'timer-before-input',
    what: 'After a suspension a deadline expires before an answer that has arrived is read.',
    file: 'protocol/runtime.ts',
    find: 'source.timer(ms, () => {\n      source.afterInput(() => {',
    replace: 'source.timer(ms, () => {\n      Promise.resolve().then(() => {',
    profile: 'frozen',
    seedsMax: 60,
  },
  {
    name: 'wait-outlives-its-connection',
    what: 'A consume waits after its connection was closed, and takes the object that is put (I24).',
    file: 'service/server/requests-under-way.ts',
    find: 'for (const task of [...this.#parked.values()]) task(brokenOff())',
    replace: '',
    profile: 'bounds',
    seedsMax: 100,
  },
]
