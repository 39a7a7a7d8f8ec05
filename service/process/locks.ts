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
