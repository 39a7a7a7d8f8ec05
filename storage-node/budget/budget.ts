import { MayflyError } from '../../protocol/errors.ts'

/** What one job may keep on one node, and what it keeps, in bytes. */
export interface JobBudget {
  /** Set aside: always granted. */
  readonly reservedBytes: number
  /** Never passed. What lies between the two is granted from what nobody else has reserved. */
  readonly bytesMax: number
  readonly usedBytes: number
}

/**
 * The bytes of one tier on one node. Each job holds on to what it reserved or what it uses, whichever is more;
 * the sum of these never passes the capacity, so that a job that fills up takes nothing that another reserved.
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

  /** What jobs and slots themselves take, whatever is in them. */
  get overheadBytes(): number {
    return this.#overheadBytes
  }

  /** Counts, or, negative, counts no more what a job itself takes: nobody can be lent it. */
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

  /** Records that a job's budget changed from `before` to `after`; null is a job that is not there. */
  change(before: JobBudget | null, after: JobBudget | null): void {
    this.#committedBytes += committedBy(after) - committedBy(before)
    this.#usedBytes += (after?.usedBytes ?? 0) - (before?.usedBytes ?? 0)
  }
}

function committedBy(job: JobBudget | null): number {
  return job === null ? 0 : Math.max(job.reservedBytes, job.usedBytes)
}
