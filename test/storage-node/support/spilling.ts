import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { Job } from '../../../client/job.ts'
import { systemRuntime } from '../../../protocol/runtime.ts'
import { openSsd } from '../../../storage-node/tiers/ssd/open-ssd.ts'
import { background } from '../../fixture/background.ts'
import { open, Planes, type RunningNode } from '../../fixture/planes.ts'
import { tempDir } from '../../fixture/temp-dir.ts'

export const MIB = 1024 * 1024
const RAM_BYTES = 8 * MIB

export interface Spilling {
  readonly planes: Planes
  readonly nodes: RunningNode[]
  /** The SSD folder of each node. */
  readonly dirs: string[]
  readonly job: Job
}

/** A job with little RAM and much SSD on each of its nodes. */
export async function start(
  options: { nodes?: number; ssdBytes?: number; ramBytes?: number; readsPerObject?: number | undefined } = {},
): Promise<Spilling> {
  const { nodes: count = 1, ssdBytes = 256 * MIB, ramBytes = RAM_BYTES } = options
  const planes = await Planes.start()
  const nodes: RunningNode[] = []
  const dirs: string[] = []
  for (let index = 0; index < count; index++) {
    const dir = join(await tempDir(), 'ssd')
    const ssd = await openSsd({ bytes: 1024 * MIB, dir }, { clock: systemRuntime.clock, background })
    nodes.push(await planes.startNode(64 * MIB, 1e9, { ssd }))
    dirs.push(dir)
  }
  const ticket = await planes.createJob('j-a', nodes, {
    capacityBytes: ramBytes * count,
    ssdBytes: ssdBytes * count,
    bytesPerSecond: 1e9,
    ...(options.readsPerObject !== undefined && { readsPerObject: options.readsPerObject }),
  })
  return { planes, nodes, dirs, job: await open(ticket) }
}

export function spaceOf({ node }: RunningNode) {
  const space = node.jobs.get('j-a')
  if (space === undefined) throw new Error('the node does not know the job')
  return space
}

export function ssdBytesOf(node: RunningNode): number {
  return [...spaceOf(node).tiers.used()].reduce((sum, { bytes }) => sum + bytes, 0)
}

/** Puts enough to demote the first `count` keys, which nobody reads. Returns the bytes of each key. */
export async function fill(
  job: Job,
  options: { count: number; bytes: number },
): Promise<Map<string, Buffer>> {
  const contents = new Map<string, Buffer>()
  for (let index = 0; index < options.count; index++) contents.set(`k/${index}`, randomBytes(options.bytes))
  const puts = [...contents]
  for (let from = 0; from < puts.length; from += 64)
    await Promise.all(puts.slice(from, from + 64).map(([key, bytes]) => job.put(key, bytes)))
  return contents
}

export async function tiersOf(job: Job, keys: Iterable<string>): Promise<Map<string, string>> {
  const stats = await Promise.all([...keys].map(async (key) => [key, (await job.stat(key))?.tier] as const))
  return new Map(stats.map(([key, tier]) => [key, tier ?? 'none']))
}

export async function demotedKey(job: Job, keys: Iterable<string>): Promise<string> {
  const found = [...(await tiersOf(job, keys))].find(([, tier]) => tier === 'ssd')
  if (found === undefined) throw new Error('nothing lies on the SSD')
  return found[0]
}
