import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { systemRuntime } from '../../../../protocol/runtime.ts'
import { S3Bucket } from '../../../../service/s3/s3-bucket.ts'
import type { S3Settings } from '../../../../service/s3/s3-settings.ts'
import { TierBudget } from '../../../../storage-node/budget/budget.ts'
import { JobTiers } from '../../../../storage-node/tiers/job-tiers.ts'
import { S3_DELETE_MS } from '../../../../storage-node/tiers/limits.ts'
import { S3Tier } from '../../../../storage-node/tiers/s3/s3-tier.ts'
import type { TierSpace } from '../../../../storage-node/tiers/tier-store.ts'
import { background } from '../../../fixture/background.ts'
import { type S3Faults, sharedS3, startFaults } from '../../../fixture/s3.ts'
import { tierContract } from '../tier-contract.ts'

const startS3 = sharedS3()

tierContract(
  'S3',
  async (context) =>
    new S3Tier('n-1', new S3Bucket(await startS3(context), systemRuntime.clock), {
      ...systemRuntime,
      background,
    }),
)

function open(node: string, settings: S3Settings): S3Tier {
  const tier = new S3Tier(node, new S3Bucket(settings, systemRuntime.clock), { ...systemRuntime, background })
  onTestFinished(() => tier.close())
  return tier
}

function inspect(settings: S3Settings): () => Promise<string[]> {
  const bucket = new S3Bucket(settings, systemRuntime.clock)
  onTestFinished(() => bucket.close())
  return async () =>
    (await bucket.list({ prefix: '', after: null, limit: 1000 })).entries.map(({ key }) => key)
}

test('a record that is removed is deleted soon, and its job goes with what other nodes left of it', async (context) => {
  const settings = await startS3(context)
  const keys = inspect(settings)
  const job = open('n-1', settings).open('j-a')
  await open('n-dead', settings).open('j-a').write(randomBytes(10))
  await open('n-1', settings).open('j-b').write(randomBytes(10))
  const record = await job.write(randomBytes(10))
  await job.write(randomBytes(10))
  job.remove(record)
  await expect.poll(keys).toEqual(['ephemeral/j-a/n-1/1', 'ephemeral/j-a/n-dead/0', 'ephemeral/j-b/n-1/0'])
  await job.drop()
  expect(await keys()).toEqual(['ephemeral/j-b/n-1/0'])
})

test('a job that ends takes with it what a node that died left on S3, also where no other node had written there', async (context) => {
  const settings = await startS3(context)
  await open('n-dead', settings).open('j-a').write(randomBytes(10))
  await open('n-dead', settings).open('j-b').write(randomBytes(10))
  const budget = new TierBudget(Number.POSITIVE_INFINITY)
  const job = new JobTiers('j-a', [{ number: 2, store: open('n-1', settings), budget }])
  job.setBudget(2, { reservedBytes: 0, bytesMax: 1_000 })
  await job.end()
  expect(await inspect(settings)()).toEqual(['ephemeral/j-b/n-dead/0'])
})

test('a record that somebody else removed or changed is a lost object, never wrong bytes', async (context) => {
  const settings = await startS3(context)
  const job = open('n-1', settings).open('j-a')
  const [removed, changed] = [await job.write(Buffer.from('one')), await job.write(Buffer.from('two'))]
  const bucket = new S3Bucket(settings, systemRuntime.clock)
  onTestFinished(() => bucket.close())
  await bucket.delete([`ephemeral/j-a/n-1/${removed}`])
  await bucket.put(`ephemeral/j-a/n-1/${changed}`, Buffer.from('twO'))
  const range = { offset: 0, length: 3 }
  await expect(job.read(removed, range)).rejects.toMatchObject({ code: 'OBJECT_LOST' })
  await expect(job.read(changed, range)).rejects.toMatchObject({
    code: 'OBJECT_LOST',
    message: expect.stringContaining('checksum'),
  })
})

test('a record that is removed while a slow read of it is under way is deleted after that read', async (context) => {
  const settings = await startS3(context)
  const faults = await startFaults(settings)
  const job = open('n-1', faults.settings).open('j-a')
  const record = await job.write(Buffer.from('slow'))
  const read = await readSlowly(job, record, faults)
  job.remove(record)
  expect((await read()).toString()).toBe('slow')
  await expect.poll(inspect(settings), { timeout: 5_000 }).toEqual([])
})

test('a slow read of a job that ends meanwhile says so, and not that its object is lost', async (context) => {
  const faults = await startFaults(await startS3(context))
  const job = open('n-1', faults.settings).open('j-a')
  const read = await readSlowly(job, await job.write(Buffer.from('slow')), faults)
  await job.drop()
  await expect(read()).rejects.toMatchObject({ code: 'JOB_ENDED' })
})

/** Begins a read whose request the endpoint gets later than deletions that are asked for now; all other requests are fast. */
async function readSlowly(job: TierSpace, record: number, faults: S3Faults): Promise<() => Promise<Buffer>> {
  const before = faults.requests
  faults.delayMs = 2.5 * S3_DELETE_MS
  const outcome = job.read(record, { offset: 0, length: 4 }).then(
    (bytes) => () => bytes,
    (error: unknown) => () => {
      throw error
    },
  )
  await expect.poll(() => faults.requests).toBe(before + 1)
  // The proxy takes the delay of a request when it has all of it.
  await sleep(50)
  faults.delayMs = 0
  return async () => (await outcome)()
}

test('while the endpoint is down writes and reads are UNAVAILABLE, and afterwards all is there', async (context) => {
  const faults = await startFaults(await startS3(context))
  const job = open('n-1', faults.settings).open('j-a')
  const record = await job.write(Buffer.from('before'))
  faults.down = true
  await expect(job.write(Buffer.from('x'))).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  await expect(job.read(record, { offset: 0, length: 6 })).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  expect([job.records, job.usedBytes]).toEqual([1, 6])
  faults.down = false
  expect((await job.read(record, { offset: 0, length: 6 })).toString()).toBe('before')
})
