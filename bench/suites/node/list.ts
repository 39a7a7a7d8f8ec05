import { openJob } from 'mayfly'
import { Entrant } from '../../load/entrant.ts'
import { suiteOf } from '../../report/comparison.ts'
import type { Column, Measurement } from '../../report/measurement.ts'
import type { MayflyServer } from '../../servers/mayfly.ts'

const full = [0, 1_000, 100_000]
const tiny = [0, 2_000]
const OBJECT_BYTES = 100
const OUTSTANDING = 64
/** In addition to an object's bytes, a job is charged for its key and its index entry. */
const CHARGED_BYTES_MAX = 512
const CAPACITY_BYTES_MIN = 1024 * 1024

const MS = 'ms'
const STALL_MS = 'stall ms'
const columns: readonly Column[] = [
  { name: MS, better: 'lower', digits: 1 },
  { name: STALL_MS, better: 'lower', digits: 1 },
]

export const list = suiteOf({
  summary: 'all keys of a job on one node are listed, page by page',
  systems: ['mayfly'],
  rounds: { full: 5, tiny: 1 },
  watchesStalls: true,
  columns,
  judgedBy: MS,
  groups: (isTiny) => {
    const rows = (isTiny ? tiny : full).map((keys) => ({
      name: nameOf(keys),
      measure: (entrant: Entrant) => measureList(entrant, keys),
    }))
    return [{ rows }]
  },
  goals: [
    {
      name: 'an empty job',
      rows: (row) => row === nameOf(0),
      column: MS,
      unit: 'ms',
      atMost: 5,
      reachFor: 1,
    },
    {
      name: '100,000 keys',
      rows: (row) => row === nameOf(100_000),
      column: MS,
      unit: 'ms',
      atMost: 2_000,
      reachFor: 500,
    },
    {
      name: 'longest stall of the node meanwhile',
      rows: () => true,
      column: STALL_MS,
      unit: 'ms',
      atMost: 10,
    },
  ],
})

function nameOf(keys: number): string {
  return `${keys.toLocaleString('en')} keys`
}

/** One complete listing. An earlier one has opened the connection. */
async function measureList({ server }: Entrant, keys: number): Promise<Measurement> {
  const { mayfly } = server as MayflyServer
  const capacityBytes = CAPACITY_BYTES_MIN + keys * (OBJECT_BYTES + CHARGED_BYTES_MAX)
  const registered = await mayfly.registerJob('list', { capacityBytes })
  const filler = new Entrant('mayfly', { ...server, target: registered.ticket })
  const job = await openJob(registered.ticket)
  try {
    if (keys > 0)
      await filler.run('fill', { objects: keys, objectBytes: OBJECT_BYTES, outstanding: OUTSTANDING })
    for await (const _ of job.list({ prefix: 'none' })) break
    await server.longestStallMs?.()
    const { value, cost } = await filler.costOf(async () => {
      const beganMs = performance.now()
      let listed = 0
      for await (const _ of job.list()) listed++
      return { ms: performance.now() - beganMs, listed }
    })
    const stallMs = (await server.longestStallMs?.()) ?? 0
    const failures = value.listed === keys ? [] : [`${value.listed} of ${keys} keys were listed`]
    return { ...cost, figures: { [MS]: value.ms, [STALL_MS]: stallMs }, failures }
  } finally {
    await job.close()
    await filler.endDrivers()
    await registered.deregister()
  }
}
