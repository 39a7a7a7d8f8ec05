import type Database from 'better-sqlite3'
import { sqliteFailure } from './open-sqlite.ts'

interface Waiting {
  readonly write: () => void
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** Calls back once the present turn of the event loop has brought its writes. */
export type Defer = (commit: () => void) => void

/** The writes of one turn of the event loop in one transaction, in the order of the calls: a commit costs more than what it writes. */
export class GroupCommit {
  readonly #what: string
  readonly #defer: Defer
  readonly #transaction: Database.Transaction<(group: readonly Waiting[]) => void>
  #waiting: Waiting[] = []

  /** `what` as in `SqliteSchema`. */
  constructor(database: Database.Database, what: string, defer: Defer = setImmediate) {
    this.#what = what
    this.#defer = defer
    this.#transaction = database.transaction((group: readonly Waiting[]) => {
      for (const { write } of group) write()
    })
  }

  /** Resolves once the write is committed. Rejects with `UNAVAILABLE`. `write` is repeated if another one of its transaction fails. */
  run(write: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ write, resolve, reject })
      if (this.#waiting.length === 1) this.#defer(() => this.commit())
    })
  }

  /** Commits at once what waits. */
  commit(): void {
    const group = this.#waiting
    this.#waiting = []
    if (group.length === 0) return
    if (group.length === 1 || this.#failureOf(group) !== null) this.#commitEach(group)
    else for (const { resolve } of group) resolve()
  }

  /** A failed write fails those behind it, the last one first, as each was decided with what was decided before it. */
  #commitEach(group: readonly Waiting[]): void {
    for (const [index, each] of group.entries()) {
      const error = this.#failureOf([each])
      if (error === null) each.resolve()
      else {
        for (const behind of group.slice(index).reverse()) behind.reject(error)
        return
      }
    }
  }

  #failureOf(group: readonly Waiting[]): unknown {
    try {
      this.#transaction.immediate(group)
      return null
    } catch (cause) {
      return sqliteFailure(this.#what, cause)
    }
  }
}
