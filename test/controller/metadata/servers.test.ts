import { expect, test } from 'vitest'
import { MayflyError } from '../../../protocol/errors.ts'
import { Life } from '../support/mortal.ts'
import { VirtualClock } from '../support/virtual-clock.ts'
import { eventually, World } from '../support/world.ts'

async function startTwo() {
  const world = await World.start()
  await world.reportMetadata('m-2')
  return world
}

const move = (world: World, job: string, metadata: unknown) =>
  world.ask(`/v1/jobs/${job}/move`, { method: 'POST', body: { metadata } })

test('jobs are spread over the servers, and the cluster says how many each has', async () => {
  const world = await startTwo()
  const servers = []
  for (let job = 0; job < 4; job++) servers.push((await world.register()).body.metadata)
  expect(servers).toEqual(['m-1', 'm-2', 'm-1', 'm-2'])
  const { metadata } = (await world.ask('/v1/cluster')).body
  expect(metadata).toMatchObject([
    { id: 'm-1', jobs: 2, busy: 0 },
    { id: 'm-2', jobs: 2, busy: 0 },
  ])
})

test('a job is handed to another server, and that is told', async () => {
  const world = await startTwo()
  const { id } = (await world.register()).body
  const reply = await move(world, id, 'm-2')
  expect(reply).toMatchObject({ status: 200, body: { id, metadata: 'm-2' } })
  expect(world.metadata.asked).toContain(`move ${id} from m-1:7401 to m-2`)
  const metrics = (await world.ask('/metrics')).text
  expect(metrics).toContain('mayfly_events_total{type="job.moved"} 1')
  expect((await move(world, id, 'm-2')).status).toBe(200)
})

test('a job that moved ends on every server that had it, in their order', async () => {
  const world = await startTwo()
  const { id } = (await world.register()).body
  for (const to of ['m-2', 'm-1', 'm-2']) await move(world, id, to)
  const ends: string[] = []
  const end = world.metadata.endJob.bind(world.metadata)
  world.metadata.endJob = async (address, job) => {
    ends.push(address)
    await end(address, job)
  }
  expect((await world.ask(`/v1/jobs/${id}`, { method: 'DELETE' })).status).toBe(200)
  expect(ends).toEqual(['m-1:7401', 'm-2:7401'])
})

test('a move to a server that nobody knows, and of a job that is not there, is refused', async () => {
  const world = await startTwo()
  const { id } = (await world.register()).body
  expect((await move(world, id, 'm-9')).body.error).toMatchObject({ code: 'BAD_REQUEST' })
  expect((await move(world, id, 7)).status).toBe(400)
  expect((await move(world, 'j-none', 'm-2')).status).toBe(404)
  await world.ask(`/v1/jobs/${id}`, { method: 'DELETE' })
  expect((await move(world, id, 'm-2')).status).toBe(410)
})

test('a controller that is killed at any point of a move brings it to its end', async () => {
  const deaths = [1, 2, 3].flatMap((write) => [
    { write, when: 'before' as const },
    { write, when: 'after' as const },
  ])
  for (const death of deaths) {
    const world = await startTwo()
    const { id } = (await world.register()).body
    await world.stop()
    const life = new Life(death)
    await world.startController({ life })
    await world.reportMetadata('m-2')
    void move(world, id, 'm-2').catch(() => undefined)
    await new Promise((resolve) => setTimeout(resolve, 100))
    await world.stop()
    await world.startController()
    await world.reportMetadata('m-2')
    const begun = world.metadata.asked.some((what) => what.startsWith('move'))
    await eventually(async () => {
      const { metadata } = (await world.ask(`/v1/jobs/${id}`)).body
      if (begun) expect(metadata).toBe('m-2')
    })
    expect((await move(world, id, 'm-2')).body).toMatchObject({ metadata: 'm-2' })
    await world.stop()
  }
})

test('a server that is busy for long gets another one beside it', async () => {
  const world = await World.start()
  await eventually(async () => {
    await world.reportMetadata('m-1', 0.95)
    expect(world.fleet.metadataStarted).toEqual(['m-2'])
  })
})

test('a server whose connections break is unavailable to who asks the API, as its document says', async () => {
  const clock = new VirtualClock()
  const world = await World.start({ clock })
  const { id } = (await world.register()).body
  let asked = 0
  world.metadata.shareJob = async () => {
    asked++
    throw new MayflyError('CONNECTION_LOST', 'The connection was reset')
  }
  const resized = world.ask(`/v1/jobs/${id}`, { method: 'PATCH', body: { hints: { maxFunctions: 2 } } })
  await eventually(() => expect(asked).toBe(1))
  for (let second = 0; second < 20; second++) await clock.advance(1_000)
  const { status, body } = await resized
  expect([status, body.error.code]).toEqual([503, 'UNAVAILABLE'])
  expect(asked).toBeGreaterThan(1)
})

test('a transfer that failed in the background and was completed on request is reported as failing no more', async () => {
  const clock = new VirtualClock()
  const world = await World.start({ clock })
  await world.reportMetadata('m-2')
  const { id } = (await world.register()).body
  const moveJob = world.metadata.moveJob.bind(world.metadata)
  world.metadata.moveJob = async () => {
    throw new MayflyError('FORBIDDEN', 'Not now')
  }
  const failing = async (): Promise<string | undefined> =>
    /mayfly_tasks_failing\{process="controller",task="moveJob"\} (\d+)/.exec(
      (await world.ask('/metrics')).text,
    )?.[1]
  expect((await move(world, id, 'm-2')).status).toBe(403)
  await eventually(async () => {
    await clock.advance(1_000)
    expect(await failing()).toBe('1')
  })
  world.metadata.moveJob = moveJob
  expect((await move(world, id, 'm-2')).body).toMatchObject({ metadata: 'm-2' })
  await eventually(async () => {
    await clock.advance(1_000)
    expect(await failing()).toBe('0')
  })
})

test('a server that could not be compared with the ledger is compared again, though it is not new any more', async () => {
  const clock = new VirtualClock()
  const world = await World.start({ clock })
  const { jobs } = world.metadata
  let asked = 0
  world.metadata.jobs = async (address) => {
    if (asked++ === 0) throw new MayflyError('FORBIDDEN', 'Not now')
    return [...(await jobs.call(world.metadata, address)), 'j-nobody-knows']
  }
  await world.reportMetadata('m-2')
  await eventually(async () => {
    await clock.advance(500)
    await world.reportMetadata('m-2')
    expect(world.metadata.asked).toContain('end j-nobody-knows')
  })
})
