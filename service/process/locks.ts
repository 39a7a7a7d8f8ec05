/** A mutex per name: tasks of one name run one after another, in FIFO order; other names do not wait. */
export class KeyedMutex {
  readonly #tails = new Map<string, Promise<unknown>>()

  /** Whether a task of the name runs or waits. */
  isLocked(name: string): boolean {
    return this.#tails.has(name)
  }

  /** Runs `task` after all earlier tasks of the name, whether they succeeded or not. */
  run<Result>(name: string, task: () => Promise<Result>): Promise<Result> {
    const before = this.#tails.get(name) ?? Promise.resolve()
    const result = before.then(task, task)
    const tail = result
      .catch(() => undefined)
      .then(() => {
        if (this.#tails.get(name) === tail) this.#tails.delete(name)
      })
    this.#tails.set(name, tail)
    return result
  }
}

/** A weighted FIFO semaphore: over bytes in flight, or, with tasks of weight 1, over their number. */
export class Semaphore {
  readonly #max: number
  #held = 0
  readonly #waiting: { readonly weight: number; readonly begin: () => void }[] = []

  constructor(max: number) {
    this.#max = max
  }

  /** Runs `task` when there is room for its weight. One above the bound runs alone. */
  async run<Result>(weight: number, task: () => Promise<Result>): Promise<Result> {
    if (!this.#hasRoom(weight) || this.#waiting.length > 0)
      await new Promise<void>((begin) => this.#waiting.push({ weight, begin }))
    else this.#held += weight
    try {
      return await task()
    } finally {
      this.#held -= weight
      this.#beginNext()
    }
  }

  #hasRoom(weight: number): boolean {
    return this.#held === 0 || this.#held + weight <= this.#max
  }

  #beginNext(): void {
    for (;;) {
      const next = this.#waiting[0]
      if (next === undefined || !this.#hasRoom(next.weight)) return
      this.#waiting.shift()
      this.#held += next.weight
      next.begin()
    }
  }
}
