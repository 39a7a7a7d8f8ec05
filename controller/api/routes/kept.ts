import { Readable } from 'node:stream'
import Type from 'typebox'
import { MayflyError } from '../../../protocol/errors.ts'
import { KEY_BYTES_MAX } from '../../../protocol/limits.ts'
import { runInFlight } from '../../../protocol/transport/in-flight.ts'
import {
  KEPT_CHANGES_IN_FLIGHT,
  KEPT_LIST_MAX,
  KEPT_PART_BYTES_MAX,
  KEPT_POSITION_MAX,
  KEPT_PREFIX_MAX,
  KEPT_READ_BYTES,
} from '../../../service/kept/kept-limits.ts'
import {
  type KeptEntry,
  type KeptName,
  type KeptStore,
  noSuchObject,
} from '../../../service/kept/kept-store.ts'
import type { Caller } from '../../access/keys.ts'
import { isJobOf } from '../../records/id.ts'
import { forAll, forDrivers } from '../authentication.ts'
import { replies } from '../replies.ts'
import { keptObject, keptPage } from '../schemas.ts'
import type { Api, Routes } from './api.ts'

const tags = ['kept']
const part = Type.String({ minLength: 1, maxLength: KEPT_PART_BYTES_MAX, pattern: '^[^/\\u0000]*$' })
const name = Type.Object({
  job: part,
  bucket: part,
  key: Type.String({ minLength: 1, maxLength: KEY_BYTES_MAX }),
})

/** Objects that were put with `persist`, including those of jobs that have ended. */
export function keptRoutes(app: Api, { kept, ledger }: Pick<Routes, 'kept' | 'ledger'>): void {
  /** A driver may access what its own jobs have persisted, including jobs whose records are deleted. */
  const isOf = ({ name: owner, role }: Caller, job: string): boolean =>
    role !== 'driver' || isJobOf(job, owner) || ledger.get(job)?.owner === owner
  const requireOwn = (caller: Caller, query: KeptName): void => {
    if (!isOf(caller, query.job)) throw noSuchObject(query)
  }

  app.get(
    '/v1/kept',
    {
      config: forAll,
      schema: {
        operationId: 'listKept',
        tags,
        summary: 'Kept objects',
        description:
          '`prefix` is of JOB/BUCKET/KEY. `next` is the `after` of the next page; it is missing on the last one. The order is that of the store, each time the same. For a driver a page has what its own jobs have kept, which may be nothing though there is a next one.',
        querystring: Type.Object({
          prefix: Type.Optional(
            Type.String({
              maxLength: KEPT_PREFIX_MAX,
              pattern: '^[^\\u0000]*$',
              description: 'Without NUL characters, which no name has',
            }),
          ),
          after: Type.Optional(Type.String({ maxLength: KEPT_POSITION_MAX })),
        }),
        response: replies(200, keptPage, ['BAD_REQUEST', 'UNAVAILABLE']),
      },
    },
    async ({ caller, query: { prefix = '', after = '' } }) => {
      const { names: found, next } = await kept.list({ prefix, after, limit: KEPT_LIST_MAX })
      const names = found.filter(({ job }) => isOf(caller, job))
      const entries: (KeptEntry | null)[] = new Array(names.length).fill(null)
      await runInFlight(names.entries(), KEPT_CHANGES_IN_FLIGHT, async ([at, each]) => {
        entries[at] = await kept.stat(each)
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
        summary: 'The bytes of a kept object',
        querystring: name,
        response: {
          ...replies(200, Type.String(), ['BAD_REQUEST', 'NOT_FOUND', 'UNAVAILABLE']),
          200: { description: 'Bytes', content: { 'application/octet-stream': { schema: Type.Any() } } },
        },
      },
    },
    async ({ caller, query }, reply) => {
      requireOwn(caller, query)
      const found = await kept.stat(query)
      if (found === null) throw noSuchObject(query)
      reply.header('content-length', found.bytes).type('application/octet-stream')
      return await reply.send(Readable.from(piecesOf(kept, query, found)))
    },
  )

  app.delete(
    '/v1/kept/object',
    {
      config: forDrivers,
      schema: {
        operationId: 'removeKept',
        tags,
        summary: 'Remove a kept object',
        querystring: name,
        response: replies(200, keptObject, ['BAD_REQUEST', 'NOT_FOUND', 'UNAVAILABLE']),
      },
    },
    async ({ caller, query }) => {
      requireOwn(caller, query)
      const found = await kept.stat(query)
      if (found === null || !(await kept.remove(query, null))) throw noSuchObject(query)
      return objectOf(found)
    },
  )
}

async function* piecesOf(
  kept: KeptStore,
  name: KeptName,
  { bytes, stamp }: KeptEntry,
): AsyncGenerator<Buffer> {
  for (let offset = 0; offset < bytes; offset += KEPT_READ_BYTES) {
    const length = Math.min(KEPT_READ_BYTES, bytes - offset)
    const piece = await kept.get(name, { offset, length }, stamp ?? undefined)
    if (piece.length !== length)
      throw new MayflyError('OBJECT_LOST', 'The kept object changed while it was read')
    yield piece
  }
}

function objectOf({ job, bucket, key, bytes, expiresAtMs }: KeptEntry) {
  return { job, bucket, key, bytes, expiresAtMs }
}
