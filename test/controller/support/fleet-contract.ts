import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, type TestContext, test } from 'vitest'
import type { Fleet } from '../../../controller/nodes/fleet/fleet.ts'
import { isRunning } from '../../fixture/mayfly-up.ts'

/** A world in which a fleet starts real processes, `fixture/fleet-node.mjs`. It has the classes `small` and `broken`. */
export interface FleetWorld {
  /** A fleet as a controller has it. A further one is that of the next controller. */
  open(): Promise<Fleet>
  /** Where a node leaves its process id. */
  readonly dir: string
}

/** What a fleet has told its watcher. */
class Told {
  readonly started: string[] = []
  readonly over = new Map<string, { readonly isProof: boolean; readonly reason: string }>()
  readonly fleet: Fleet

  constructor(fleet: Fleet) {
    this.fleet = fleet
    fleet.watch({
      started: ({ node }) => void this.started.push(node),
      exited: (node, reason) => this.#over(node, { isProof: true, reason }),
      gone: (node, reason) => this.#over(node, { isProof: false, reason }),
      listed: () => undefined,
    })
    onTestFinished(() => fleet.close())
  }

  #over(node: string, as: { isProof: boolean; reason: string }): void {
    // Only the first word counts.
    if (!this.over.has(node)) this.over.set(node, as)
  }
}

/** What every fleet that starts nodes does, whatever a node is to it. */
export function fleetContract(prepare: (context: TestContext) => Promise<FleetWorld>): void {
  const begin = async (context: TestContext) => {
    const world = await prepare(context)
    const told = new Told(await world.open())
    expect(await told.fleet.list()).toEqual([])
    return { world, told }
  }

  test('starts a node, tells so once, and lists it', async (context) => {
    const { world, told } = await begin(context)
    told.fleet.start('n-a', 'small')
    const pid = await pidOf(world, 'n-a')
    await expect.poll(() => told.started).toEqual(['n-a'])
    const [listed] = (await told.fleet.list()) ?? []
    expect(listed).toMatchObject({ node: 'n-a' })
    expect([null, pid]).toContain(listed?.pid)
    told.fleet.stop('n-a')
    await expect.poll(() => told.over.has('n-a')).toBe(true)
  })

  test('stops a node; its exit is proven, and its process has ended', async (context) => {
    const { world, told } = await begin(context)
    told.fleet.start('n-a', 'small')
    const pid = await pidOf(world, 'n-a')
    told.fleet.stop('n-a')
    await expect.poll(() => told.over.get('n-a')).toMatchObject({ isProof: true })
    expect(isRunning(pid)).toBe(false)
    await expect.poll(() => told.fleet.list()).toEqual([])
  })

  test('proves the death of a process that was killed, and says how it ended', async (context) => {
    const { world, told } = await begin(context)
    told.fleet.start('n-a', 'small')
    process.kill(await pidOf(world, 'n-a'), 'SIGKILL')
    await expect.poll(() => told.over.get('n-a')).toMatchObject({ isProof: true })
    expect(told.over.get('n-a')?.reason).toMatch(/SIGKILL|137/)
    await expect.poll(() => told.fleet.list()).toEqual([])
  })

  test('proves the death of a process that ends by itself, with its exit code', async (context) => {
    const { told } = await begin(context)
    told.fleet.start('n-a', 'broken')
    await expect.poll(() => told.over.get('n-a')).toMatchObject({ isProof: true })
    expect(told.over.get('n-a')?.reason).toMatch(/code 3/)
  })

  test('says of a node that it never had, and of one of an unknown class, that it is over', async (context) => {
    const { told } = await begin(context)
    told.fleet.stop('n-a')
    told.fleet.start('n-b', 'unknown')
    await expect.poll(() => [...told.over.keys()].sort()).toEqual(['n-a', 'n-b'])
    expect(told.started).toEqual([])
  })

  test('starts one process for a node that is asked for twice', async (context) => {
    const { world, told } = await begin(context)
    told.fleet.start('n-a', 'small')
    const pid = await pidOf(world, 'n-a')
    told.fleet.start('n-a', 'small')
    await expect.poll(() => told.started.length).toBeGreaterThan(0)
    expect(await told.fleet.list()).toHaveLength(1)
    expect(await pidOf(world, 'n-a')).toBe(pid)
    told.fleet.stop('n-a')
    await expect.poll(() => told.over.has('n-a')).toBe(true)
    expect(isRunning(pid)).toBe(false)
  })

  test('stops a node that is still starting', async (context) => {
    const { told } = await begin(context)
    told.fleet.start('n-a', 'small')
    told.fleet.stop('n-a')
    await expect.poll(() => told.over.has('n-a')).toBe(true)
    await expect.poll(() => told.fleet.list()).toEqual([])
  })

  test('the next controller lists what runs, and sees it end', async (context) => {
    const { world, told } = await begin(context)
    for (const node of ['n-a', 'n-b']) told.fleet.start(node, 'small')
    const pid = await pidOf(world, 'n-a')
    await pidOf(world, 'n-b')
    told.fleet.close()
    const next = new Told(await world.open())
    const listed = (await next.fleet.list()) ?? []
    expect(listed.map(({ node }) => node).sort()).toEqual(['n-a', 'n-b'])
    process.kill(pid, 'SIGKILL')
    await expect.poll(() => next.over.get('n-a')).toMatchObject({ isProof: true })
    next.fleet.stop('n-b')
    await expect.poll(() => next.over.get('n-b')).toMatchObject({ isProof: true })
  })
}

async function pidOf({ dir }: FleetWorld, node: string): Promise<number> {
  let pid = 0
  await expect
    .poll(async () => {
      pid = Number(await readFile(join(dir, node), 'utf8').catch(() => '0'))
      return pid
    })
    .toBeGreaterThan(0)
  return pid
}
