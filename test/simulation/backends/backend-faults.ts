import type { SeededRandom } from '../world/random.ts'

/** What is wrong with the stores behind the nodes: with S3, or with the disk of the folder. */
export type Weather = 'refuses' | 'slow' | 'losesAnswers'

/**
 * What becomes of one request:
 * - `fails`: it is not carried out, and says so.
 * - `unsent`: no connection comes to be.
 * - `hidden`: it is carried out, and is answered with an error.
 * - `closed`: the connection is closed without an answer; the request is carried out before that, or never.
 * - `silent`: nothing is answered; the request is carried out at some later time, or never.
 */
export type Verdict = 'fine' | 'fails' | 'unsent' | 'hidden' | 'closed' | 'silent'

/** Longer than a node's lease, and than any call waits for its answer (`S3_CALL_MS_MAX` of the small world). */
const SLOW_MS_MAX = 7_000

/** How the stores of a run do at the moment: well, but for the times of faults. All processes see the same. */
export class BackendFaults {
  readonly #now = new Map<Weather, number>()

  /** Lets requests go wrong, each as likely as `share` says, until it is undone. */
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

  /** How long a request is under way, that usually takes `msMax` at most. */
  delayMs(random: SeededRandom, msMax: number): number {
    const isSlow = random.chance(this.#shareOf('slow'))
    return isSlow ? random.between(0, SLOW_MS_MAX) : random.fraction() * msMax
  }

  #shareOf(weather: Weather): number {
    return this.#now.get(weather) ?? 0
  }
}
