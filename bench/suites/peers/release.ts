import { Entrant } from '../../load/entrant.ts'
import { suiteOf } from '../../report/comparison.ts'
import type { Column, Measurement } from '../../report/measurement.ts'
import type { MayflyServer } from '../../servers/mayfly.ts'

const full = { objects: 1_000_000, objectBytes: 100 }
const tiny = { objects: 2_000, objectBytes: 100 }
const OUTSTANDING = 64
/** In addition to an object's bytes, a job is charged for its key and its index entry. */
const CHARGED_BYTES_MAX = 512

const MS = 'ms'
const STALL_MS = 'stall ms'
const columns: readonly Column[] = [
  { name: MS, better: 'lower', digits: 1 },
  { name: STALL_MS, better: 'lower', digits: 1 },
]

export const release = suiteOf({
  summary: 'a job of 1 million objects is deregistered',
  systems: ['mayfly'],
  rounds: { full: 3, tiny: 1 },
  watchesStalls: true,
  columns,
  judgedBy: MS,
  groups: (isTiny) => {
    const settings = isTiny ? tiny : full
    const name = `${settings.objects.toLocaleString('en')} objects of ${settings.objectBytes} B`
    return [{ rows: [{ name, measure: (entrant) => measureRelease(entrant, settings) }] }]
  },
  goals: [
    {
      name: 'deregister 1 million objects',
      rows: () => true,
      column: MS,
      unit: 'ms',
      atMost: 50,
      reachFor: 10,
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

/** From the request to the answer, after which every byte of the job is free. */
async function measureRelease(
  { server }: Entrant,
  { objects, objectBytes }: typeof full,
): Promise<Measurement> {
  const { mayfly } = server as MayflyServer
  const capacityBytes = objects * (objectBytes + CHARGED_BYTES_MAX)
  const job = await mayfly.registerJob('release', { capacityBytes })
  const filler = new Entrant('mayfly', { ...server, target: job.ticket })
  try {
    await filler.run('fill', { objects, objectBytes, outstanding: OUTSTANDING })
  } finally {
    await filler.endDrivers()
  }
  await server.longestStallMs?.()
  const { value: ms, cost } = await filler.costOf(async () => {
    const beganMs = performance.now()
    await job.deregister()
    return performance.now() - beganMs
  })
  const stallMs = (await server.longestStallMs?.()) ?? 0
  return { ...cost, figures: { [MS]: ms, [STALL_MS]: stallMs }, failures: [] }
}
