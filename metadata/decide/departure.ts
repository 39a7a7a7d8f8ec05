import { MayflyError } from '../../protocol/errors.ts'
import { NOBODY, type PlacedNode } from '../../protocol/model/placement.ts'
import type { JobRecord } from './job-record.ts'

/**
 * The transfer of a job to another metadata server: pure functions from a job record to a job record. No I/O.
 *
 * - *departing* (`departure` is set): this server still decides about the job, but starts no more slot moves.
 * - *transferring* (`departure.transferring`): set once no slot move is under way. This server no longer decides, since the target may
 *   already have the record; it repeats the transfer until it is confirmed and never reverts it.
 */

/** Starts a departure to `target`. Throws `UNAVAILABLE` if the job is being transferred to another server. */
export function withDeparture(record: JobRecord, target: PlacedNode): JobRecord {
  const { departure } = record
  if (departure?.transferring && departure.server.id !== target.id) throw transferring(record.id)
  if (departure?.server.id === target.id && departure.server.address === target.address) return record
  return { ...record, departure: { server: target, transferring: departure?.transferring ?? false } }
}

/** True if no move is under way: every owned slot is served and no node has leftovers to free. */
export function isSettled(record: JobRecord, isServed: (slot: number) => boolean): boolean {
  if (record.moves.length > 0 || record.leftovers.length > 0) return false
  return record.owners.every((owner, slot) => owner === NOBODY || isServed(slot))
}

/** Moves a settled departure to *transferring*. Returns the same record if the job does not depart or is not settled. */
export function withTransfer(record: JobRecord, isServed: (slot: number) => boolean): JobRecord {
  const { departure } = record
  if (departure === null || departure.transferring || !isSettled(record, isServed)) return record
  return { ...record, departure: { ...departure, transferring: true } }
}

/** The record as the target server stores it: the next term, no departure. */
export function recordForTarget(record: JobRecord): JobRecord {
  return { ...record, term: record.term + 1, departure: null }
}

export function transferring(job: string): MayflyError {
  return new MayflyError('UNAVAILABLE', `Job ${job} is being transferred to another metadata server`)
}
