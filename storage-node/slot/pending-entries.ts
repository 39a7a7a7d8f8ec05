/**
 * Counts entries that a handoff has announced and whose bytes have not arrived, and notifies when there are
 * none.
 */
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

  /** The bytes of an entry have arrived, or never will. */
  resolved(): void {
    this.#count--
    if (this.#count > 0) return
    const tasks = this.#tasks
    this.#tasks = null
    for (const task of tasks ?? []) task()
  }
}
