import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { ColdStart } from '../../load/cold.ts'
import type { Entrant } from '../../load/entrant.ts'
import { suiteOf } from '../../report/comparison.ts'
import type { Column, Measurement } from '../../report/measurement.ts'
import { keyOf } from '../../tasks/calls.ts'

const program = fileURLToPath(new URL('../../load/cold.js', import.meta.url))
const OBJECT_BYTES = 1024

const MS = 'ms'
const columns: readonly Column[] = [
  { name: MS, better: 'lower', digits: 1 },
  { name: 'import ms', better: 'lower', digits: 1 },
  { name: 'open and get ms', better: 'lower', digits: 1 },
  { name: 'process ms', better: 'lower', digits: 1 },
]

export const coldstart = suiteOf({
  summary: 'a fresh process: import, open, first get, against ioredis, node-redis and the S3 SDK',
  systems: ['mayfly', 'ioredis', 'node-redis', 's3'],
  rounds: { full: 31, tiny: 1 },
  columns,
  judgedBy: MS,
  groups: () => [
    {
      setUp: (entrant) => entrant.run('fill', { objects: 1, objectBytes: OBJECT_BYTES, outstanding: 1 }),
      rows: [{ name: 'import, open, first get of 1 KiB', measure: measureColdStart }],
    },
  ],
  goals: [
    {
      name: 'import, open, first get, against ioredis',
      rows: () => true,
      column: MS,
      against: ['ioredis'],
      atLeast: 2,
    },
    { name: 'import, open, first get', rows: () => true, column: MS, unit: 'ms', reachFor: 15 },
  ],
})

async function measureColdStart(entrant: Entrant): Promise<Measurement> {
  const { system, server } = entrant
  const { value, cost } = await entrant.costOf(async () => {
    const beganMs = performance.now()
    const args = [program, system, server.target, keyOf(OBJECT_BYTES, 0)]
    const { stdout } = await promisify(execFile)(process.execPath, args)
    return { cold: JSON.parse(stdout) as ColdStart, processMs: performance.now() - beganMs }
  })
  const { importMs, firstGetMs, bytes, cpuSeconds } = value.cold
  const figures = {
    [MS]: importMs + firstGetMs,
    'import ms': importMs,
    'open and get ms': firstGetMs,
    'process ms': value.processMs,
  }
  const failures = bytes === OBJECT_BYTES ? [] : [`the first get gave ${bytes} bytes`]
  return { figures, serverCpuSeconds: cost.serverCpuSeconds, clientCpuSeconds: cpuSeconds, failures }
}
