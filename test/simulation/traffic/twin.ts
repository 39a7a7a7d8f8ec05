import type { Job } from '../../../client/job.ts'
import type { Cluster } from '../world/cluster.ts'
import type { Host } from '../world/host.ts'
import type { SeededRandom } from '../world/random.ts'
import type { Call, History } from './history.ts'
import { Mirror } from './mirror.ts'
import { openSimulated } from './open.ts'
import { perform } from './perform.ts'

/** A call that is under way in the memory of a snapshot. */
export interface Repeated {
  readonly original: Call
  readonly copy: Call
}

interface Shadow {
  readonly original: Call
  copy: Call | null
}

/**
 * A second process with the memory of a client. It does everything that the client does, without effect, until it is restored. From then on both continue, and
 * both have the calls that were under way.
 */
export class Twin {
  readonly host: Host
  readonly jobs = new Map<string, Job>()
  readonly mirror: Mirror
  readonly #cluster: Cluster
  readonly #shadows = new Set<Shadow>()

  /** `host` has the same clock and randomness as the client's. */
  constructor(cluster: Cluster, { original, host }: { original: Host; host: Host }) {
    this.#cluster = cluster
    this.host = host
    this.mirror = new Mirror(cluster.network.of(original).dial)
  }

  open(id: string, ticket: string): void {
    this.jobs.set(id, openSimulated(this.host, ticket, this.mirror.copy))
  }

  /** Makes the call that the client has just made. */
  begin(original: Call, signal?: AbortSignal): void {
    const { home, action, deadlineMs } = original
    const job = this.jobs.get(home.job)
    if (job === undefined) return
    const shadow: Shadow = { original, copy: null }
    this.#shadows.add(shadow)
    const end = (outcome: Call['outcome']): void => {
      this.#shadows.delete(shadow)
      if (shadow.copy === null) return
      shadow.copy.outcome = outcome
      shadow.copy.returnedMs = this.#cluster.timeline.nowMs
      shadow.copy.aborted = signal?.aborted === true
    }
    perform(job, { home, action, deadlineMs, ...(signal ? { signal } : {}) }).then(end, () =>
      end({ kind: 'none' }),
    )
  }

  /** Freezes its memory in the state of this moment. */
  snapshot(): void {
    this.mirror.stop()
    this.host.pause()
  }

  /** Lets it continue; returns the calls with which it continues. */
  restore(history: History, random: SeededRandom): Repeated[] {
    const isSilent = random.chance(0.3)
    this.host.resume()
    this.host.run(() => this.mirror.restore(this.#cluster.network.of(this.host).dial, () => isSilent))
    return [...this.#shadows].map((shadow) => {
      const { home, action, deadlineMs, calledMs } = shadow.original
      shadow.copy = history.begin({ client: this.host.id, home, action, deadlineMs, calledMs })
      return { original: shadow.original, copy: shadow.copy }
    })
  }
}
