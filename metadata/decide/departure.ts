import { MayflyError } from '../../protocol/errors.ts'
import { NOBODY, type PlacedNode } from '../../protocol/model/placement.ts'
import type { JobRecord } from './job-record.ts'

/**
 * What metadata decides about a job that goes to another metadata server: record in, record out. Nothing here waits,
 * writes or sends.
 *
 * - *leaving*: written down. This server still decides everything, but moves no more slots.
 * - *handing*: written down once nothing is under way. From here on this server decides nothing, for the other may have
 *   the record already; it only goes on handing it over, and never back.
 */

/** The job is to go to `target`. Throws `UNAVAILABLE` where it is being handed to another server at this moment. */
export function withDeparture(record: JobRecord, target: PlacedNode): JobRecord {
  const { leaving } = record
  if (leaving?.handing && leaving.server.id !== target.id) throw isHandedOn(record.id)
  if (leaving?.server.id === target.id && leaving.server.address === target.address) return record
  return { ...record, leaving: { server: target, handing: leaving?.handing ?? false } }
}

/** Whether nothing is under way: every slot that anybody owns is served, and no node has anything to free. */
export function isSettled(record: JobRecord, isServed: (slot: number) => boolean): boolean {
  if (record.moves.length > 0 || record.leftovers.length > 0) return false
  return record.owners.every((owner, slot) => owner === NOBODY || isServed(slot))
}

/** From here on nothing is decided here. The same record if it does not leave, or is not settled. */
export function withHanding(record: JobRecord, isServed: (slot: number) => boolean): JobRecord {
  const { leaving } = record
  if (leaving === null || leaving.handing || !isSettled(record, isServed)) return record
  return { ...record, leaving: { ...leaving, handing: true } }
}

/** The job as the next server has it. */
export function handedOn(record: JobRecord): JobRecord {
  return { ...record, term: record.term + 1, leaving: null }
}

export function isHandedOn(job: string): MayflyError {
  return new MayflyError('UNAVAILABLE', `Job ${job} is being handed to another metadata server`)
}
