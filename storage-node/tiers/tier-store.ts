/** A range of a record, in bytes. */
export interface Range {
  readonly offset: number
  readonly length: number
}

/**
 * The records of one job on one tier below RAM. A record is immutable. All errors are `MayflyError`; damaged
 * bytes are never returned.
 */
export interface TierSpace {
  /** Bytes of all records. */
  readonly usedBytes: number
  readonly records: number
  /**
   * Stores `bytes`, which must not change until this resolves, and returns the record number. The record is
   * readable from then on. Rejects with `CAPACITY_EXCEEDED` if the tier is full, with `UNAVAILABLE` if it
   * takes no bytes at present, and with `JOB_ENDED` after `drop`; then nothing is stored.
   */
  write(bytes: Buffer): Promise<number>
  /**
   * Reads a range, which must be within the record. A read that began before the record was removed still
   * succeeds. Rejects with `OBJECT_LOST` and the reason if the tier has lost the bytes.
   */
  read(record: number, range: Range): Promise<Buffer>
  /** Removes a record at once; its space is freed in the background. The number may be reused. */
  remove(record: number): void
  /** Removes all records and accepts no more. Resolves when their space is free. */
  drop(): Promise<void>
}

/** A tier below RAM on one node. */
export interface TierStore {
  /** Opens the empty space of a job, once in the life of the job on this node. */
  open(job: string): TierSpace
  /** Releases its resources. Records do not survive the process. */
  close(): Promise<void>
}
