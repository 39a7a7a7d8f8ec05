import { expect, test } from 'vitest'
import type { Job } from '../../client/job.ts'
import { open, Planes } from '../fixture/planes.ts'

const keys = Array.from({ length: 40 }, (_, number) => `key/${number}`)

async function openTwo() {
  const planes = await Planes.start()
  const nodes = [await planes.startNode(), await planes.startNode()] as const
  const ticket = await planes.createJob('j-1', nodes)
  const job = await open(ticket)
  await Promise.all(keys.map((key) => job.put(key, key)))
  return { nodes, ticket, job }
}

/** Which keys exist; null if no node answers for the key. */
async function present(job: Job): Promise<(boolean | null)[]> {
  return await Promise.all(keys.map((key) => job.exists(key, { deadlineMs: 500 }).catch(() => null)))
}

test('deleteMany deletes keys of several nodes and counts those that were there', async () => {
  const { job } = await openTwo()
  expect(await job.deleteMany([...keys, 'none'])).toBe(keys.length)
  expect(await job.deleteMany(keys)).toBe(0)
  expect(await job.deleteMany([])).toBe(0)
})

test('I13: deleteMany that deleted some keys and could not reach the others is OUTCOME_UNKNOWN', async () => {
  const { nodes, ticket } = await openTwo()
  await nodes[0].stop()
  // A client without a connection cannot lose an answer.
  const job = await open(ticket)
  await expect(job.deleteMany(keys, { deadlineMs: 500 })).rejects.toMatchObject({
    code: 'OUTCOME_UNKNOWN',
    message: expect.stringMatching(/^\d+ of the keys were deleted and others were not: /),
  })
  expect(new Set(await present(job))).toEqual(new Set([false, null]))
})

test('I13: deleteMany that found nothing to delete and could not reach the rest may be tried again', async () => {
  const { nodes, ticket, job: first } = await openTwo()
  await first.deleteMany(keys)
  await nodes[0].stop()
  const job = await open(ticket)
  await expect(job.deleteMany(keys, { deadlineMs: 500 })).rejects.toMatchObject({ retryable: true })
})
