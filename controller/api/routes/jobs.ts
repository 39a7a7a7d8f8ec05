import type { ServerResponse } from 'node:http'
import Type, { type Static } from 'typebox'
import { MayflyError } from '../../../protocol/errors.ts'
import { TICKET_SECONDS } from '../../../protocol/limits.ts'
import { flawOfName } from '../../../protocol/model/text.ts'
import type { Caller } from '../../access/keys.ts'
import type { Grant } from '../../jobs/tickets.ts'
import { IDEMPOTENCY_KEY_BYTES_MAX, JOB_LEASE_SECONDS_DEFAULT, JOB_NAME_BYTES_MAX } from '../../limits.ts'
import { type Job, livingStates } from '../../records/job.ts'
import { forAll, forDrivers, reaches } from '../authentication.ts'
import { replies } from '../replies.ts'
import {
  hintsChange,
  job,
  jobList,
  jobMove,
  jobWithTicket,
  registration,
  ticketGrant,
  ticketIssued,
} from '../schemas.ts'
import type { Api, Routes } from './api.ts'
import { pageOf, paging, positionAt, readLimit } from './paging.ts'
import { checkGrant, reachedJob, requireActive } from './reached-job.ts'

const params = Type.Object({ id: Type.String() })
const tags = ['jobs']

export function jobRoutes(
  app: Api,
  { jobs, registrations, ledger, transfers, tickets, views }: Routes,
): void {
  const withTicket = async (job: Job) => ({
    ...views.job(job),
    ...(job.state === 'active' && { ticket: await tickets.make(job) }),
  })
  const reached = (caller: Caller, id: string): Job => reachedJob(ledger, caller, id)

  app.post(
    '/v1/jobs',
    {
      config: forDrivers,
      schema: {
        operationId: 'registerJob',
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
          owner: request.caller.name,
          key: request.headers['idempotency-key'] ?? null,
          waitSeconds,
          signal: untilGone(reply.raw),
        },
      )
      const ticket = registered.state === 'active' && { ticket: await tickets.first(registered) }
      return reply.status(201).send({ ...views.job(registered), ...ticket })
    },
  )

  app.get(
    '/v1/jobs',
    {
      config: forAll,
      schema: {
        operationId: 'listJobs',
        tags,
        summary: 'Jobs that have not ended',
        description: 'The oldest first. For a driver its own.',
        querystring: Type.Object(
          {
            name: Type.Optional(Type.String({ maxLength: JOB_NAME_BYTES_MAX })),
            state: Type.Optional(Type.Enum(livingStates)),
            owner: Type.Optional(Type.String({ maxLength: 63, description: 'Name of an API key' })),
            ...paging,
          },
          { additionalProperties: false },
        ),
        response: replies(200, jobList, ['BAD_REQUEST']),
      },
      preValidation: readLimit,
    },
    ({ caller, query }) => {
      const { name, state, owner } = query
      const matching = ledger
        .living()
        .filter(
          (job) =>
            reaches(caller, job) &&
            (name === undefined || job.name === name) &&
            (state === undefined || job.state === state) &&
            (owner === undefined || job.owner === owner),
        )
      const { items, ...next } = pageOf(matching, ({ createdAtMs, id }) => positionAt(createdAtMs, id), query)
      return { jobs: items.map((job) => views.job(job)), ...next }
    },
  )

  app.get(
    '/v1/jobs/:id',
    {
      config: forAll,
      schema: {
        operationId: 'getJob',
        tags,
        summary: 'One job, with a fresh ticket while it is active; a viewer gets none',
        params,
        response: replies(200, jobWithTicket, ['JOB_NOT_FOUND', 'UNAVAILABLE']),
      },
    },
    ({ caller, params: { id } }) => {
      const job = reached(caller, id)
      return caller.role === 'viewer' ? views.job(job) : withTicket(job)
    },
  )

  app.patch(
    '/v1/jobs/:id',
    {
      config: forDrivers,
      schema: {
        operationId: 'changeHints',
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
    async ({ caller, params: { id }, body }) =>
      views.job(await jobs.resize(reached(caller, id).id, body.hints)),
  )

  app.post(
    '/v1/jobs/:id/renew',
    {
      config: forDrivers,
      schema: {
        operationId: 'renewJob',
        tags,
        summary: 'Let the lease count from now',
        params,
        response: replies(200, job, ['JOB_NOT_FOUND', 'JOB_ENDED']),
      },
    },
    async ({ caller, params: { id } }) => views.job(await jobs.renew(reached(caller, id).id)),
  )

  app.post(
    '/v1/jobs/:id/tickets',
    {
      config: forDrivers,
      schema: {
        operationId: 'issueTicket',
        tags,
        summary: 'Issue a ticket with fewer rights, for a part of the keys, or for a shorter time',
        params,
        body: ticketGrant,
        response: replies(201, ticketIssued, ['BAD_REQUEST', 'JOB_NOT_FOUND', 'JOB_ENDED', 'UNAVAILABLE']),
      },
    },
    async ({ caller, params: { id }, body }, reply) => {
      const job = requireActive(jobs.requireLiving(reached(caller, id).id))
      const { ticket, expiresAtMs } = await tickets.issue(job, grantOf(body))
      return reply.status(201).send({ ticket, expiresAt: new Date(expiresAtMs).toISOString() })
    },
  )

  app.post(
    '/v1/jobs/:id/move',
    {
      schema: {
        operationId: 'moveJob',
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
    async (request) => views.job(await transfers.move(request.params.id, request.body.metadata)),
  )

  app.delete(
    '/v1/jobs/:id',
    {
      config: forDrivers,
      schema: {
        operationId: 'endJob',
        tags,
        summary: 'End a job and free every byte',
        description: 'Ending a job that has ended answers the same.',
        params,
        response: replies(200, job, ['JOB_NOT_FOUND', 'UNAVAILABLE']),
      },
    },
    async ({ caller, params: { id } }) =>
      views.job(await jobs.endWithin(reached(caller, id).id, 'deregistered')),
  )
}

/** Throws `BAD_REQUEST` if the ticket would grant nothing. */
function grantOf({
  read = true,
  write = true,
  prefix = '',
  expiresInSeconds = TICKET_SECONDS,
}: Static<typeof ticketGrant>): Grant {
  checkGrant({ read, write, prefix })
  return { read, write, prefix, seconds: expiresInSeconds }
}

/** A signal that is aborted if the connection closes before the answer is sent. */
function untilGone(response: ServerResponse): AbortSignal {
  const gone = new AbortController()
  response.once('close', () => {
    if (!response.writableFinished) gone.abort()
  })
  return gone.signal
}

/** JSON Schema counts characters, but the wire counts bytes. */
function checkName(name: string): void {
  const flaw = flawOfName(name)
  if (flaw !== null) throw new MayflyError('BAD_REQUEST', `name: it ${flaw}`)
  const bytes = Buffer.byteLength(name)
  if (bytes > JOB_NAME_BYTES_MAX) {
    throw new MayflyError(
      'BAD_REQUEST',
      `name: it has ${bytes} bytes of UTF-8, more than ${JOB_NAME_BYTES_MAX}`,
    )
  }
}
