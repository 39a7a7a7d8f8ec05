import type { Planted } from './planted.ts'

/** Connections that carry nothing any more, and processes that stood still. */
export const livenessBugs: readonly Planted[] = [
  {
    name: 'silent-connection-trusted',
    what: 'A connection over which nothing comes any more stays in use (I20).',
    file: 'protocol/transport/caller-pool.ts',
    find: 'if (this.#callers.get(address) === caller) void this.#doubt(address, caller)',
    replace: '',
    profile: 'silent',
    seedsMax: 10,
  },
  {
    name: 'timer-before-input',
    what: 'After a standstill a deadline passes over an answer that had arrived.',
    file: 'protocol/runtime.ts',
    find: 'if (source.monotonicMs() < lateMs) return task()',
    replace: 'if (lateMs > 0) return task()',
    profile: 'frozen',
    seedsMax: 60,
  },
]
