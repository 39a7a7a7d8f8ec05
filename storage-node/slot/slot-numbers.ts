const noNumbers = new Uint32Array(0)

/** A number for each slot of a job. While all of them are the same, as those of most jobs are, they take no memory. */
export class SlotNumbers {
  readonly #slots: number
  #same = 0
  #each = noNumbers

  constructor(slots: number) {
    this.#slots = slots
  }

  get(slot: number): number {
    return this.#each.length === 0 ? this.#same : (this.#each[slot] ?? 0)
  }

  set(slot: number, number: number): void {
    if (this.#each.length === 0) {
      if (number === this.#same) return
      this.#each = new Uint32Array(this.#slots).fill(this.#same)
    }
    this.#each[slot] = number
  }

  /** Gives the memory back, if all of them are the same by now. */
  compact(): void {
    const each = this.#each
    const [first] = each
    if (first === undefined) return
    for (let slot = 1; slot < each.length; slot++) if (each[slot] !== first) return
    this.#same = first
    this.#each = noNumbers
  }
}
