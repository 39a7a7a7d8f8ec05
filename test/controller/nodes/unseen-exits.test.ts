import { expect, test } from 'vitest'
import { noCalls } from '../../../protocol/operations/reports.ts'
import { eventually, MIB, smallClass, World, type WorldOptions } from '../support/world.ts'

const small = { hints: { capacityBytes: 32 * MIB, peakBytesPerSecond: 1000 } }

/** A controller whose fleet sees exits of containers, and not that of a process on a lost machine. */
async function start(options: WorldOptions = {}): Promise<World> {
  const world = await World.start(options)
  world.fleet.seesExits = false
  return world
}

async function stateOf(world: World, node: string): Promise<string | undefined> {
  return (await world.nodes()).find(({ id }) => id === node)?.state
}

async function nodesOf(world: World, job: string): Promise<string[]> {
  const { reservation } = (await world.ask(`/v1/jobs/${job}`)).body
  return reservation.nodes.map(({ node }: { node: string }) => node)
}

/** The report of a node whose process was told to end. */
function reportEnding(world: World, node: string) {
  return world.heartbeat(`nodes/${node}`, {
    ...{ class: smallClass.name, address: '127.0.0.1:1', pid: 1, cpuCores: 0, bytesPerSecond: 0 },
    ...{ tiers: { ram: { capacityBytes: smallClass.ramBytes, usedBytes: 0 } }, tasks: [], jobs: [] },
    ...{ calls: noCalls, ending: true },
  })
}

test('a node that is not seen any more keeps its job until metadata has declared it dead', async () => {
  const world = await start()
  const { body } = await world.register(small)
  const [node = ''] = world.fleet.running.keys()
  world.fleet.lose(node)
  await world.report(node)
  expect(await stateOf(world, node)).toBe('active')
  const report = { address: 'm-1:7401', generation: 1, cpuCores: 0, tasks: [], dead: [node] }
  await world.heartbeat('metadata/m-1', report)
  await eventually(async () => expect(await stateOf(world, node)).toBe('lost'))
  await eventually(async () => expect(await nodesOf(world, body.id)).not.toContain(node))
  // It is back, and knows the address of a former metadata server alone.
  expect(await world.report(node)).toMatchObject({ status: 410, body: { error: { code: 'NODE_DEAD' } } })
})

test('a node that is not seen any more and holds nothing is over at once', async () => {
  const world = await start({ warmNodes: 1 })
  await eventually(() => expect(world.fleet.running.size).toBe(1))
  const [node = ''] = world.fleet.running.keys()
  await eventually(async () => expect(await stateOf(world, node)).toBe('active'))
  world.fleet.lose(node)
  await eventually(async () => expect(await stateOf(world, node)).toBe('lost'))
})

test('where a class cannot be started, a registration gets a node of another one', async () => {
  const classes = [
    { ...smallClass, name: 'first' },
    { ...smallClass, name: 'second' },
  ]
  const world = await start({ classes })
  const report = world.fleet.onStart
  world.fleet.onStart = (node) => {
    if (world.fleet.running.get(node)?.class === 'second') report(node)
    else setImmediate(() => world.fleet.lose(node))
  }
  expect((await world.register(small)).status).toBe(201)
  expect([...world.fleet.running.values()].map((node) => node.class)).toEqual(['second'])
})

test('a registration whose nodes cannot be started fails with the reason of the fleet', async () => {
  const world = await start()
  world.fleet.onStart = (node) => void setImmediate(() => world.fleet.lose(node))
  const { status, body } = await world.register(small)
  expect(status).toBe(503)
  expect(body.error.message).toContain('its pod was deleted')
})

test('a node whose process was told to end is drained onto a new one, although there are as many as allowed', async () => {
  const world = await start({ classes: [{ ...smallClass, nodesMax: 1 }] })
  const { body } = await world.register(small)
  const [ending = ''] = world.fleet.running.keys()
  await reportEnding(world, ending)
  await eventually(() => expect(world.fleet.running.size).toBe(2))
  const [, other = ''] = world.fleet.running.keys()
  await eventually(async () => expect(await nodesOf(world, body.id)).toContain(other))
  // It has to report twice that it has no job.
  await eventually(async () => {
    await reportEnding(world, ending)
    expect([...world.fleet.running.keys()]).toEqual([other])
  })
  expect(await nodesOf(world, body.id)).toEqual([other])
})

test('a node that nobody knows is stopped: a former leader has started it', async () => {
  const world = await start()
  world.fleet.appear({ node: 'n-stray', pid: null, class: smallClass.name })
  await eventually(() => expect(world.fleet.running.size).toBe(0))
})

test('nodes of former settings are replaced one at a time', async () => {
  const world = await start({ classes: [{ ...smallClass, nodesMax: 4 }] })
  const full = { hints: { capacityBytes: 150 * MIB, peakBytesPerSecond: 1000 } }
  const jobs = [await world.register(full), await world.register(full)]
  const former = [...world.fleet.running.values()]
  expect(former).toHaveLength(2)
  for (const node of former) world.fleet.appear({ ...node, isOutdated: true })
  const draining = async (): Promise<number> =>
    (await world.nodes()).filter(({ state }) => state === 'draining').length
  let most = 0
  await eventually(async () => {
    most = Math.max(most, await draining())
    for (const node of world.fleet.running.keys()) await world.report(node)
    const names = former.map(({ node }) => node)
    for (const { body } of jobs) expect(names).not.toContain((await nodesOf(world, body.id))[0])
  })
  expect(most).toBe(1)
})
