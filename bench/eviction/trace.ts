import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** An event of an object: a put (`read` is 0) or its `read`th read. */
interface TraceEvent {
  readonly atSeconds: number
  readonly object: number
  readonly read: number
}

export interface Trace {
  /** Size of each object. */
  readonly bytes: readonly number[]
  readonly readsOf: readonly number[]
  /** In order of time. */
  readonly events: readonly TraceEvent[]
}

export const workloads = ['compile', 'sort', 'video'] as const
export type Workload = (typeof workloads)[number]

/** How long the job puts objects, in seconds: about the length of the runs from which the quantiles were taken. */
const PUT_SECONDS = 60
/** "Hundreds of times", for the objects of a parallel compile that are read more than once. */
const READS_OF_SHARED = 100
const SHARE_READ_ONCE = 0.55

/** This file is dist/bench/eviction/trace.js; the quantiles are in the source tree. */
const quantilesDir = fileURLToPath(new URL('../../../bench/traces/', import.meta.url))

/**
 * Sizes and lifetimes are drawn independently from the quantiles of Pocket's three applications, because their correlation is not published. A lifetime is the
 * time from the put to the last read. Objects of sort and video are read
 * once; of compile, 55 % are read once and the others a hundred times, at times spread over their lifetimes. Nothing is deleted before the job ends.
 */
export function makeTrace(workload: Workload, objects: number, random: () => number): Trace {
  const drawBytes = quantileDraw(`${workload}_object_bytes.csv`, random)
  const drawSeconds = quantileDraw(`${workload}_object_lifetime_seconds.csv`, random)
  const bytes: number[] = []
  const readsOf: number[] = []
  const events: TraceEvent[] = []
  for (let object = 0; object < objects; object++) {
    const putSeconds = random() * PUT_SECONDS
    const lifeSeconds = drawSeconds()
    const reads = workload === 'compile' && random() >= SHARE_READ_ONCE ? READS_OF_SHARED : 1
    bytes.push(Math.max(1, Math.round(drawBytes())))
    readsOf.push(reads)
    events.push({ atSeconds: putSeconds, object, read: 0 })
    const times = Array.from({ length: reads - 1 }, () => random() * lifeSeconds).sort((a, b) => a - b)
    for (const [index, time] of [...times, lifeSeconds].entries())
      events.push({ atSeconds: putSeconds + time, object, read: index + 1 })
  }
  events.sort((a, b) => a.atSeconds - b.atSeconds || a.read - b.read)
  return { bytes, readsOf, events }
}

/** Draws a value from a distribution by linear interpolation between its quantiles. */
export function quantileDraw(file: string, random: () => number): () => number {
  const rows = readFileSync(quantilesDir + file, 'utf8')
    .trim()
    .split('\n')
    .slice(1)
  const values = rows.map((row) => Number(row.split(',')[1]))
  return () => {
    const at = random() * (values.length - 1)
    const below = values[Math.floor(at)] ?? 0
    const above = values[Math.ceil(at)] ?? below
    return below + (above - below) * (at - Math.floor(at))
  }
}
