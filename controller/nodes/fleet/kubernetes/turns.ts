import { API_CALLS_MAX } from './limits.ts'

/** Bounds calls under way; others wait in order. */
export class Turns {
  readonly #waiting: (() => void)[] = []
  #underWay = 0

  async run<T>(call: () => Promise<T>): Promise<T> {
    if (this.#underWay >= API_CALLS_MAX) await new Promise<void>((go) => void this.#waiting.push(go))
    else this.#underWay++
    try {
      return await call()
    } finally {
      const next = this.#waiting.shift()
      // The next one has the place of this one.
      if (next === undefined) this.#underWay--
      else next()
    }
  }
}
