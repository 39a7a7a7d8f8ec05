import { pino } from 'pino'
import { expect, test } from 'vitest'
import { withRequest } from '../../../service/tracing/call-contexts.ts'
import { World } from '../support/world.ts'

test('a registration and an end have one line each, with the id of their request, which the answer repeats', async () => {
  const lines: Record<string, unknown>[] = []
  const log = pino({ mixin: withRequest }, { write: (line: string) => void lines.push(JSON.parse(line)) })
  const world = await World.start({ warmNodes: 1, log })
  const { body, headers } = await world.register({ name: 'logged' }, { 'x-request-id': 'trace-1' })
  expect(headers.get('x-request-id')).toBe('trace-1')
  const ended = await world.ask(`/v1/jobs/${body.id}`, { method: 'DELETE' })
  const id = ended.headers.get('x-request-id')
  expect(id).toMatch(/^[0-9a-f-]{36}$/)
  const about = lines.filter(({ job }) => job === body.id)
  expect(about).toEqual([
    expect.objectContaining({
      msg: 'a job is registered',
      request: 'trace-1',
      owner: 'default',
      jobName: 'logged',
    }),
    expect.objectContaining({ msg: 'a job has ended', request: id, reason: 'deregistered' }),
  ])
})

test('an id that is no id is replaced', async () => {
  const world = await World.start()
  const { headers } = await world.ask('/healthz', { headers: { 'x-request-id': 'a b"' } })
  expect(headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/)
})
