import Type from 'typebox'
import { openReplies } from '../replies.ts'
import { health } from '../schemas.ts'
import type { Api } from './api.ts'

const tags = ['open']

/** Routes that need no key. */
export function openRoutes(app: Api): void {
  app.get(
    '/healthz',
    {
      schema: {
        operationId: 'getHealth',
        tags,
        security: [],
        summary: 'Whether the controller serves',
        response: openReplies(200, health, []),
      },
    },
    () => ({ status: 'ok' as const }),
  )

  app.get(
    '/openapi.json',
    {
      schema: {
        operationId: 'getOpenApi',
        tags,
        security: [],
        summary: 'This document',
        response: openReplies(200, Type.Object({}, { additionalProperties: true }), []),
      },
    },
    () => app.swagger(),
  )
}
