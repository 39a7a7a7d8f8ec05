import { MayflyError } from '../../../protocol/errors.ts'
import { flawOfKeyText } from '../../../protocol/model/text.ts'
import type { Caller } from '../../access/keys.ts'
import type { Grant } from '../../jobs/tickets.ts'
import type { Ledger } from '../../ledger/ledger.ts'
import { TICKET_PREFIX_BYTES_MAX } from '../../limits.ts'
import type { Job } from '../../records/job.ts'
import { reaches } from '../authentication.ts'

/** A driver sees only its own jobs. Throws `JOB_NOT_FOUND`. */
export function reachedJob(ledger: Ledger, caller: Caller, id: string): Job {
  const job = ledger.get(id)
  if (job !== undefined && reaches(caller, job)) return job
  throw new MayflyError('JOB_NOT_FOUND', `There is no job '${id}'`)
}

/** Tickets are issued for active jobs only. Throws `UNAVAILABLE`. */
export function requireActive(job: Job): Job {
  if (job.state !== 'active') throw new MayflyError('UNAVAILABLE', `Job ${job.id} is not active yet`)
  return job
}

/** Throws `BAD_REQUEST` for rights that grant nothing, or a prefix that no key has. */
export function checkGrant({ read, write, prefix }: Omit<Grant, 'seconds'>): void {
  if (!read && !write)
    throw new MayflyError('BAD_REQUEST', 'write: a ticket grants to read, to write, or both')
  const flaw = flawOfKeyText(prefix)
  if (flaw !== null) throw new MayflyError('BAD_REQUEST', `prefix: it ${flaw}`)
  const bytes = Buffer.byteLength(prefix)
  if (bytes > TICKET_PREFIX_BYTES_MAX)
    throw new MayflyError(
      'BAD_REQUEST',
      `prefix: it has ${bytes} bytes of UTF-8, more than ${TICKET_PREFIX_BYTES_MAX}`,
    )
}
