import { MayflyError } from '../../protocol/errors.ts'
import { RECORD_PAGE_BYTES, RECORD_PAGES_MAX } from '../../protocol/limits.ts'
import type { RequestOf } from '../../protocol/operations/operation.ts'
import type { placementOperations } from '../../protocol/operations/plane-operations.ts'
import { violation } from '../../protocol/wire/reader.ts'
import { encodeRecord, type JobRecord } from './job-record.ts'

type JobTake = RequestOf<typeof placementOperations.jobTake>

/** The messages that transfer a job record to another metadata server. */
export function recordPages(record: JobRecord): { request: JobTake; payload: Buffer }[] {
  const encoded = encodeRecord(record)
  const count = Math.max(1, Math.ceil(encoded.length / RECORD_PAGE_BYTES))
  return Array.from({ length: count }, (_, page) => ({
    request: { job: record.id, term: record.term, page, last: page === count - 1 },
    payload: encoded.subarray(page * RECORD_PAGE_BYTES, (page + 1) * RECORD_PAGE_BYTES),
  }))
}

/** Records under transfer to this server, by job. A job comes from one server at a time, with its pages in order. */
export class ArrivingRecords {
  readonly #pages = new Map<string, { term: number; pages: Buffer[] }>()

  /** Adds a page. Returns the encoded record after the last page, else null. Throws `UNAVAILABLE` if a page before it is missing. */
  add({ job, term, page, last }: JobTake, payload: Uint8Array): Buffer | null {
    if (page >= RECORD_PAGES_MAX) throw violation(`page ${page} of a record is over ${RECORD_PAGES_MAX}`)
    const known = this.#pages.get(job)
    const arriving = page === 0 ? { term, pages: [] } : known
    if (arriving?.term !== term || arriving.pages.length !== page)
      throw new MayflyError('UNAVAILABLE', `Page ${page} of the record of job ${job} came out of order`)
    arriving.pages.push(Buffer.from(payload))
    this.#pages.set(job, arriving)
    if (!last) return null
    this.#pages.delete(job)
    return Buffer.concat(arriving.pages)
  }
}
