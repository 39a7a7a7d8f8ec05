/** A part of a record, in bytes. */
export interface Range {
  readonly offset: number
  readonly length: number
}

/**
 * What one job keeps on one tier below RAM. A record is a run of bytes that never changes. All errors are
 * `MayflyError`; wrong bytes are never returned.
 */
export interface TierSpace {
  /** How many bytes the records here have. */
  readonly usedBytes: number
  readonly records: number
  /**
   * Keeps a copy of `bytes`, which must not change until this resolves, and gives the number of its record: from then
   * on it can be read. Rejects with `CAPACITY_EXCEEDED` where the tier is full, with `UNAVAILABLE` where it does not
   * take any more for the moment, and with `JOB_ENDED` after `drop`; then nothing of it is left.
   */
  write(bytes: Buffer): Promise<number>
  /**
   * The bytes of a record that lie in `range`, which must not reach over its end. A read that began before the record was
   * removed still gets its bytes. Rejects with `OBJECT_LOST`, and the reason, where the tier has not kept what was written.
   */
  read(record: number, range: Range): Promise<Buffer>
  /** Forgets a record at once; its space comes back in the background. The number may be given again. */
  remove(record: number): void
  /** Forgets every record, whatever their number, and takes no more. Resolves when their space has come back. */
  drop(): Promise<void>
}

/** A tier below RAM, on one node. */
export interface TierStore {
  /** The job's part of it, empty: it is opened once in the life of a job on this node. */
  open(job: string): TierSpace
  /** Gives back what it holds of the machine. What was written is not kept for another process. */
  close(): Promise<void>
}
