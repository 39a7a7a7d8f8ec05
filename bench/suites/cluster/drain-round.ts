import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect, type Job, MayflyError, openJob, type RegisteredJob } from 'mayfly'
import { hashKey, slotOf } from '../../../protocol/model/hash.ts'
import { DEFAULT_BUCKET_ID } from '../../../protocol/model/keys.ts'
import { ownerOf } from '../../../protocol/model/placement.ts'
import { parseTicket } from '../../../protocol/model/ticket.ts'
import type { LoggedCall } from '../../load/call-log.ts'
import { Load } from '../../load/load.ts'
import { Objects } from '../../load/objects.ts'
import { nowMs } from '../../probes/shared-clock.ts'
import { type Latencies, latenciesWithin } from '../../report/latencies.ts'
import { Cluster, type NodeView } from '../../servers/cluster.ts'

export interface DrainSettings {
  readonly rounds: number
  /** Objects of the whole job; half of them are on the node that is drained. */
  readonly objects: number
  readonly objectBytes: number
  /** Number of client processes. */
  readonly clients: number
  /** Calls under way in each process, for keys of either node. */
  readonly lanes: number
  /** Length of the measurements before and after the drain. */
  readonly baselineMs: number
}

export interface Round {
  readonly baseline: Window
  readonly during: Window
  /** From the request to the report in which the node holds nothing. Reports are sent once a second. */
  readonly drainMs: number
  readonly drainedMiB: number
  /** From SIGKILL to the first put that succeeds, for some keys of the dead node. */
  readonly repairMs: readonly number[]
  readonly problems: readonly string[]
}

interface Window {
  /** Calls for keys of the drained node. */
  readonly moving: Latencies
  readonly others: Latencies
}

/** Caches, connections and compiled code are warm after this time. */
const WARM_UP_MS = 1_500
const POLL_MS = 50
const DRAIN_MS_MAX = 300_000
/** A job is charged for keys and index entries too, and the hash spreads them unevenly. */
const ROOM = 1.25
const MIB = 2 ** 20
/** Capacity that the controller adds to the hint: a sixteenth and a mebibyte. */
const HEADROOM = { fraction: 1 / 16, bytes: MIB }
const REPAIR_KEYS = 20

/** In a cluster of its own: load alone, load while one of two nodes is drained, load alone; then a node is killed. */
export async function runRound(settings: DrainSettings, say: (line: string) => void): Promise<Round> {
  const { objects, objectBytes } = settings
  const ramBytes = Math.ceil((objects * objectBytes * ROOM) / 2) + MIB
  const dir = await mkdtemp(join(tmpdir(), 'mayfly-bench-'))
  const cluster = await Cluster.start({ ramBytes, nodesMax: 4 })
  let load: Load | null = null
  try {
    const mayfly = await connect(cluster.url, { apiKey: cluster.apiKey })
    // Two whole nodes: each gets half of the slots, and the drain needs a third node.
    const capacityBytes = Math.floor((2 * ramBytes - HEADROOM.bytes) / (1 + HEADROOM.fraction))
    const job = await mayfly.registerJob('drain', { capacityBytes, peakBytesPerSecond: 1e8 })
    load = await Load.fill({ ...settings, dir, ticket: job.ticket })
    await sleep(2 * 1_000)
    const [drained] = await usedNodes(cluster)
    if (drained === undefined) throw new Error('no node holds anything')
    const placement = parseTicket(await cluster.ticket(job.id)).placement
    say(`${mebibytes(drained).toFixed(0)} MiB lie on the node that is drained`)
    const isMoving = (number: number): boolean => ownerAt(placement, Objects.keyOf(number)) === drained.id
    const numbers = Array.from({ length: objects }, (_, number) => number)
    const moving = new Set(numbers.filter(isMoving))
    load.start([[...moving], numbers.filter((number) => !moving.has(number))])
    await sleep(WARM_UP_MS)
    const times = [nowMs()]
    await sleep(settings.baselineMs)
    times.push(nowMs())
    await cluster.call('POST', `/v1/nodes/${drained.id}/drain`)
    await untilEmpty(cluster, drained.id)
    times.push(nowMs())
    await sleep(settings.baselineMs)
    times.push(nowMs())
    const { calls, problems } = await load.stop()
    const [before = 0, from = 0, to = 0, after = 0] = times
    const windowOf = (ranges: readonly (readonly [number, number])[]): Window =>
      window(calls, { ranges, moving })
    const repairMs = await repair(cluster, job)
    await job.deregister()
    return {
      baseline: windowOf([
        [before, from],
        [to, after],
      ]),
      during: windowOf([[from, to]]),
      drainMs: to - from,
      drainedMiB: mebibytes(drained),
      repairMs,
      problems,
    }
  } finally {
    await load?.end()
    await cluster.stop()
    await rm(dir, { recursive: true, force: true })
  }
}

/** Kills a node and puts its objects again. */
async function repair(cluster: Cluster, job: RegisteredJob): Promise<number[]> {
  const [victim] = await usedNodes(cluster)
  if (victim === undefined) throw new Error('no node holds anything')
  const { placement } = parseTicket(await cluster.ticket(job.id))
  const keys = Array.from({ length: 100 * REPAIR_KEYS }, (_, index) => `new/${index}`)
    .filter((key) => ownerAt(placement, key) === victim.id)
    .slice(0, REPAIR_KEYS)
  const fresh = await openJob(await cluster.ticket(job.id))
  const killedMs = performance.now()
  process.kill(victim.pid, 'SIGKILL')
  const tookMs = await Promise.all(
    keys.map(async (key) => {
      await putAgain(fresh, key)
      return performance.now() - killedMs
    }),
  )
  await fresh.close()
  return tookMs
}

/** A put that was under way when the node died ends with `OUTCOME_UNKNOWN`; its producer puts again. */
async function putAgain(job: Job, key: string): Promise<void> {
  for (;;) {
    try {
      await job.put(key, key)
      return
    } catch (error) {
      if (!(error instanceof MayflyError) || error.code !== 'OUTCOME_UNKNOWN') throw error
    }
  }
}

/** Nodes that hold objects, the fullest first. */
async function usedNodes(cluster: Cluster): Promise<NodeView[]> {
  const nodes = await cluster.nodes()
  return nodes
    .filter((node) => node.state === 'active' && mebibytes(node) > 0)
    .sort((a, b) => mebibytes(b) - mebibytes(a))
}

async function untilEmpty(cluster: Cluster, id: string): Promise<void> {
  for (const untilMs = nowMs() + DRAIN_MS_MAX; nowMs() < untilMs; await sleep(POLL_MS)) {
    const node = (await cluster.nodes()).find((candidate) => candidate.id === id)
    if (node === undefined || mebibytes(node) === 0) return
  }
  throw new Error(`the drain did not end within ${DRAIN_MS_MAX} ms`)
}

function window(
  calls: readonly LoggedCall[],
  { ranges, moving }: { ranges: readonly (readonly [number, number])[]; moving: ReadonlySet<number> },
): Window {
  const isMoving = ({ key }: LoggedCall): boolean => moving.has(key)
  return {
    moving: latenciesWithin(calls.filter(isMoving), ...ranges),
    others: latenciesWithin(
      calls.filter((call) => !isMoving(call)),
      ...ranges,
    ),
  }
}

function ownerAt(placement: Parameters<typeof ownerOf>[0], key: string): string | undefined {
  const slot = slotOf(hashKey(Buffer.from(key), DEFAULT_BUCKET_ID), placement.owners.length)
  return ownerOf(placement, slot)?.id
}

function mebibytes({ tiers }: NodeView): number {
  return (tiers.ram?.usedBytes ?? 0) / MIB
}
