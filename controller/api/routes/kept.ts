import { Readable } from 'node:stream'
import Type from 'typebox'
import { MayflyError } from '../../../protocol/errors.ts'
import { KEY_BYTES_MAX } from '../../../protocol/limits.ts'
import { runInFlight } from '../../../protocol/transport/in-flight.ts'
import {
  PERSISTED_CHANGES_IN_FLIGHT,
  PERSISTED_LIST_MAX,
  PERSISTED_PART_BYTES_MAX,
  PERSISTED_POSITION_MAX,
  PERSISTED_PREFIX_MAX,
  PERSISTED_READ_BYTES,
} from '../../../service/persisted/persisted-limits.ts'
import {
  noSuchObject,
  type PersistedName,
  type PersistedStat,
  type PersistedStore,
} from '../../../service/persisted/persisted-store.ts'
import type { Caller } from '../../access/keys.ts'
import { isJobOf } from '../../records/id.ts'
import { forAll, forDrivers } from '../authentication.ts'
import { replies } from '../replies.ts'
import { keptObject, keptPage } from '../schemas.ts'
import type { Api, Routes } from './api.ts'

const tags = ['kept']
const part = Type.String({ minLength: 1, maxLength: PERSISTED_PART_BYTES_MAX, pattern: '^[^/\\u0000]*$' })
const name = Type.Object({
  job: part,
  bucket: part,
  key: Type.String({ minLength: 1, maxLength: KEY_BYTES_MAX }),
})

/** Objects that were put with `persist`, including those of jobs that have ended. */
export function keptRoutes(app: Api, { persisted, ledger }: Pick<Routes, 'persisted' | 'ledger'>): void {
  /** A driver may access what its own jobs have persisted, including jobs whose records are deleted. */
  const isOf = ({ name: owner, role }: Caller, job: string): boolean =>
    role !== 'driver' || isJobOf(job, owner) || ledger.get(job)?.owner === owner
  const requireOwn = (caller: Caller, query: PersistedName): void => {
    if (!isOf(caller, query.job)) throw noSuchObject(query)
  }

  app.get(
    '/v1/kept',
    {
      config: forAll,
      schema: {
        operationId: 'listKept',
        tags,
        summary: 'Persisted objects',
        description:
          '`prefix` is of JOB/BUCKET/KEY. `next` is the `after` of the next page; it is missing on the last one. The order is that of the store, each time the same. For a driver a page has what its own jobs have kept, which may be nothing though there is a next one.',
        querystring: Type.Object({
          prefix: Type.Optional(
            Type.String({
              maxLength: PERSISTED_PREFIX_MAX,
              pattern: '^[^\\u0000]*$',
              description: 'Without NUL characters, which no name has',
            }),
          ),
          after: Type.Optional(Type.String({ maxLength: PERSISTED_POSITION_MAX })),
        }),
        response: replies(200, keptPage, ['BAD_REQUEST', 'UNAVAILABLE']),
      },
    },
    async ({ caller, query: { prefix = '', after = '' } }) => {
      const { names: found, next } = await persisted.list({ prefix, after, limit: PERSISTED_LIST_MAX })
      const names = found.filter(({ job }) => isOf(caller, job))
      const entries: (PersistedStat | null)[] = new Array(names.length).fill(null)
      await runInFlight(names.entries(), PERSISTED_CHANGES_IN_FLIGHT, async ([at, each]) => {
        entries[at] = await persisted.stat(each)
      })
      const objects = entries.flatMap((entry) => (entry === null ? [] : [objectOf(entry)]))
      return { objects, ...(next !== null && { next }) }
    },
  )

  app.get(
    '/v1/kept/object',
    {
      config: forDrivers,
      schema: {
        operationId: 'getKept',
        tags,
        summary: 'The bytes of a persisted object',
        querystring: name,
        response: {
          ...replies(200, Type.String(), ['BAD_REQUEST', 'NOT_FOUND', 'UNAVAILABLE']),
          200: { description: 'Bytes', content: { 'application/octet-stream': { schema: Type.Any() } } },
        },
      },
    },
    async ({ caller, query }, reply) => {
      requireOwn(caller, query)
      const found = await persisted.stat(query)
      if (found === null) throw noSuchObject(query)
      reply.header('content-length', found.bytes).type('application/octet-stream')
      return await reply.send(Readable.from(piecesOf(persisted, query, found)))
    },
  )

  app.delete(
    '/v1/kept/object',
    {
      config: forDrivers,
      schema: {
        operationId: 'removeKept',
        tags,
        summary: 'Remove a persisted object',
        querystring: name,
        response: replies(200, keptObject, ['BAD_REQUEST', 'NOT_FOUND', 'UNAVAILABLE']),
      },
    },
    async ({ caller, query }) => {
      requireOwn(caller, query)
      const found = await persisted.stat(query)
      if (found === null || !(await persisted.remove(query, null))) throw noSuchObject(query)
      return objectOf(found)
    },
  )
}

async function* piecesOf(
  persisted: PersistedStore,
  name: PersistedName,
  { bytes, stamp }: PersistedStat,
): AsyncGenerator<Buffer> {
  for (let offset = 0; offset < bytes; offset += PERSISTED_READ_BYTES) {
    const length = Math.min(PERSISTED_READ_BYTES, bytes - offset)
    const piece = await persisted.get(name, { offset, length }, stamp ?? undefined)
    if (piece.length !== length)
      throw new MayflyError('OBJECT_LOST', 'The persisted object changed while it was read')
    yield piece
  }
}

function objectOf({ job, bucket, key, bytes, expiresAtMs }: PersistedStat) {
  return { job, bucket, key, bytes, expiresAtMs }
}
