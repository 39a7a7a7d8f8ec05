import { MayflyError } from '../protocol/errors.ts'
import { PLACEMENT_HOLD_MS, QUESTIONS_MAX } from '../protocol/limits.ts'
import { ownerOf, type Placement } from '../protocol/placement.ts'
import type { Clock, Timer } from '../protocol/runtime.ts'

interface Question {
  readonly known: number
  /** A slot that must have an owner; one that the job does not have stands for any. */
  readonly slot: number
}

interface Held extends Question {
  readonly resolve: (placement: Placement) => void
  readonly reject: (error: Error) => void
  readonly timer: Timer
}

/**
 * Questions for a placement that wait for a change under way: a client that met a node which does not own a slot
 * any more asks once and is answered when there is an answer, instead of polling.
 */
export class Questions {
  readonly #clock: Clock
  readonly #held = new Map<string, Set<Held>>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** `current` gives the placement of this moment, or throws. */
  async ask(job: string, question: Question, current: () => Placement): Promise<Placement> {
    const placement = current()
    if (satisfies(placement, question)) return placement
    const held = this.#held.get(job) ?? new Set()
    if (held.size >= QUESTIONS_MAX) return placement
    this.#held.set(job, held)
    return await new Promise((resolve, reject) => {
      const entry: Held = {
        ...question,
        resolve,
        reject,
        timer: this.#clock.after(PLACEMENT_HOLD_MS, () => {
          held.delete(entry)
          try {
            resolve(current())
          } catch (error) {
            reject(error as Error)
          }
        }),
      }
      held.add(entry)
    })
  }

  /** A placement was published. */
  answer(job: string, placement: Placement): void {
    const held = this.#held.get(job)
    for (const entry of held ?? []) {
      if (!satisfies(placement, entry)) continue
      held?.delete(entry)
      entry.timer.cancel()
      entry.resolve(placement)
    }
    if (held?.size === 0) this.#held.delete(job)
  }

  end(job: string): void {
    for (const { timer, reject } of this.#held.get(job) ?? []) {
      timer.cancel()
      reject(new MayflyError('JOB_ENDED', `Job ${job} has ended`))
    }
    this.#held.delete(job)
  }
}

function satisfies(placement: Placement, { known, slot }: Question): boolean {
  if (placement.epoch <= known) return false
  return slot >= placement.owners.length || ownerOf(placement, slot) !== null
}
