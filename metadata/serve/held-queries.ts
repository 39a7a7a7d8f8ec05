import type { MayflyError } from '../../protocol/errors.ts'
import { PLACEMENT_HOLD_MS, QUESTIONS_MAX } from '../../protocol/limits.ts'
import type { Placement } from '../../protocol/model/placement.ts'
import type { Clock, Timer } from '../../protocol/runtime.ts'

/** Asks for a placement with an epoch above `known` in which no change of `slot` is under way. */
export interface HeldQuery {
  readonly known: number
  /** A slot that the job does not have means any slot. */
  readonly slot: number
}

/** The source of answers. Throws `JOB_ENDED`. */
export interface Answers {
  placement(): Placement
  satisfies(question: HeldQuery): boolean
}

interface Held extends HeldQuery {
  readonly settle: () => void
  readonly rejectAll: (error: Error) => void
}

/**
 * Placement queries that wait for a change under way. A client that was answered `STALE_PLACEMENT` asks once and is answered after the
 * change, instead of polling.
 */
export class HeldQueries {
  readonly #clock: Clock
  readonly #held = new Map<string, Set<Held>>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  async ask(job: string, question: HeldQuery, answers: Answers): Promise<Placement> {
    const held = this.#held.get(job) ?? new Set()
    if (answers.satisfies(question) || held.size >= QUESTIONS_MAX) return answers.placement()
    this.#held.set(job, held)
    return await new Promise((resolve, reject) => {
      let timer: Timer | null = null
      const leave = (): void => {
        timer?.cancel()
        held.delete(entry)
        if (held.size === 0 && this.#held.get(job) === held) this.#held.delete(job)
      }
      const entry: Held = {
        ...question,
        settle: () => {
          leave()
          try {
            resolve(answers.placement())
          } catch (error) {
            reject(error as Error)
          }
        },
        rejectAll: (error) => {
          leave()
          reject(error)
        },
      }
      held.add(entry)
      timer = this.#clock.after(PLACEMENT_HOLD_MS, entry.settle)
    })
  }

  /** Answers the queries that the changed placement satisfies. */
  answerSatisfied(job: string, answers: Answers): void {
    for (const entry of [...(this.#held.get(job) ?? [])]) if (answers.satisfies(entry)) entry.settle()
  }

  /** Rejects all queries of a job that this server no longer decides about; mostly there are none. */
  end(job: string, error: () => MayflyError): void {
    for (const entry of [...(this.#held.get(job) ?? [])]) entry.rejectAll(error())
  }
}
