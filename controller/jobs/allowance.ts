import { MayflyError } from '../../protocol/errors.ts'

/**
 * Places that API keys share. One key has up to `ownerMax`; once all are taken, a key that has less than its fair share of them
 * gets one all the same, so that nobody locks another out. So there are fewer than twice `max`.
 */
export class Allowance {
  readonly #what: string
  readonly #max: number
  readonly #ownerMax: number
  readonly #taken = new Map<string, number>()
  #total = 0

  constructor(what: string, { max, ownerMax }: { readonly max: number; readonly ownerMax: number }) {
    this.#what = what
    this.#max = max
    this.#ownerMax = ownerMax
  }

  get total(): number {
    return this.#total
  }

  /** Throws `TOO_MANY_REQUESTS` where the key gets no place. */
  require(owner: string): void {
    const taken = this.#taken.get(owner) ?? 0
    const owners = this.#taken.size + (taken === 0 ? 1 : 0)
    if (taken < this.#ownerMax && (this.#total < this.#max || taken < this.#max / owners)) return
    throw new MayflyError(
      'TOO_MANY_REQUESTS',
      `API key '${owner}' has ${taken} of ${this.#total} ${this.#what}`,
    )
  }

  /** Takes a place; gives what lets go of it. Throws `TOO_MANY_REQUESTS`. */
  enter(owner: string): () => void {
    this.require(owner)
    this.#total++
    this.#taken.set(owner, (this.#taken.get(owner) ?? 0) + 1)
    return () => {
      const left = (this.#taken.get(owner) ?? 1) - 1
      if (left === 0) this.#taken.delete(owner)
      else this.#taken.set(owner, left)
      this.#total--
    }
  }
}
