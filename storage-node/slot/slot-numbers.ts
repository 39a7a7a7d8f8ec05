const noNumbers = new Uint32Array(0)

/** One number per slot of a job. While all are equal, as for most jobs, they take no memory. */
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

  /** Frees the memory if all numbers are equal again. */
  compact(): void {
    const each = this.#each
    const [first] = each
    if (first === undefined) return
    for (let slot = 1; slot < each.length; slot++) if (each[slot] !== first) return
    this.#same = first
    this.#each = noNumbers
  }
}
