import type { SeededRandom } from '../world/random.ts'

/** A fault of the stores behind the nodes: S3, or the disk of the folder. */
export type Weather = 'refuses' | 'slow' | 'losesAnswers'

/**
 * The result of one request:
 * - `fails`: it is not carried out, and the answer says so.
 * - `unsent`: no connection is established.
 * - `hidden`: it is carried out and answered with an error.
 * - `closed`: the connection closes without an answer; the request was carried out before that, or never is.
 * - `silent`: there is no answer; the request is carried out later, or never.
 */
export type Verdict = 'fine' | 'fails' | 'unsent' | 'hidden' | 'closed' | 'silent'

/** Longer than a node's lease, and than any call waits for its answer (`S3_CALL_MS_MAX` of the small world). */
const SLOW_MS_MAX = 7_000

/** The state of a run's stores: healthy except during faults. All processes see the same state. */
export class BackendFaults {
  readonly #now = new Map<Weather, number>()

  /** Lets each request fail with probability `share` until the returned function is called. */
  begin(weather: Weather, share: number): () => void {
    this.#now.set(weather, share)
    return () => {
      if (this.#now.get(weather) === share) this.#now.delete(weather)
    }
  }

  verdict(random: SeededRandom): Verdict {
    if (random.chance(this.#shareOf('refuses'))) return random.chance(0.8) ? 'fails' : 'unsent'
    if (random.chance(this.#shareOf('losesAnswers'))) return random.pick(['hidden', 'closed', 'silent'])
    return 'fine'
  }

  /** Duration of a request that usually takes at most `msMax`. */
  delayMs(random: SeededRandom, msMax: number): number {
    const isSlow = random.chance(this.#shareOf('slow'))
    return isSlow ? random.between(0, SLOW_MS_MAX) : random.fraction() * msMax
  }

  #shareOf(weather: Weather): number {
    return this.#now.get(weather) ?? 0
  }
}
