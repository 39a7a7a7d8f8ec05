import { describe, expect, test } from 'vitest'
import { pageOf, positionAt } from '../../../controller/api/routes/paging.ts'
import { World } from '../support/world.ts'

describe('a paged list', () => {
  const items = ['d', 'a', 'c', 'b'].map((id) => ({ id }))

  test('has each item once, in order, though others come and go meanwhile', () => {
    const seen: string[] = []
    let after = ''
    let living = items
    for (;;) {
      const { items: page, next } = pageOf(living, ({ id }) => id, { limit: 1, after })
      seen.push(...page.map(({ id }) => id))
      if (next === undefined) break
      after = next
      // The item that the position names is gone, and one before it is new.
      living = [...living.filter(({ id }) => id !== next), { id: '0' }]
    }
    expect(seen).toEqual(['a', 'b', 'c', 'd'])
  })

  test('is in order of time, and of id where times are equal', () => {
    expect([positionAt(10, 'b'), positionAt(9, 'z'), positionAt(10, 'a')].sort()).toEqual([
      positionAt(9, 'z'),
      positionAt(10, 'a'),
      positionAt(10, 'b'),
    ])
  })
})

test('jobs and nodes are listed by page and filter, and what a filter does not take is refused by its name', async () => {
  const world = await World.start({ warmNodes: 2 })
  for (const name of ['a', 'b', 'a']) await world.register({ name })
  const jobs = async (query: string): Promise<string[]> =>
    (await world.ask(`/v1/jobs?${query}`)).body.jobs.map(({ name }: { name: string }) => name)
  expect((await jobs('')).length).toBe(3)
  expect(await jobs('name=a')).toEqual(['a', 'a'])
  expect(await jobs('name=a&state=active&owner=default&limit=1')).toEqual(['a'])
  expect(await jobs('state=ending')).toEqual([])
  expect(await jobs('owner=somebody')).toEqual([])
  const { body } = await world.ask('/v1/nodes?limit=1&class=small')
  expect([body.nodes.length, typeof body.next]).toEqual([1, 'string'])
  const rest = (await world.ask(`/v1/nodes?after=${body.next}`)).body
  expect([rest.nodes.length, rest.next]).toEqual([1, undefined])
  expect((await world.ask('/v1/nodes?state=lost')).body).toEqual({ nodes: [] })
  const wrong = {
    'limit=0': 'limit',
    'limit=x': 'limit',
    'limit=1001': 'limit',
    'state=odd': 'state',
    'nam=a': 'nam',
  }
  for (const [query, field] of Object.entries(wrong)) {
    const { status, body: answer } = await world.ask(`/v1/jobs?${query}`)
    expect([status, answer.error.field]).toEqual([400, field])
  }
})
