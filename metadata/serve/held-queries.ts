import type { MayflyError } from '../../protocol/errors.ts'
import { PLACEMENT_HOLD_MS, QUESTIONS_MAX } from '../../protocol/limits.ts'
import type { Placement } from '../../protocol/model/placement.ts'
import type { Clock, Timer } from '../../protocol/runtime.ts'

/** What is asked: a placement with an epoch above `known`, in which nothing is under way about `slot`. */
export interface HeldQuery {
  readonly known: number
  /** A slot that the job does not have stands for any. */
  readonly slot: number
}

/** What there is to answer with. Throws `JOB_ENDED`. */
export interface Answers {
  placement(): Placement
  satisfies(question: HeldQuery): boolean
}

interface Held extends HeldQuery {
  readonly settle: () => void
  readonly end: (error: Error) => void
}

/**
 * Questions for a placement that wait for a change under way: a client that met a node which does not own a slot
 * any more asks once and is answered when there is an answer, instead of polling.
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
        end: (error) => {
          leave()
          reject(error)
        },
      }
      held.add(entry)
      timer = this.#clock.after(PLACEMENT_HOLD_MS, entry.settle)
    })
  }

  /** Something has changed: answers the questions that it satisfies. */
  review(job: string, answers: Answers): void {
    for (const entry of [...(this.#held.get(job) ?? [])]) if (answers.satisfies(entry)) entry.settle()
  }

  /** Nothing is answered here about the job any more. */
  end(job: string, error: MayflyError): void {
    for (const entry of [...(this.#held.get(job) ?? [])]) entry.end(error)
  }
}
