import { JOB_NAMES_REMEMBERED_MAX, RUNS_RETAINED_MAX } from '../limits.ts'
import { type Learned, learn, type Run } from './run-stats.ts'

/** The last runs of each job name. Bounded in both: the oldest run of a name and the least recent name are dropped. */
export class Runs {
  /** Ordered by last run. */
  readonly #byName = new Map<string, readonly Run[]>()

  restore(runs: readonly Run[]): void {
    for (const run of [...runs].sort((a, b) => a.endedAtMs - b.endedAtMs)) this.add(run)
  }

  add(run: Run): void {
    for (const { name, job } of this.displacedBy(run)) {
      const left = (this.#byName.get(name) ?? []).filter((known) => known.job !== job)
      if (left.length === 0) this.#byName.delete(name)
      else this.#byName.set(name, left)
    }
    const before = this.#byName.get(run.name) ?? []
    this.#byName.delete(run.name)
    this.#byName.set(run.name, [...before, run])
  }

  /** The runs that a new run displaces. */
  displacedBy({ name }: Run): readonly Run[] {
    const known = this.#byName.get(name)
    if (known !== undefined) return known.slice(0, Math.max(0, known.length + 1 - RUNS_RETAINED_MAX))
    const [oldest] = this.#byName.values()
    return this.#byName.size < JOB_NAMES_REMEMBERED_MAX ? [] : (oldest ?? [])
  }

  learn(name: string): Learned | null {
    return learn(this.#byName.get(name) ?? [])
  }
}
