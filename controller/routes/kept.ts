import { Readable } from 'node:stream'
import Type from 'typebox'
import { MayflyError } from '../../protocol/errors.ts'
import { KEPT_LIST_MAX, KEPT_READ_BYTES } from '../../service/kept/kept-limits.ts'
import { type KeptEntry, type KeptName, type KeptStore, noSuchObject } from '../../service/kept/kept-store.ts'
import { keptObject, keptPage, replies } from '../schemas.ts'
import type { Api, Routes } from './api.ts'

const tags = ['kept']
const name = Type.Object({
  job: Type.String({ minLength: 1, maxLength: 255 }),
  bucket: Type.String({ minLength: 1, maxLength: 255 }),
  key: Type.String({ minLength: 1, maxLength: 1024 }),
})

/** Objects that were put with `persist`, whatever became of their jobs. */
export function keptRoutes(app: Api, { kept }: Pick<Routes, 'kept'>): void {
  app.get(
    '/v1/kept',
    {
      schema: {
        tags,
        summary: 'Kept objects, in the order of their names',
        description:
          '`prefix` is of JOB/BUCKET/KEY. `next` is the `after` of the next page; it is missing on the last one.',
        querystring: Type.Object({
          prefix: Type.Optional(Type.String({ maxLength: 1024 })),
          after: Type.Optional(Type.String({ maxLength: 1024 })),
        }),
        response: replies(200, keptPage, ['BAD_REQUEST', 'UNAVAILABLE']),
      },
    },
    async ({ query: { prefix = '', after = '' } }) => {
      const objects = await kept.list({ prefix, after, limit: KEPT_LIST_MAX })
      const last = objects.at(-1)
      const next = objects.length < KEPT_LIST_MAX || last === undefined ? {} : { next: nameOf(last) }
      return { objects, ...next }
    },
  )

  app.get(
    '/v1/kept/object',
    {
      schema: {
        tags,
        summary: 'The bytes of a kept object',
        querystring: name,
        response: {
          ...replies(200, Type.String(), ['BAD_REQUEST', 'NOT_FOUND', 'UNAVAILABLE']),
          200: { description: 'Bytes', content: { 'application/octet-stream': { schema: Type.Any() } } },
        },
      },
    },
    async ({ query }, reply) => {
      const found = await kept.stat(query)
      if (found === null) throw noSuchObject(query)
      reply.header('content-length', found.bytes).type('application/octet-stream')
      return await reply.send(Readable.from(piecesOf(kept, query, found)))
    },
  )

  app.delete(
    '/v1/kept/object',
    {
      schema: {
        tags,
        summary: 'Remove a kept object',
        querystring: name,
        response: replies(200, keptObject, ['BAD_REQUEST', 'NOT_FOUND', 'UNAVAILABLE']),
      },
    },
    async ({ query }) => {
      const found = await kept.stat(query)
      if (found === null || !(await kept.remove(query))) throw noSuchObject(query)
      return found
    },
  )
}

async function* piecesOf(kept: KeptStore, name: KeptName, { bytes }: KeptEntry): AsyncGenerator<Buffer> {
  for (let offset = 0; offset < bytes; offset += KEPT_READ_BYTES) {
    const length = Math.min(KEPT_READ_BYTES, bytes - offset)
    const piece = await kept.get(name, { offset, length })
    if (piece.length !== length)
      throw new MayflyError('OBJECT_LOST', 'The kept object changed while it was read')
    yield piece
  }
}

function nameOf({ job, bucket, key }: KeptName): string {
  return `${job}/${bucket}/${key}`
}
