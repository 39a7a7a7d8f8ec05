import { type Job, openJob } from '../../client/index.ts'
import { MayflyError } from '../../protocol/errors.ts'
import type { VerbInput } from '../verb.ts'
import { findCredentials } from './credentials.ts'
import { request } from './http.ts'
import type { JobReply } from './replies.ts'

/** Runs `use` with the job that the first argument names. */
export async function withJob<T>({ args, config }: VerbInput, use: (job: Job) => Promise<T>): Promise<T> {
  const path = `/v1/jobs/${encodeURIComponent(args.word(0))}`
  const { id, state, ticket } = await request<JobReply>(findCredentials(args, config), { path })
  if (ticket === undefined) {
    if (state === 'registering')
      throw new MayflyError('UNAVAILABLE', `The job ${id} is still being registered`)
    throw new MayflyError('JOB_ENDED', `The job ${id} has ended`)
  }
  const job = await openJob(ticket)
  try {
    return await use(job)
  } finally {
    await job.close()
  }
}

/** The bucket of --bucket, as an option of SDK calls. */
export function bucketOf({ args }: VerbInput): { bucket?: string } {
  const bucket = args.text('bucket')
  return bucket === undefined ? {} : { bucket }
}
