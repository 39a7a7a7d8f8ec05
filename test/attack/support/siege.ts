import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished } from 'vitest'
import { type Job, openJob } from '../../../client/job.ts'
import { metadataOperations } from '../../../protocol/operations/control-operations.ts'
import { placementOperations } from '../../../protocol/operations/plane-operations.ts'
import { type PlaneProcess, PlaneProcesses } from '../../fixture/plane-processes.ts'
import { Attacker } from './attacker.ts'

const MIB = 2 ** 20
const BYSTANDER_EVERY_MS = 5
const GETS_ALONE = 100
/** An object that the bystander has put before and gets repeatedly. */
const OBJECT = Buffer.alloc(1_024, 7)

/** What the bystander does all the time: gets an object, or asks metadata for its placement. */
export type Observed = 'get' | 'placement'

/** What the bystander observed. */
export interface Outcome {
  /** Latency of the bystander's calls before the attack, in ms. */
  readonly alone: { readonly p50: number; readonly p99: number }
  /** And during it. */
  readonly p50: number
  readonly p99: number
  readonly longest: number
  readonly gets: number
  /** Highest resident memory of the storage node, less that before the attack, in MiB. */
  readonly grownMib: number
  /** Resident memory of the node before the attack, in MiB. */
  readonly beforeMib: number
}

/** A metadata server and a storage node as separate processes, the job of a bystander, and an attacker with a ticket of another job. */
export class Siege {
  readonly planes: PlaneProcesses
  readonly metadata: PlaneProcess
  readonly node: PlaneProcess
  readonly attackersTicket: string
  /** A client of the attacker, to prepare an attack. */
  readonly attackersJob: Job
  readonly #bystander: Job
  readonly #bystandersTicket: string

  private constructor(parts: {
    planes: PlaneProcesses
    metadata: PlaneProcess
    node: PlaneProcess
    attackersTicket: string
    attackersJob: Job
    bystander: Job
    bystandersTicket: string
  }) {
    this.planes = parts.planes
    this.metadata = parts.metadata
    this.node = parts.node
    this.attackersTicket = parts.attackersTicket
    this.attackersJob = parts.attackersJob
    this.#bystander = parts.bystander
    this.#bystandersTicket = parts.bystandersTicket
  }

  static async lay({ ssdBytes = 0 } = {}): Promise<Siege> {
    const planes = await PlaneProcesses.start()
    const metadata = await planes.startMetadata()
    const node = await planes.startNode('n-1', {}, { ssdBytes })
    const open = async (job: string): Promise<{ ticket: string; client: Job }> => {
      const shares = [shareOn(node, ssdBytes / 2)]
      const request = { job, slots: 1024, readsPerThousand: null, shares }
      const placement = await planes.ask(metadata, placementOperations.jobCreate, { request })
      const ticket = planes.ticket(job, placement)
      const client = await openJob(ticket)
      onTestFinished(() => client.close())
      return { ticket, client }
    }
    const { client: bystander, ticket: bystandersTicket } = await open('j-bystander')
    const { ticket: attackersTicket, client: attackersJob } = await open('j-attacker')
    for (let i = 0; i < 100; i++) await bystander.put(`k-${i}`, OBJECT)
    return new Siege({ planes, metadata, node, attackersTicket, attackersJob, bystander, bystandersTicket })
  }

  /** Opens a connection of the attacker to the storage node. */
  connect(): Promise<Attacker> {
    return Attacker.connect(this.node.address, this.attackersTicket)
  }

  /** Moves the attacker's job to a new node. Resolves with the time in ms until the new node owns all of its slots. */
  async drainAttacker(): Promise<number> {
    const target = await this.planes.startNode('n-2')
    const beganMs = performance.now()
    const terms = { job: 'j-attacker', readsPerThousand: null, shares: [shareOn(target)] }
    await this.planes.ask(this.metadata, placementOperations.jobShares, { request: terms })
    const request = { job: 'j-attacker', known: 0, slot: 0 }
    for (;;) {
      const { nodes } = await this.planes.ask(this.metadata, metadataOperations.placement, { request })
      if (nodes.every(({ id }) => id === target.id)) return performance.now() - beganMs
      await sleep(20)
    }
  }

  /** Another client of the bystander connects, is served, and disconnects. */
  async bystanderComes(): Promise<void> {
    const client = await openJob(this.#bystandersTicket)
    expect(await client.get('k-0')).toEqual(OBJECT)
    await client.close()
  }

  /**
   * Runs the attack while the bystander reads. Asserts that the same processes serve afterwards, and that none of the bystander's objects is missing or wrong.
   */
  async endure(attack: () => Promise<void>, observed: Observed = 'get'): Promise<Outcome> {
    const observe = (number: number): Promise<number> => this.#observe(observed, number)
    const pids = [this.node.child.pid, this.metadata.child.pid]
    const beforeMib = this.residentMib()
    let most = beforeMib
    const alone: number[] = []
    while (alone.length < GETS_ALONE) alone.push(await observe(alone.length))
    let isOver = false
    const ms: number[] = []
    const attacking = attack().finally(() => {
      isOver = true
    })
    while (!isOver || ms.length < 20) {
      ms.push(await observe(ms.length))
      most = Math.max(most, this.residentMib())
    }
    await attacking
    await this.#bystander.put('after', 'value')
    expect(String(await this.#bystander.get('after'))).toBe('value')
    for (let i = 0; i < 100; i++) expect(await this.#bystander.get(`k-${i}`)).toEqual(OBJECT)
    expect([this.node.child.exitCode, this.metadata.child.exitCode]).toEqual([null, null])
    expect([this.node.child.pid, this.metadata.child.pid]).toEqual(pids)
    for (const plane of [this.node, this.metadata]) expect(errorsOf(plane)).toEqual([])
    return {
      alone: { p50: percentile(alone, 0.5), p99: percentile(alone, 0.99) },
      p50: percentile(ms, 0.5),
      p99: percentile(ms, 0.99),
      longest: percentile(ms, 1),
      gets: ms.length,
      beforeMib,
      grownMib: most - beforeMib,
    }
  }

  /** One call of the bystander, and a pause. Returns how long the call took, in ms. */
  async #observe(observed: Observed, number: number): Promise<number> {
    const beganMs = performance.now()
    if (observed === 'get') expect(await this.#bystander.get(`k-${number % 100}`)).toEqual(OBJECT)
    else await this.#askPlacement()
    const tookMs = performance.now() - beganMs
    await sleep(BYSTANDER_EVERY_MS)
    return tookMs
  }

  async #askPlacement(): Promise<void> {
    const request = { job: '', known: 0, slot: 0 }
    const of = { request, job: 'j-bystander' }
    const { nodes } = await this.planes.ask(this.metadata, metadataOperations.placement, of)
    expect(nodes.map(({ id }) => id)).toEqual([this.node.id])
  }

  /** Bytes that lie in the node's sockets, by the port of the peer: the node does not read them. */
  unreadBytes(): Map<number, number> {
    const nodePort = Number(this.node.address.split(':')[1])
    const unread = new Map<number, number>()
    for (const line of readFileSync(`/proc/${this.node.child.pid}/net/tcp`, 'utf8').split('\n').slice(1)) {
      const [, local = '', remote = '', , queues = ''] = line.trim().split(/\s+/)
      const portOf = (address: string): number => Number.parseInt(address.split(':')[1] ?? '', 16)
      if (portOf(local) === nodePort)
        unread.set(portOf(remote), Number.parseInt(queues.split(':')[1] ?? '', 16))
    }
    return unread
  }

  /** Resident memory of the storage node, in MiB. */
  residentMib(): number {
    const status = readFileSync(`/proc/${this.node.child.pid}/status`, 'utf8')
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024
  }
}

function shareOn({ id, address }: PlaneProcess, ssdBytes = 0) {
  const bytes = { ramBytes: 100 * MIB, ssdBytes, s3Bytes: 0 }
  return { node: id, address, weight: 1, ...bytes, bytesPerSecond: 4e8 }
}

function percentile(ms: readonly number[], share: number): number {
  const sorted = [...ms].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] as number
}

/** Log lines of level error or fatal, which report bugs. */
function errorsOf(plane: PlaneProcess): string[] {
  return plane
    .log()
    .split('\n')
    .filter((line) => /^\{"level":(50|60)/.test(line))
}
