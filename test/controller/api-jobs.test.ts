import { describe, expect, test } from 'vitest'
import { parseTicket } from '../../protocol/ticket.ts'
import { MIB, World } from './support/world.ts'

describe('registration', () => {
  test('answers with an active job, its reservation and a ticket once the node has reported', async () => {
    const world = await World.start()
    const { status, body } = await world.register({
      hints: { capacityBytes: 32 * MIB, peakBytesPerSecond: 5_000_000 },
      leaseSeconds: 60,
    })
    console.log(
      JSON.stringify(body, null, 1),
      (await world.ask('/v1/cluster')).text,
      (await world.ask('/v1/nodes')).text,
    )
    console.log((await world.ask('/metrics')).text.slice(0, 1500))
    const o = await world.ask('/openapi.json')
    console.log(o.status, o.text.slice(0, 3000))
    expect(status).toBe(201)
    expect(parseTicket(body.ticket).job).toBe(body.id)
    console.log((await world.register({ hints: { foo: 1 } })).text)
    console.log((await world.register({ hints: { capacityBytes: -1 } })).text)
    console.log((await world.register({ hints: { capacityBytes: 2 ** 40 } })).text)
    console.log(
      (
        await world.ask('/v1/jobs/' + body.id, {
          method: 'DELETE',
          headers: { 'content-type': 'application/json' },
        })
      ).text,
    )
  })
})
