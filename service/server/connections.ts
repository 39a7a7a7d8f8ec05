import { MayflyError } from '../../protocol/errors.ts'
import { CONNECTIONS_GREETING_MAX, CONNECTIONS_JOBS_MAX } from '../../protocol/limits.ts'
import { MemoryAccount, ServerMemory } from './memory-account.ts'

/** The part of a connection that the connection table uses. */
export interface Counted {
  /** No request of it is in progress, and no bytes wait for its peer. */
  readonly isIdle: boolean
  /** Idle checks since its last request. */
  readonly idleLooks: number
  /** Closes it; its client reconnects when it has a request. */
  end(): void
}

/** The planes, which always have room. */
const CLUSTER = ''

interface JobConnections {
  readonly all: Set<Counted>
  readonly memory: MemoryAccount
}

/**
 * The connections of a server process. Above the limit the job with the most of them loses one, preferably
 * idle. So no job can exclude another, and each may use what others leave.
 */
export class Connections {
  readonly #jobsMax: number
  readonly #greetingMax: number
  /** Connections without a hello, in order of arrival. */
  readonly #greeting = new Set<Counted>()
  readonly #jobs = new Map<string, JobConnections>()
  readonly #memory = new ServerMemory()
  readonly #planes = new MemoryAccount(new ServerMemory(), { isBounded: false })
  #count = 0

  constructor({ jobsMax = CONNECTIONS_JOBS_MAX, greetingMax = CONNECTIONS_GREETING_MAX } = {}) {
    this.#jobsMax = jobsMax
    this.#greetingMax = greetingMax
  }

  /** Of jobs. */
  get count(): number {
    return this.#count
  }

  /** A connection was accepted. Above the limit of those without a hello, the oldest is closed. */
  accept(connection: Counted): void {
    this.#greeting.add(connection)
    if (this.#greeting.size <= this.#greetingMax) return
    const [oldest] = this.#greeting
    if (oldest === undefined) return
    this.#greeting.delete(oldest)
    oldest.end()
  }

  /**
   * The hello has arrived. Returns the account of the job's memory. Throws `UNAVAILABLE` if the job itself has
   * the most connections, and all are in use.
   */
  enter(connection: Counted, job: string): MemoryAccount {
    this.#greeting.delete(connection)
    if (job === CLUSTER) return this.#planes
    if (this.#count >= this.#jobsMax) this.#makeRoom(job)
    const own = this.#jobs.get(job) ?? { all: new Set<Counted>(), memory: new MemoryAccount(this.#memory) }
    this.#jobs.set(job, own)
    own.all.add(connection)
    own.memory.share(own.all.size)
    this.#count++
    return own.memory
  }

  leave(connection: Counted, job: string): void {
    this.#greeting.delete(connection)
    const own = this.#jobs.get(job)
    if (own?.all.delete(connection) !== true) return
    own.memory.share(own.all.size)
    this.#count--
    if (own.all.size === 0) this.#jobs.delete(job)
  }

  #makeRoom(newcomer: string): void {
    let largest = newcomer
    for (const [job, { all }] of this.#jobs)
      if (all.size > (this.#jobs.get(largest)?.all.size ?? 0)) largest = job
    const victim = longestIdle(this.#jobs.get(largest)?.all ?? [], largest !== newcomer)
    if (victim === null) {
      throw new MayflyError(
        'UNAVAILABLE',
        `The job has ${this.#jobs.get(largest)?.all.size} connections to this server, all of them in use, and there is room for no more`,
      )
    }
    this.leave(victim, largest)
    victim.end()
  }
}

/** One in use only if it `mayBeInUse`. */
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
