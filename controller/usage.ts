import type { Tier } from '../protocol/data-operations.ts'
import type { JobUsageReport } from '../protocol/reports.ts'
import type { Peak } from './history.ts'

/** One job over all of its nodes, or one node's part of it. */
export interface Use {
  readonly objects: number
  readonly bytes: Readonly<Record<Tier, number>>
  readonly bytesPerSecond: number
}

const none: Use = Object.freeze({
  objects: 0,
  bytes: Object.freeze({ ram: 0, ssd: 0, s3: 0 }),
  bytesPerSecond: 0,
})

/** What jobs use, as their nodes last reported. */
export class Usage {
  readonly #byJob = new Map<string, Map<string, Use>>()
  readonly #jobsOf = new Map<string, readonly string[]>()

  /** Takes a node's report: what it names no longer is not there any more. */
  heard(node: string, jobs: readonly JobUsageReport[]): void {
    this.forget(node)
    if (jobs.length > 0)
      this.#jobsOf.set(
        node,
        jobs.map(({ id }) => id),
      )
    for (const { id, objects, bytes, bytesPerSecond } of jobs) {
      const parts = this.#byJob.get(id) ?? new Map<string, Use>()
      this.#byJob.set(id, parts.set(node, { objects, bytes: { ...none.bytes, ...bytes }, bytesPerSecond }))
    }
  }

  /** The node is gone, with all that it held. */
  forget(node: string): void {
    for (const job of this.#jobsOf.get(node) ?? []) {
      const parts = this.#byJob.get(job)
      parts?.delete(node)
      if (parts?.size === 0) this.#byJob.delete(job)
    }
    this.#jobsOf.delete(node)
  }

  of(job: string): Use {
    let total = none
    for (const part of this.#byJob.get(job)?.values() ?? []) total = plus(total, part)
    return total
  }
}

/** What a run is remembered by. */
export function peakOf({ bytes, bytesPerSecond }: Use): Peak {
  return { bytes: bytes.ram + bytes.ssd + bytes.s3, bytesPerSecond }
}

function plus(a: Use, b: Use): Use {
  return {
    objects: a.objects + b.objects,
    bytes: { ram: a.bytes.ram + b.bytes.ram, ssd: a.bytes.ssd + b.bytes.ssd, s3: a.bytes.s3 + b.bytes.s3 },
    bytesPerSecond: a.bytesPerSecond + b.bytesPerSecond,
  }
}
