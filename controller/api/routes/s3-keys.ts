import Type from 'typebox'
import { forDrivers } from '../authentication.ts'
import { replies } from '../replies.ts'
import { s3Access, s3Grant } from '../schemas.ts'
import type { Api, Routes } from './api.ts'
import { checkGrant, reachedJob } from './reached-job.ts'

export function s3KeyRoutes(app: Api, { jobs, ledger, s3Keys }: Routes): void {
  app.post(
    '/v1/jobs/:id/s3-keys',
    {
      config: forDrivers,
      schema: {
        operationId: 'issueS3Key',
        tags: ['jobs'],
        summary: 'Endpoint, access key and secret of the job for S3 clients',
        description:
          'The same rights always have the same key. It ends with the job, or a year after its registration.',
        params: Type.Object({ id: Type.String() }),
        body: s3Grant,
        response: replies(201, s3Access, ['BAD_REQUEST', 'JOB_NOT_FOUND', 'JOB_ENDED', 'UNAVAILABLE']),
      },
    },
    async ({ caller, params: { id }, body }, reply) => {
      const { read = true, write = true, prefix = '' } = body
      checkGrant({ read, write, prefix })
      const job = jobs.requireLiving(reachedJob(ledger, caller, id).id)
      const { expiresAtMs, ...access } = s3Keys.issue(job, { read, write, prefix })
      return reply.status(201).send({ ...access, expiresAt: new Date(expiresAtMs).toISOString() })
    },
  )
}
