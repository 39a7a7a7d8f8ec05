import type { ServerResponse } from 'node:http'
import Type from 'typebox'
import { MayflyError } from '../../protocol/errors.ts'
import {
  IDEMPOTENCY_KEY_BYTES_MAX,
  JOB_LEASE_SECONDS_DEFAULT,
  JOB_NAME_BYTES_MAX,
} from '../../protocol/limits.ts'
import type { Job } from '../job.ts'
import { hintsChange, job, jobList, jobMove, jobWithTicket, registration, replies } from '../schemas.ts'
import type { Api, Routes } from './api.ts'

const params = Type.Object({ id: Type.String() })
const tags = ['jobs']

export function jobRoutes(app: Api, { jobs, registrations, ledger, moves, tickets, views }: Routes): void {
  const withTicket = async (job: Job) => ({
    ...views.job(job),
    ...(job.state === 'active' && { ticket: await tickets.make(job) }),
  })

  app.post(
    '/v1/jobs',
    {
      schema: {
        tags,
        summary: 'Register a job',
        description:
          'Answers once the capacity is there. Where it is not, the registration waits in line for up to waitSeconds, or is refused. With an Idempotency-Key header the same request gives the same job.',
        headers: Type.Object({
          'idempotency-key': Type.Optional(
            Type.String({ minLength: 1, maxLength: IDEMPOTENCY_KEY_BYTES_MAX }),
          ),
        }),
        body: registration,
        response: replies(201, jobWithTicket, [
          'BAD_REQUEST',
          'RESERVATION_REFUSED',
          'JOB_ENDED',
          'OBJECT_TOO_LARGE',
          'TOO_MANY_REQUESTS',
          'UNAVAILABLE',
          'DEADLINE_EXCEEDED',
        ]),
      },
    },
    async (request, reply) => {
      const { name, hints = {}, leaseSeconds = JOB_LEASE_SECONDS_DEFAULT, waitSeconds = 0 } = request.body
      checkName(name)
      const registered = await registrations.register(
        { name, hints, leaseSeconds },
        {
          owner: request.owner,
          key: request.headers['idempotency-key'] ?? null,
          waitSeconds,
          signal: untilGone(reply.raw),
        },
      )
      return reply.status(201).send(await withTicket(registered))
    },
  )

  app.get(
    '/v1/jobs',
    { schema: { tags, summary: 'Jobs that have not ended', response: replies(200, jobList, []) } },
    () => ({ jobs: ledger.living().map((job) => views.job(job)) }),
  )

  app.get(
    '/v1/jobs/:id',
    {
      schema: {
        tags,
        summary: 'One job, with a fresh ticket while it is active',
        params,
        response: replies(200, jobWithTicket, ['JOB_NOT_FOUND', 'UNAVAILABLE']),
      },
    },
    (request) => withTicket(ledger.require(request.params.id)),
  )

  app.patch(
    '/v1/jobs/:id',
    {
      schema: {
        tags,
        summary: 'Change hints, and with them the reservation',
        description: 'Hints that are not named stay. If the new reservation is refused, the old one stays.',
        params,
        body: hintsChange,
        response: replies(200, job, [
          'BAD_REQUEST',
          'JOB_NOT_FOUND',
          'JOB_ENDED',
          'RESERVATION_REFUSED',
          'OBJECT_TOO_LARGE',
          'UNAVAILABLE',
        ]),
      },
    },
    async (request) => views.job(await jobs.resize(request.params.id, request.body.hints)),
  )

  app.post(
    '/v1/jobs/:id/renew',
    {
      schema: {
        tags,
        summary: 'Let the lease count from now',
        params,
        response: replies(200, job, ['JOB_NOT_FOUND', 'JOB_ENDED']),
      },
    },
    async (request) => views.job(await jobs.renew(request.params.id)),
  )

  app.post(
    '/v1/jobs/:id/move',
    {
      schema: {
        tags,
        summary: 'Hand a job to another metadata server',
        description:
          'Answers once that decides for the job. Its slots stay where they are, no call fails, and tickets stay valid.',
        params,
        body: jobMove,
        response: replies(200, job, [
          'BAD_REQUEST',
          'JOB_NOT_FOUND',
          'JOB_ENDED',
          'OBJECT_TOO_LARGE',
          'UNAVAILABLE',
        ]),
      },
    },
    async (request) => views.job(await moves.move(request.params.id, request.body.metadata)),
  )

  app.delete(
    '/v1/jobs/:id',
    {
      schema: {
        tags,
        summary: 'End a job and free every byte',
        description: 'Ending a job that has ended answers the same.',
        params,
        response: replies(200, job, ['JOB_NOT_FOUND', 'UNAVAILABLE']),
      },
    },
    async (request) => views.job(await jobs.endSoon(request.params.id, 'deregistered')),
  )
}

/** Aborted when the connection closes before the answer is out. */
function untilGone(response: ServerResponse): AbortSignal {
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  return gone.signal
}

/** What JSON Schema cannot say: it counts characters, and the wire counts bytes. */
function checkName(name: string): void {
  const bytes = Buffer.byteLength(name)
  if (bytes > JOB_NAME_BYTES_MAX) {
    throw new MayflyError(
      'BAD_REQUEST',
      `name: it has ${bytes} bytes of UTF-8, more than ${JOB_NAME_BYTES_MAX}`,
    )
  }
}
