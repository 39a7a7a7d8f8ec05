import { type Tier, tiers } from '../../protocol/operations/data-operations.ts'
import {
  type JobUsageReport,
  type Movement,
  nothingMoved,
  type TierReport,
} from '../../protocol/operations/reports.ts'
import type { Peak, Reads } from '../sizing/run-stats.ts'

/** The use of one job, summed over its nodes. */
export interface Use {
  readonly objects: number
  readonly bytes: Readonly<Record<Tier, number>>
  readonly bytesPerSecond: number
  readonly tiers: Readonly<Record<Tier, TierReport>>
}

/** Counters of a job. They never decrease, also when a node that contributed to them leaves. */
interface Counts {
  readonly stored: number
  readonly readSquares: number
  readonly tiers: Readonly<Record<Tier, Movement>>
}

/** Lifetime counters of a job, with the part that each node contributed. */
interface Counted {
  total: Counts
  readonly seen: Map<string, Counts>
}

const movements = Object.keys(nothingMoved) as (keyof Movement)[]

const nothingCounted: Counts = Object.freeze({
  stored: 0,
  readSquares: 0,
  tiers: byTier(() => nothingMoved),
})

/** The use of jobs by the last reports of their nodes. */
export class Usage {
  readonly #byJob = new Map<string, Map<string, JobUsageReport>>()
  readonly #jobsOf = new Map<string, readonly string[]>()
  readonly #counted = new Map<string, Counted>()

  /** Applies a report of a node. Jobs that it does not name are gone from the node. */
  onReport(node: string, jobs: readonly JobUsageReport[]): void {
    this.#forgetParts(node)
    if (jobs.length > 0)
      this.#jobsOf.set(
        node,
        jobs.map(({ id }) => id),
      )
    for (const report of jobs) {
      const parts = this.#byJob.get(report.id) ?? new Map<string, JobUsageReport>()
      this.#byJob.set(report.id, parts.set(node, report))
      this.#count(node, report)
    }
  }

  /** Updates the bytes of a job on a node between two reports. */
  setHeldBytes(node: string, id: string, bytes: JobUsageReport['bytes']): void {
    const parts = this.#byJob.get(id) ?? new Map<string, JobUsageReport>()
    const before = parts.get(node)
    if (before === undefined) this.#jobsOf.set(node, [...(this.#jobsOf.get(node) ?? []), id])
    this.#byJob.set(id, parts.set(node, { ...(before ?? unused(id)), bytes }))
  }

  /** Removes a node that has ended. */
  forget(node: string): void {
    this.#forgetParts(node)
    for (const { seen } of this.#counted.values()) seen.delete(node)
  }

  /** Removes a job that has ended. */
  forgetJob(job: string): void {
    this.#byJob.delete(job)
    this.#counted.delete(job)
  }

  useOf(job: string): Use {
    const reports = [...(this.#byJob.get(job)?.values() ?? [])]
    const sum = (of: (report: JobUsageReport) => number): number =>
      reports.reduce((total, report) => total + of(report), 0)
    const counts = this.#counted.get(job)?.total ?? nothingCounted
    return {
      objects: sum(({ objects }) => objects),
      bytes: byTier((tier) => sum(({ bytes }) => bytes[tier] ?? 0)),
      bytesPerSecond: sum(({ bytesPerSecond }) => bytesPerSecond),
      tiers: byTier((tier) => ({
        objects: sum((report) => report.tiers[tier]?.objects ?? 0),
        ...counts.tiers[tier],
      })),
    }
  }

  /** Reads per object of the job so far; null if nothing was put. */
  readsOf(job: string): Reads | null {
    const { stored, readSquares, tiers: counted } = this.#counted.get(job)?.total ?? nothingCounted
    if (stored === 0) return null
    const perObject = tiers.reduce((reads, tier) => reads + counted[tier].hits, 0) / stored
    // Objects that were considered for demotion and stayed in RAM have halved read counts, so the squares may be too low.
    const variance = readSquares === 0 ? null : Math.max(0, readSquares / stored - perObject ** 2)
    return { perObject, variance }
  }

  #forgetParts(node: string): void {
    for (const job of this.#jobsOf.get(node) ?? []) {
      const parts = this.#byJob.get(job)
      parts?.delete(node)
      if (parts?.size === 0) this.#byJob.delete(job)
    }
    this.#jobsOf.delete(node)
  }

  #count(node: string, report: JobUsageReport): void {
    const counted = this.#counted.get(report.id) ?? { total: nothingCounted, seen: new Map() }
    this.#counted.set(report.id, counted)
    const now = countsOf(report)
    const before = counted.seen.get(node) ?? nothingCounted
    counted.total = combine([counted.total, now, before], (total, here, seen) => total + here - seen)
    counted.seen.set(node, now)
  }
}

function unused(id: string): JobUsageReport {
  return { id, objects: 0, bytes: {}, tiers: {}, stored: 0, readSquares: 0, bytesPerSecond: 0, idleMs: 0 }
}

/** The peak that is stored with a run. */
export function peakOf({ bytes, bytesPerSecond }: Use): Peak {
  return { bytes: bytes.ram + bytes.ssd + bytes.s3, bytesPerSecond }
}

/** Usage and operation counters of several jobs on one tier. */
export function sumOfTier(tier: Tier, jobs: readonly JobUsageReport[]): TierReport {
  const total = { objects: 0, ...nothingMoved } as { -readonly [Name in keyof TierReport]: number }
  for (const { tiers: reported } of jobs) {
    const part = reported[tier]
    if (part === undefined) continue
    for (const name of ['objects', ...movements] as const) total[name] += part[name]
  }
  return total
}

function countsOf({ stored, readSquares, tiers: reported }: JobUsageReport): Counts {
  return { stored, readSquares, tiers: byTier((tier) => reported[tier] ?? nothingMoved) }
}

function combine(
  [a, b, c]: readonly [Counts, Counts, Counts],
  add: (a: number, b: number, c: number) => number,
): Counts {
  return {
    stored: add(a.stored, b.stored, c.stored),
    readSquares: add(a.readSquares, b.readSquares, c.readSquares),
    tiers: byTier((tier) => {
      const of = (name: keyof Movement) =>
        [name, add(a.tiers[tier][name], b.tiers[tier][name], c.tiers[tier][name])] as const
      return Object.fromEntries(movements.map(of)) as unknown as Movement
    }),
  }
}

function byTier<Value>(of: (tier: Tier) => Value): Record<Tier, Value> {
  return { ram: of('ram'), ssd: of('ssd'), s3: of('s3') }
}
