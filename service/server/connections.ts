import { MayflyError } from '../../protocol/errors.ts'
import { CONNECTIONS_GREETING_MAX, CONNECTIONS_JOBS_MAX } from '../../protocol/limits.ts'

/** A connection, as far as it is one of many. */
export interface Counted {
  /** Nothing that it asked is under way, and nothing waits for its peer. */
  readonly isIdle: boolean
  /** How often it was looked at since it last asked something. */
  readonly idleLooks: number
  /** Ends it: its client connects again when it has something to ask. */
  end(): void
}

/** Of the planes, which always have room. */
const CLUSTER = ''

/**
 * The connections of a server process. Where there are too many the job that has most of them gives one up, one that asks nothing
 * before others; so no job keeps another one out, and each has as many as others leave.
 */
export class Connections {
  readonly #jobsMax: number
  readonly #greetingMax: number
  /** Those that have not said yet who they are, in the order of their coming. */
  readonly #greeting = new Set<Counted>()
  readonly #jobs = new Map<string, Set<Counted>>()
  #count = 0

  constructor({ jobsMax = CONNECTIONS_JOBS_MAX, greetingMax = CONNECTIONS_GREETING_MAX } = {}) {
    this.#jobsMax = jobsMax
    this.#greetingMax = greetingMax
  }

  /** Those of jobs. */
  get count(): number {
    return this.#count
  }

  /** One has come. Of too many that do not say who they are, the oldest ends. */
  accept(connection: Counted): void {
    this.#greeting.add(connection)
    if (this.#greeting.size <= this.#greetingMax) return
    const [oldest] = this.#greeting
    if (oldest === undefined) return
    this.#greeting.delete(oldest)
    oldest.end()
  }

  /** It has said whose it is. Throws `UNAVAILABLE` where its own job has most of too many, and all of those are in use. */
  enter(connection: Counted, job: string): void {
    this.#greeting.delete(connection)
    if (job === CLUSTER) return
    if (this.#count >= this.#jobsMax) this.#makeRoom(job)
    const own = this.#jobs.get(job)
    if (own === undefined) this.#jobs.set(job, new Set([connection]))
    else own.add(connection)
    this.#count++
  }

  leave(connection: Counted, job: string): void {
    this.#greeting.delete(connection)
    const own = this.#jobs.get(job)
    if (own?.delete(connection) !== true) return
    this.#count--
    if (own.size === 0) this.#jobs.delete(job)
  }

  #makeRoom(newcomer: string): void {
    let largest = newcomer
    for (const [job, connections] of this.#jobs)
      if (connections.size > (this.#jobs.get(largest)?.size ?? 0)) largest = job
    const victim = longestIdle(this.#jobs.get(largest) ?? [], largest !== newcomer)
    if (victim === null) {
      throw new MayflyError(
        'UNAVAILABLE',
        `The job has ${this.#jobs.get(largest)?.size} connections to this server, all of them in use, and there is room for no more`,
      )
    }
    this.leave(victim, largest)
    victim.end()
  }
}

/** One that is in use only where it `mayBeInUse`. */
function longestIdle(connections: Iterable<Counted>, mayBeInUse: boolean): Counted | null {
  let found: Counted | null = null
  for (const connection of connections) {
    if (!connection.isIdle && !mayBeInUse) continue
    if (found === null || rankOf(connection) > rankOf(found)) found = connection
  }
  return found
}

function rankOf({ isIdle, idleLooks }: Counted): number {
  return isIdle ? 1 + idleLooks : 0
}
