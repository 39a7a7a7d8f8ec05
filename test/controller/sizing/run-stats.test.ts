import { describe, expect, test } from 'vitest'
import { settle, VirtualClock } from '../support/virtual-clock.ts'
import { MIB, World } from '../support/world.ts'

/** Registers a job, reports these uses of it second by second, and ends it. */
async function runJob(world: World, name: string, uses: readonly number[]): Promise<void> {
  const { body } = await world.register({ name })
  const [part] = body.reservation.nodes
  for (const bytes of uses) {
    await world.report(part.node, [
      { id: body.id, objects: 1, bytes: { ram: bytes }, bytesPerSecond: 3 * bytes },
    ])
  }
  await world.ask(`/v1/jobs/${body.id}`, { method: 'DELETE' })
  await world.report(part.node)
}

describe('what earlier runs of a name used', () => {
  test('sizes the fourth, which says so, also after a restart', async () => {
    const world = await World.start({ warmNodes: 1 })
    for (const peak of [4, 10, 7]) await runJob(world, 'wc', [MIB, peak * MIB, 2 * MIB])
    await world.stop()
    await world.startController()
    const { body } = await world.register({ name: 'wc' })
    expect(body.reservation.bytes.ram).toBe(12 * MIB)
    expect(body.reservation.bytesPerSecond).toBe(21 * MIB)
    expect(body.sizing.bytes).toEqual({
      asked: 12 * MIB,
      ground: 'history',
      because: 'percentile 95 of the peaks of 3 runs, 10485760, × 1.2',
    })
  })

  test('is not asked where a hint is given, nor for another name', async () => {
    const world = await World.start({ warmNodes: 1 })
    for (let run = 0; run < 3; run++) await runJob(world, 'wc', [5 * MIB])
    const hinted = await world.register({ name: 'wc', hints: { capacityBytes: 16 * MIB } })
    expect(hinted.body.sizing).toMatchObject({
      bytes: { ground: 'hint' },
      bytesPerSecond: { ground: 'history' },
    })
    expect((await world.register({ name: 'other' })).body.sizing.bytes.ground).toBe('default')
  })

  test('counts no run that nobody used', async () => {
    const world = await World.start({ warmNodes: 1 })
    for (let run = 0; run < 3; run++) await runJob(world, 'wc', [])
    expect((await world.register({ name: 'wc' })).body.sizing.bytes.ground).toBe('default')
  })

  test('is shown as the peak of a job while it runs, and survives a controller that is killed', async () => {
    const clock = new VirtualClock()
    const world = await World.start({ warmNodes: 1, clock })
    await settle()
    const { body } = await world.register({ name: 'wc' })
    const [{ node }] = body.reservation.nodes
    await world.report(node, [{ id: body.id, objects: 1, bytes: { ram: 9 * MIB }, bytesPerSecond: 5 }])
    await clock.advance(6_000)
    await world.report(node, [{ id: body.id, objects: 1, bytes: { ram: MIB }, bytesPerSecond: 7 }])
    expect((await world.ask(`/v1/jobs/${body.id}`)).body).toMatchObject({
      usage: { bytes: { ram: MIB }, bytesPerSecond: 7 },
      peak: { bytes: 9 * MIB, bytesPerSecond: 7 },
    })
    await clock.advance(1_000)
    await world.stop()
    await world.startController()
    expect((await world.ask(`/v1/jobs/${body.id}`)).body.peak).toEqual({ bytes: 9 * MIB, bytesPerSecond: 7 })
  })
})
