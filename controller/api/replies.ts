import Type, { type TSchema } from 'typebox'
import { type ErrorCode, errorTable } from '../../protocol/errors.ts'
import { named } from './schemas.ts'

const failure = named('Error', {
  error: Type.Object(
    {
      code: Type.Enum(Object.keys(errorTable) as ErrorCode[]),
      message: Type.String({ description: 'What is wrong and what to do' }),
      field: Type.Optional(Type.String({ description: 'The field at fault, like hints.capacityBytes' })),
    },
    { additionalProperties: false },
  ),
})

/** Statuses of requests that are refused before a route is looked up, all with BAD_REQUEST. */
export const earlyStatuses = {
  408: 'The request did not arrive in time',
  414: 'A part of the path is too long',
  431: 'Path and headers are too long',
} as const

/** Replies of a route that needs a key: its own, and the error body for each status that its error codes have. */
export function replies(status: 200 | 201 | 202, reply: TSchema, codes: readonly ErrorCode[]) {
  return openReplies(status, reply, [...codes, 'UNAUTHENTICATED', 'FORBIDDEN'])
}

/** Replies of a route that needs no key. */
export function openReplies(
  status: 200 | 201 | 202,
  reply: TSchema,
  codes: readonly ErrorCode[],
): Record<number, TSchema> {
  const codesOf = new Map<number, ErrorCode[]>()
  for (const code of [...codes, 'INTERNAL'] as const)
    codesOf.set(errorTable[code].status, [...(codesOf.get(errorTable[code].status) ?? []), code])
  const failures = [
    ...[...codesOf].map(([failed, of]) => [failed, of.join(', ')]),
    ...Object.entries(earlyStatuses),
  ].map(([failed, description]) => [failed, { ...failure, description }])
  return { [status]: reply, ...Object.fromEntries(failures) }
}
