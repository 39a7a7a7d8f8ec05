import { MayflyError } from '../../protocol/errors.ts'

/** What one job may use of a tier on one node, and what it uses, in bytes. */
export interface JobBudget {
  /** Always granted. */
  readonly reservedBytes: number
  /** Hard limit. Bytes between the two are granted from what no other job has reserved. */
  readonly bytesMax: number
  readonly usedBytes: number
}

/** What a job may use on a node. */
export interface NodeBudget {
  readonly revision: number
  /** RAM and the tiers below it, by tier number. */
  readonly tiers: ReadonlyMap<number, { readonly reservedBytes: number; readonly bytesMax: number }>
  readonly bytesPerSecond: number
  readonly readsPerObject: number | null
}

/**
 * The bytes of one tier on one node. Each job commits the larger of its reservation and its usage. The sum of
 * commitments never exceeds the capacity, so a job that fills up takes nothing that another has reserved.
 */
export class TierBudget {
  readonly capacityBytes: number
  #committedBytes = 0
  #usedBytes = 0
  #overheadBytes = 0

  constructor(capacityBytes: number) {
    this.capacityBytes = capacityBytes
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  /** Memory of jobs and slots themselves, apart from their content. */
  get overheadBytes(): number {
    return this.#overheadBytes
  }

  /** Charges memory of a job itself; negative bytes release it. No job can borrow it. */
  chargeOverhead(bytes: number): void {
    this.#overheadBytes += bytes
    this.#committedBytes += bytes
  }

  /** Whether `admit` would not throw. */
  admits(job: JobBudget, bytes: number): boolean {
    const usedBytes = job.usedBytes + bytes
    return usedBytes <= job.reservedBytes || (usedBytes <= job.bytesMax && this.#hasRoom(job, usedBytes))
  }

  /** Throws `CAPACITY_EXCEEDED`, with nothing changed, if the job may not use `bytes` more. */
  admit(job: JobBudget, bytes: number): void {
    const usedBytes = job.usedBytes + bytes
    if (bytes <= 0 || usedBytes <= job.reservedBytes) return
    if (usedBytes > job.bytesMax) {
      throw new MayflyError(
        'CAPACITY_EXCEEDED',
        `${bytes} bytes do not fit: the job uses ${job.usedBytes} of its ${job.bytesMax} bytes on this node`,
      )
    }
    if (!this.#hasRoom(job, usedBytes)) {
      throw new MayflyError(
        'CAPACITY_EXCEEDED',
        `${bytes} bytes do not fit: the job has filled its ${job.reservedBytes} reserved bytes, and of the node's ` +
          `${this.capacityBytes} bytes all others are reserved or in use`,
      )
    }
  }

  #hasRoom(job: JobBudget, usedBytes: number): boolean {
    const extra = usedBytes - Math.max(job.usedBytes, job.reservedBytes)
    return this.#committedBytes + extra <= this.capacityBytes
  }

  /** Records that a job's budget changed from `before` to `after`; null means that the job is absent. */
  change(before: JobBudget | null, after: JobBudget | null): void {
    this.#committedBytes += committedBy(after) - committedBy(before)
    this.#usedBytes += (after?.usedBytes ?? 0) - (before?.usedBytes ?? 0)
  }
}

function committedBy(job: JobBudget | null): number {
  return job === null ? 0 : Math.max(job.reservedBytes, job.usedBytes)
}
