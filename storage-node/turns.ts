/** Lets what has the same name happen one after the other. */
export class Turns {
  readonly #last = new Map<string, Promise<unknown>>()

  /** Somebody has the turn of this name, or waits for it. */
  isTaken(name: string): boolean {
    return this.#last.has(name)
  }

  /** Runs `task` after all that took a turn of this name before, however that ended. */
  async take<Result>(name: string, task: () => Promise<Result>): Promise<Result> {
    const before = this.#last.get(name)
    const running = (async () => {
      if (before !== undefined) await Promise.allSettled([before])
      return await task()
    })()
    this.#last.set(name, running)
    try {
      return await running
    } finally {
      if (this.#last.get(name) === running) this.#last.delete(name)
    }
  }
}
