import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { type Job, openJob } from '../../../client/job.ts'
import { placementOperations } from '../../../protocol/operations/plane-operations.ts'
import type { CapacityRequest } from '../../../protocol/operations/reports.ts'
import { CAPACITY_WAIT_MS } from '../../../storage-node/tiers/limits.ts'
import { open, Planes } from '../../fixture/planes.ts'

const MIB = 1024 * 1024
/** Longer than one wait at the node, so that the SDK asks again. */
const GROWN_AFTER_MS = CAPACITY_WAIT_MS + 500

/** A full job on a node whose controller neither grants nor refuses capacity until the test does. */
async function full() {
  const planes = await Planes.start()
  const asked: CapacityRequest[] = []
  const askCapacity = async (request: CapacityRequest) => {
    asked.push(request)
    return { limited: [] }
  }
  const node = await planes.startNode(64 * MIB, 1e9, { askCapacity })
  const ticket = await planes.createJob('j-1', [node], { capacityBytes: 4 * MIB })
  const job = await open(ticket)
  const fill = async (bytes: number): Promise<void> => {
    for (let index = 0; ; index++)
      try {
        await job.put(`filler/${bytes}/${index}`, Buffer.alloc(bytes), { deadlineMs: 200 })
      } catch {
        return
      }
  }
  await fill(200_000)
  await fill(5_000)
  const grow = () =>
    planes.ask(placementOperations.jobShares, {
      job: 'j-1',
      readsPerThousand: null,
      shares: planes.shares([node], 48 * MIB),
    })
  const underWay = (): number => node.node.requireJob('j-1').underWay.bytes
  return { job, ticket, grow, asked, underWay }
}

const value = Buffer.alloc(60_000, 7)
const keys = ['late/0', 'late/1', 'late/2']

const puts: Readonly<Record<string, (job: Job, deadlineMs: number) => Promise<unknown>>> = {
  put: (job, deadlineMs) => job.put('late', value, { deadlineMs }),
  append: (job, deadlineMs) => job.append('late', value, { deadlineMs }),
  putMany: (job, deadlineMs) =>
    job.putMany(
      keys.map((key) => ({ key, bytes: value })),
      { deadlineMs },
    ),
  'put of a large object': (job, deadlineMs) => job.put('late', Buffer.alloc(5 * MIB, 7), { deadlineMs }),
}

test.each(Object.entries(puts))(
  '%s of a job that is full waits within its deadline until the job may have more',
  async (_, run) => {
    const { job, grow } = await full()
    const before = performance.now()
    const grown = sleep(GROWN_AFTER_MS).then(grow)
    await run(job, 20_000)
    expect(performance.now() - before).toBeGreaterThan(GROWN_AFTER_MS - 1)
    await grown
  },
)

test.each(Object.entries(puts))(
  '%s of a job that stays full ends with its deadline, and stores nothing after it',
  async (_, run) => {
    const { job, grow, underWay } = await full()
    const error = await run(job, CAPACITY_WAIT_MS + 1_000).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({
      code: expect.stringMatching(/^(DEADLINE_EXCEEDED|UNAVAILABLE)$/),
    })
    await expect.poll(underWay).toBe(0)
    await grow()
    expect([await job.exists('late'), await job.exists('late/2')]).toEqual([false, false])
  },
)

test('a put whose client is gone holds no memory, and nothing more is asked for it', async () => {
  const { ticket, asked, underWay } = await full()
  const client = await openJob(ticket)
  const lost = client.put('late', value).catch((error: unknown) => error)
  await expect.poll(() => asked.at(-1)?.jobs[0]?.waitingBytes).toBe(value.length)
  expect(underWay()).toBe(value.length)
  await client.close()
  expect(await lost).toMatchObject({ code: 'CLOSED' })
  await expect.poll(underWay).toBe(0)
  await expect
    .poll(
      () => {
        const { length } = asked.splice(0)
        return length
      },
      { interval: 500 },
    )
    .toBe(0)
})
