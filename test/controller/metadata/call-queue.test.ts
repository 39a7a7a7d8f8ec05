import { describe, expect, test } from 'vitest'
import { METADATA_CALLS_MAX } from '../../../controller/limits.ts'
import { METADATA_CALL_MS } from '../../../controller/metadata/call-queue.ts'
import { CONTROL_CALL_MS } from '../../../protocol/limits.ts'
import { VirtualClock } from '../support/virtual-clock.ts'
import { eventually, MIB, World } from '../support/world.ts'

const hinted = { hints: { capacityBytes: 16 * MIB, peakBytesPerSecond: 1000 } }

/** A cluster with two metadata servers, each with a job on the same node. */
async function start() {
  const clock = new VirtualClock()
  const world = await World.start({ clock })
  await world.reportMetadata('m-2')
  const jobs = [(await world.register(hinted)).body, (await world.register(hinted)).body]
  expect(jobs.map(({ metadata }) => metadata)).toEqual(['m-1', 'm-2'])
  const [node = ''] = world.fleet.running.keys()
  const [hung, other] = jobs.map(({ id }): string => id) as [string, string]
  return { clock, world, node, hung, other }
}

const end = (world: World, id: string) => world.ask(`/v1/jobs/${id}`, { method: 'DELETE' })

describe('a metadata server that hangs', () => {
  test("delays the repair and the end of no other server's job", async () => {
    const { world, node, hung, other } = await start()
    world.metadata.hanging.add('m-1:7401')
    world.fleet.kill(node)
    await eventually(() => expect(world.metadata.asked).toContain(`share ${other}`))
    expect((await end(world, other)).status).toBe(200)
    expect(world.metadata.asked).not.toContain(`share ${hung}`)
  })

  test('gets its own jobs repaired and ended once it answers', async () => {
    const { clock, world, node, hung } = await start()
    const [, unhinted = ''] = [hung, (await world.register(hinted)).body.id as string]
    world.metadata.hanging.add('m-1:7401')
    world.fleet.kill(node)
    const ended = end(world, hung)
    await clock.advance(CONTROL_CALL_MS)
    await expect(ended).resolves.toMatchObject({ status: 503, body: { error: { code: 'UNAVAILABLE' } } })
    world.metadata.hanging.clear()
    for (let second = 0; second < 2 * (METADATA_CALL_MS / 1000); second++) {
      await Promise.all([
        ...[...world.fleet.running.keys()].map((running) => world.report(running)),
        world.reportMetadata('m-1'),
        world.reportMetadata('m-2'),
      ])
      await clock.advance(1_000)
    }
    expect(world.metadata.asked).toContain(`share ${unhinted}`)
    expect((await world.ask(`/v1/jobs/${hung}`)).body.state).toBe('ended')
  })

  test('that had a job before does not keep it from ending', async () => {
    const { world, hung } = await start()
    await world.ask(`/v1/jobs/${hung}/move`, { method: 'POST', body: { metadata: 'm-2' } })
    world.metadata.hanging.add('m-1:7401')
    expect((await end(world, hung)).status).toBe(200)
  })

  test('holds no more than its own calls', async () => {
    const { clock, world, hung, other } = await start()
    world.metadata.hanging.add('m-1:7401')
    const asked = Array.from({ length: METADATA_CALLS_MAX + 10 }, () => world.ask(`/v1/jobs/${hung}`))
    await eventually(() => expect(world.metadata.asked.length).toBeGreaterThan(METADATA_CALLS_MAX))
    expect((await world.ask(`/v1/jobs/${other}`)).status).toBe(200)
    await clock.advance(METADATA_CALL_MS)
    // The ticket contains the placement that is known.
    for (const { status, body } of await Promise.all(asked))
      expect([status, typeof body.ticket]).toEqual([200, 'string'])
  })
})
