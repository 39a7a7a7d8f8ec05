import { MayflyError } from '../../protocol/errors.ts'

/**
 * What one job may use of a tier on one node, and what it uses, in bytes. `TierBudget` changes it in place: every put
 * does.
 */
export class JobBudget {
  /** Always granted. */
  reservedBytes = 0
  /** Hard limit. Bytes between the two are granted from what no other job has reserved. */
  bytesMax = 0
  usedBytes = 0
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

  /** Charges bytes that the job has stored; negative bytes were freed. */
  use(job: JobBudget, bytes: number): void {
    const before = committedBy(job)
    job.usedBytes += bytes
    this.#usedBytes += bytes
    this.#committedBytes += committedBy(job) - before
  }

  resize(job: JobBudget, { reservedBytes, bytesMax }: Pick<JobBudget, 'reservedBytes' | 'bytesMax'>): void {
    const before = committedBy(job)
    job.reservedBytes = reservedBytes
    job.bytesMax = bytesMax
    this.#committedBytes += committedBy(job) - before
  }

  /** Releases all that the job has reserved and uses. */
  leave(job: JobBudget): void {
    this.#committedBytes -= committedBy(job)
    this.#usedBytes -= job.usedBytes
  }
}

function committedBy({ reservedBytes, usedBytes }: JobBudget): number {
  return Math.max(reservedBytes, usedBytes)
}
