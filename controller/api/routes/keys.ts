import type { KeyShown, Keys } from '../../access/keys.ts'
import type { KeyRecord } from '../../records/key-record.ts'
import { replies } from '../replies.ts'
import { keyList, keyParams, keyRotation, keyShown, keyWithSecret, newKey } from '../schemas.ts'
import type { Api } from './api.ts'

const tags = ['keys']

/** API keys; only admins may access them. */
export function keyRoutes(app: Api, { keys }: { readonly keys: Keys }): void {
  app.get(
    '/v1/keys',
    {
      schema: {
        operationId: 'listKeys',
        tags,
        summary: 'API keys, without the keys themselves',
        response: replies(200, keyList, []),
      },
    },
    () => ({ keys: keys.all().map(show) }),
  )

  app.post(
    '/v1/keys',
    {
      schema: {
        operationId: 'makeKey',
        tags,
        summary: 'Make an API key',
        description: 'The answer has the key itself, which is not stored: if it is lost, rotate the key.',
        body: newKey,
        response: replies(201, keyWithSecret, ['BAD_REQUEST', 'UNAVAILABLE']),
      },
    },
    async ({ body: { name, role, limits = {} } }, reply) => {
      const { key, record } = await keys.make({ name, role, limits })
      return reply.status(201).send({ ...showMade(record), key })
    },
  )

  app.post(
    '/v1/keys/:name/rotate',
    {
      schema: {
        operationId: 'rotateKey',
        tags,
        summary: 'Put another key in the place of one',
        params: keyParams,
        body: keyRotation,
        response: replies(200, keyWithSecret, ['BAD_REQUEST', 'NOT_FOUND', 'UNAVAILABLE']),
      },
    },
    async ({ params, body }) => {
      const { key, record } = await keys.rotate(params.name, body.graceSeconds ?? 0)
      return { ...showMade(record), key }
    },
  )

  app.delete(
    '/v1/keys/:name',
    {
      schema: {
        operationId: 'revokeKey',
        tags,
        summary: 'Revoke an API key',
        description:
          'It is refused from here on. Its jobs live on, with their tickets; a key that is made with its name later owns them.',
        params: keyParams,
        response: replies(200, keyShown, ['BAD_REQUEST', 'NOT_FOUND', 'UNAVAILABLE']),
      },
    },
    async ({ params }) => showMade(await keys.revoke(params.name)),
  )
}

function showMade(record: KeyRecord) {
  const { name, role, limits } = record
  return show({ name, role, limits, source: 'api', record })
}

function show({ name, role, limits, source, record }: KeyShown) {
  return {
    name,
    role,
    limits,
    source,
    ...(record !== null && { createdAt: timeOf(record.createdAtMs) }),
    ...(record !== null && record.rotatedAtMs !== null && { rotatedAt: timeOf(record.rotatedAtMs) }),
  }
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString()
}
