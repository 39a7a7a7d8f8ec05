import type { FastifyRequest } from 'fastify'
import Type from 'typebox'
import { LIST_MAX } from '../../limits.ts'

/** Longer than the position of any item. */
const POSITION_CHARACTERS_MAX = 128

/** Query parameters of every paged list. */
export const paging = {
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: LIST_MAX,
      description: `How many the page has at most; ${LIST_MAX} where it is missing`,
    }),
  ),
  after: Type.Optional(
    Type.String({
      maxLength: POSITION_CHARACTERS_MAX,
      description: 'The `next` of the page before; the first page where it is missing',
    }),
  ),
}

export interface Page<Item> {
  readonly items: readonly Item[]
  /** Present where a page follows. */
  readonly next?: string
}

/**
 * The items whose position is above `after`, in the order of their positions. An item that exists during a whole listing is on one of its pages
 * exactly once: its position never changes.
 */
export function pageOf<Item>(
  all: readonly Item[],
  positionOf: (item: Item) => string,
  { limit = LIST_MAX, after = '' }: { limit?: number; after?: string },
): Page<Item> {
  const positioned = all
    .map((item) => ({ item, position: positionOf(item) }))
    .filter(({ position }) => position > after)
    .sort((a, b) => (a.position < b.position ? -1 : 1))
  const page = positioned.slice(0, limit)
  const last = page.at(-1)
  return {
    items: page.map(({ item }) => item),
    ...(last !== undefined && page.length < positioned.length && { next: last.position }),
  }
}

/** A position in the order of time; `atMs` is in milliseconds since the Unix epoch. */
export function positionAt(atMs: number, id: string): string {
  return `${String(Math.floor(atMs)).padStart(14, '0')}.${id}`
}

/** Query parameters arrive as text; the schema wants a number for this one. */
export async function readLimit(request: FastifyRequest): Promise<void> {
  const query = request.query as { limit?: unknown }
  if (typeof query.limit === 'string' && /^\d{1,9}$/.test(query.limit)) query.limit = Number(query.limit)
}
