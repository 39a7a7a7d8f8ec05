/** How many entries of a slot a handoff has announced and not yet brought, and who waits until there are none. */
export class PendingEntries {
  #count = 0
  #tasks: (() => void)[] | null = null

  get isEmpty(): boolean {
    return this.#count === 0
  }

  whenEmpty(task: () => void): void {
    this.#tasks ??= []
    this.#tasks.push(task)
  }

  added(): void {
    this.#count++
  }

  /** One of them is here, or will never be. */
  resolved(): void {
    this.#count--
    if (this.#count > 0) return
    const tasks = this.#tasks
    this.#tasks = null
    for (const task of tasks ?? []) task()
  }
}
