/** Runs tasks of one name one after another, in the order in which they came; other names do not wait. */
export class Serial {
  readonly #tails = new Map<string, Promise<unknown>>()

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
