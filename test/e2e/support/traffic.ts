import { setTimeout as sleep } from 'node:timers/promises'
import type { Job } from '../../../client/job.ts'
import type { SeededRandom } from '../../simulation/world/random.ts'
import { type Call, History } from './history.ts'
import { numberOf, objectOf, RECORD_BYTES, WAIT_SECONDS } from './values.ts'

const DEADLINE_MS = 4_000
const REGISTERS = 6

interface TrafficOptions {
  /** Each client is one function with connections of its own. */
  readonly clients: readonly Job[]
  /** Calls that each client has under way. */
  readonly lanes: number
  readonly random: SeededRandom
  /** Pause between two calls of a lane. */
  readonly pauseMs: number
}

/**
 * Functions that put, get, wait, consume, append, list and swap until they are stopped. Every register and every log has one writer, whose numbers rise; all
 * other keys are shared.
 */
export class Traffic {
  readonly history = new History()
  readonly #options: TrafficOptions
  readonly #lanes: Promise<void>[]
  readonly #numbers = new Map<string, number>()
  readonly #queued: string[] = []
  #running = true

  constructor(options: TrafficOptions) {
    this.#options = options
    this.#lanes = options.clients.flatMap((job, client) =>
      Array.from({ length: options.lanes }, (_, lane) => {
        const name = `${client}.${lane}`
        return this.#run({ job, name, random: options.random.fork(name) })
      }),
    )
  }

  /** Resolves when every call has ended. */
  async stop(): Promise<History> {
    this.#running = false
    await Promise.all(this.#lanes)
    return this.history
  }

  /** Puts and gets every register once more after all faults have ended. */
  async checkAll(): Promise<History> {
    const [job] = this.#options.clients
    if (job === undefined) throw new Error('there is no client')
    const after = new History()
    for (const key of this.#registers()) {
      const number = this.#next(key)
      const put = await this.#put({ job, history: after }, key, number)
      if (put.code === 'ok') await this.#get({ job, history: after }, key)
    }
    return after
  }

  async #run(lane: Lane): Promise<void> {
    while (this.#running) {
      await this.#one(lane)
      await sleep(this.#options.pauseMs * lane.random.fraction() * 2)
    }
  }

  async #one(lane: Lane): Promise<unknown> {
    const { random, name, job } = lane
    const at = { job, history: this.history }
    const operation = random.weighted([
      ['put', 30],
      ['get', 40],
      ['queue', 8],
      ['consume', 10],
      ['wait', 3],
      ['append', 8],
      ['list', 2],
      ['swap', 8],
      ['claim', 4],
    ] as const)
    switch (operation) {
      case 'put': {
        const key = `r/${name}/${random.below(REGISTERS)}`
        return await this.#put(at, key, this.#next(key))
      }
      case 'get':
        return await this.#get(at, random.pick(this.#registers()))
      case 'queue':
        return await this.#enqueue(at, `q/${name}/${this.#next(`q/${name}`)}`)
      case 'consume':
        return this.#queued.length > 0 && (await this.#consume(at, random.pick(this.#queued)))
      case 'wait':
        return await this.#wait(at, `w/${name}/${this.#next(`w/${name}`)}`, random)
      case 'append':
        return await this.#append(at, `a/${name}`)
      case 'list':
        return await this.#list(at)
      case 'swap':
        return await this.#swap(at, `s/${random.below(4)}`)
      case 'claim':
        return await this.#claim(at, `c/${random.below(2_000)}`)
    }
  }

  #put({ job, history }: At, key: string, number: number): Promise<Call> {
    return history.record({ kind: 'put', key, number, boundMs: DEADLINE_MS }, async () => {
      await job.put(key, objectOf(key, number), { deadlineMs: DEADLINE_MS })
      return {}
    })
  }

  #get({ job, history }: At, key: string): Promise<Call> {
    return history.record({ kind: 'get', key, boundMs: DEADLINE_MS }, async () =>
      read(key, await job.get(key, { deadlineMs: DEADLINE_MS })),
    )
  }

  async #enqueue(at: At, key: string): Promise<void> {
    this.#queued.push(key)
    if (this.#queued.length > 50) this.#queued.shift()
    await this.#put(at, key, 1)
  }

  #consume({ job, history }: At, key: string): Promise<Call> {
    return history.record({ kind: 'consume', key, boundMs: DEADLINE_MS }, async () =>
      read(key, await job.get(key, { consume: true, deadlineMs: DEADLINE_MS })),
    )
  }

  /** A consumer that waits before its producer puts. */
  async #wait(at: At, key: string, random: SeededRandom): Promise<void> {
    const { job, history } = at
    const boundMs = DEADLINE_MS + WAIT_SECONDS * 1000
    const options = { waitSeconds: WAIT_SECONDS, deadlineMs: DEADLINE_MS }
    const waiting = history.record({ kind: 'wait', key, boundMs }, async () =>
      read(key, await job.get(key, options)),
    )
    await sleep(random.between(0, 500))
    await this.#put(at, key, 1)
    await waiting
  }

  #append({ job, history }: At, key: string): Promise<Call> {
    const record = Buffer.alloc(RECORD_BYTES, `${this.#next(key)}.`)
    return history.record({ kind: 'append', key, boundMs: DEADLINE_MS }, async () => ({
      number: await job.append(key, record, { deadlineMs: DEADLINE_MS }),
    }))
  }

  /** Lists the registers that exist from early on and are never deleted. */
  #list({ job, history }: At): Promise<Call> {
    return history.record({ kind: 'list', key: 'r/', boundMs: 4 * DEADLINE_MS }, async () => {
      const keys: string[] = []
      for await (const { key } of job.list({ prefix: 'r/', deadlineMs: DEADLINE_MS })) keys.push(key)
      return { keys }
    })
  }

  /** Replaces a value if its version is still the one that was read; creates one if there is none. */
  #swap({ job, history }: At, key: string): Promise<Call> {
    return history.record({ kind: 'swap', key, boundMs: 2 * DEADLINE_MS }, async () => {
      const before = await job.stat(key, { deadlineMs: DEADLINE_MS }).catch((error: { code?: string }) => {
        if (error.code === 'OBJECT_LOST') return null
        throw error
      })
      const condition = before === null ? { ifAbsent: true } : { ifVersion: before.version }
      const { version } = await job.put(key, key, { ...condition, deadlineMs: DEADLINE_MS })
      return { number: version, base: before?.version ?? 0 }
    })
  }

  #claim({ job, history }: At, key: string): Promise<Call> {
    return history.record({ kind: 'claim', key, boundMs: DEADLINE_MS }, async () => {
      await job.put(key, key, { ifAbsent: true, deadlineMs: DEADLINE_MS })
      return {}
    })
  }

  #registers(): string[] {
    const { clients, lanes } = this.#options
    return clients.flatMap((_, client) =>
      Array.from({ length: lanes * REGISTERS }, (_, index) => {
        return `r/${client}.${Math.floor(index / REGISTERS)}/${index % REGISTERS}`
      }),
    )
  }

  #next(name: string): number {
    const number = (this.#numbers.get(name) ?? 0) + 1
    this.#numbers.set(name, number)
    return number
  }
}

interface Lane {
  readonly job: Job
  readonly name: string
  readonly random: SeededRandom
}

interface At {
  readonly job: Job
  readonly history: History
}

function read(key: string, bytes: Buffer): { number: number } | { code: 'WRONG_BYTES' } {
  const number = numberOf(key, bytes)
  return number === null ? { code: 'WRONG_BYTES' } : { number }
}
