/** How many entries of a slot a handoff has announced and not yet brought, and who waits until there are none. */
export class PendingEntries {
  #remotes = 0
  #tasks: (() => void)[] | null = null

  get isOver(): boolean {
    return this.#remotes === 0
  }

  whenOver(task: () => void): void {
    this.#tasks ??= []
    this.#tasks.push(task)
  }

  announced(): void {
    this.#remotes++
  }

  /** One of them is here, or will never be. */
  resolved(): void {
    this.#remotes--
    if (this.#remotes > 0) return
    const tasks = this.#tasks
    this.#tasks = null
    for (const task of tasks ?? []) task()
  }
}
