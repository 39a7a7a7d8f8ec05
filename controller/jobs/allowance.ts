import { MayflyError } from '../../protocol/errors.ts'

/**
 * Slots shared by API keys. A key may take up to `ownerMax`. When all `max` are taken, a key below its fair share still gets one, so no key
 * can lock out another. The total stays below twice `max`.
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

  /** Throws `TOO_MANY_REQUESTS` if the key gets no slot. */
  require(owner: string): void {
    const taken = this.#taken.get(owner) ?? 0
    const owners = this.#taken.size + (taken === 0 ? 1 : 0)
    if (taken < this.#ownerMax && (this.#total < this.#max || taken < this.#max / owners)) return
    throw new MayflyError(
      'TOO_MANY_REQUESTS',
      `API key '${owner}' has ${taken} of ${this.#total} ${this.#what}`,
    )
  }

  /** Takes a slot; returns the function that releases it. Throws `TOO_MANY_REQUESTS`. */
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
