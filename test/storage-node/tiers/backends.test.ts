import { randomBytes } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { placementOperations } from '../../../protocol/operations/plane-operations.ts'
import { systemRuntime } from '../../../protocol/runtime.ts'
import { PersistedS3 } from '../../../service/persisted/persisted-s3.ts'
import type { Background } from '../../../service/process/background.ts'
import { S3Bucket } from '../../../service/s3/s3-bucket.ts'
import { S3Tier } from '../../../storage-node/tiers/s3/s3-tier.ts'
import { openSsd } from '../../../storage-node/tiers/ssd/open-ssd.ts'
import type { TierSpace, TierStore } from '../../../storage-node/tiers/tier-store.ts'
import { newBackground } from '../../fixture/background.ts'
import { FakeS3, type S3Fault, s3Faults } from '../../fixture/fake-s3.ts'
import { open, Planes } from '../../fixture/planes.ts'
import { tempDir } from '../../fixture/temp-dir.ts'

const MIB = 1024 * 1024

/** A node with one tier below RAM, a job that spills to it, and another job in RAM alone. */
async function start(
  lower: { ssd?: { bytes: number; store: TierStore }; s3?: TierStore },
  background: Background,
) {
  const planes = await Planes.start()
  const node = await planes.startNode(64 * MIB, 1e9, { ...lower, background })
  const spills = { capacityBytes: 4 * MIB, bytesPerSecond: 1e9 }
  const budget = lower.ssd === undefined ? { s3Bytes: 256 * MIB } : { ssdBytes: 256 * MIB }
  const job = await open(await planes.createJob('j-spills', [node], { ...spills, ...budget }))
  const other = await open(await planes.createJob('j-other', [node], { capacityBytes: 4 * MIB }))
  await other.put('k', Buffer.from('value'))
  return { planes, node, job, other }
}

/** Puts until nothing more fits; resolves with what is stored then. */
async function fill(job: Awaited<ReturnType<typeof open>>, name: string): Promise<Map<string, Buffer>> {
  const contents = new Map<string, Buffer>()
  for (let index = 0; index < 120; index++) {
    const bytes = randomBytes(50_000)
    try {
      await job.put(`${name}/${index}`, bytes, { signal: AbortSignal.timeout(4_000) })
      contents.set(`${name}/${index}`, bytes)
    } catch {
      break
    }
  }
  return contents
}

const failing = (background: Background, task: string): number =>
  background.report().find((report) => report.task === task)?.failing ?? 0

test.each(Object.keys(s3Faults) as S3Fault[])(
  'I21: S3 that %s stops what leaves RAM and nothing else, and when it is well again objects leave',
  async (fault) => {
    const s3 = await FakeS3.start()
    const background = newBackground()
    const tier = new S3Tier('n-1', new S3Bucket(s3.settings, systemRuntime.clock), {
      ...systemRuntime,
      background,
    })
    const { planes, node, job, other } = await start({ s3: tier }, background)
    s3.fault = fault
    const contents = await fill(job, 'k')
    expect(contents.size).toBeGreaterThan(50)
    for (const [key, bytes] of contents) {
      const found = await job.get(key).catch((error: { code: string }) => error.code)
      // A write that was answered with 200 counts as done; its bytes are verified when they are read.
      if (Buffer.isBuffer(found)) expect(found.equals(bytes)).toBe(true)
      else expect([fault, found]).toEqual(['answers a 200 that is no XML', 'OBJECT_LOST'])
    }
    expect((await other.get('k')).toString()).toBe('value')
    if (!fault.includes('200')) expect(failing(background, 'demotion')).toBe(1)
    expect(s3.failed).toBeGreaterThan(0)
    s3.fault = null
    if (!fault.includes('200')) {
      await expect
        .poll(async () => (await job.put('late', randomBytes(50_000)).then(() => s3.objects.size)) > 0, {
          timeout: 30_000,
        })
        .toBe(true)
      await expect.poll(() => failing(background, 'demotion')).toBe(0)
    }
    // Deletions and the end of the job meet the fault as well.
    s3.fault = fault
    await Promise.all([...contents.keys()].map((key) => job.delete(key)))
    const ended = planes.ask(placementOperations.jobEnd, { job: 'j-spills' })
    await other.put('k', Buffer.from('another'))
    expect((await other.get('k')).toString()).toBe('another')
    await ended
    expect(node.node.jobs.has('j-spills')).toBe(false)
  },
)

/** A tier whose operations fail as they are told. */
class FailingTier implements TierStore {
  failure: unknown = null
  readonly #behind: TierStore

  constructor(behind: TierStore) {
    this.#behind = behind
  }

  open(job: string): TierSpace {
    const space = this.#behind.open(job)
    const fail = async (): Promise<void> => {
      if (this.failure !== null) throw this.failure
    }
    return {
      get usedBytes() {
        return space.usedBytes
      },
      get records() {
        return space.records
      },
      write: async (bytes) => await fail().then(() => space.write(bytes)),
      read: async (record, range) => await fail().then(() => space.read(record, range)),
      remove: (record) => space.remove(record),
      drop: async () => await fail().then(() => space.drop()),
    }
  }

  close(): Promise<void> {
    return this.#behind.close()
  }
}

test.each([
  ['EIO', Object.assign(new Error('EIO: i/o error, write'), { code: 'EIO' })],
  ['a bug of the tier', new TypeError('x is not a function')],
  ['nothing', undefined],
])('I21: an SSD that throws %s ends neither the node nor another job', async (_name, failure) => {
  const background = newBackground()
  const dir = join(await tempDir(), 'ssd')
  const ssd = await openSsd({ bytes: 256 * MIB, dir }, { clock: systemRuntime.clock, background })
  const store = new FailingTier(ssd.store)
  const { planes, job, other } = await start({ ssd: { ...ssd, store } }, background)
  store.failure = failure ?? 'thrown'
  const contents = await fill(job, 'k')
  for (const [key, bytes] of contents) expect((await job.get(key)).equals(bytes)).toBe(true)
  expect(failing(background, 'demotion')).toBe(1)
  store.failure = null
  await expect.poll(() => fill(job, 'again').then((more) => more.size)).toBe(120)
  expect(failing(background, 'demotion')).toBe(0)
  store.failure = failure ?? 'thrown'
  await planes.ask(placementOperations.jobEnd, { job: 'j-spills' })
  expect((await other.get('k')).toString()).toBe('value')
})

test('I21: an SSD whose folder cannot be made, or is taken away, ends neither the node nor another job', async () => {
  const background = newBackground()
  const dir = join(await tempDir(), 'ssd')
  const ssd = await openSsd({ bytes: 256 * MIB, dir }, { clock: systemRuntime.clock, background })
  await writeFile(dir, 'in the place of the folder')
  const { planes, job, other } = await start({ ssd }, background)
  const contents = await fill(job, 'k')
  for (const [key, bytes] of contents) expect((await job.get(key)).equals(bytes)).toBe(true)
  expect(failing(background, 'demotion')).toBe(1)
  await rm(dir)
  await expect.poll(() => fill(job, 'again').then((more) => more.size)).toBe(120)
  await rm(dir, { recursive: true })
  await planes.ask(placementOperations.jobEnd, { job: 'j-spills' })
  expect((await other.get('k')).toString()).toBe('value')
})

test.each(Object.keys(s3Faults) as S3Fault[])(
  'I21: a persistent store on S3 that %s fails what needs it, as no fault of the caller, and nothing else',
  async (fault) => {
    const s3 = await FakeS3.start()
    const background = newBackground()
    const kept = new PersistedS3(new S3Bucket(s3.settings, systemRuntime.clock), systemRuntime.clock)
    const planes = await Planes.start()
    const node = await planes.startNode(64 * MIB, 1e9, { persisted: kept, background })
    const job = await open(await planes.createJob('j-1', [node]))
    await job.put('expires', 'v', { persist: true, ttlSeconds: 1 })
    await job.put('kept', 'v', { persist: true })
    s3.fault = fault
    const put = job.put('new', 'v', { persist: true, signal: AbortSignal.timeout(1_500) })
    const code = await put.then(
      () => 'done',
      (error: { code: string }) => error.code,
    )
    const answered = fault.includes('200') || fault.includes('middle')
    expect(
      answered
        ? ['done', 'UNAVAILABLE', 'ABORTED', 'OUTCOME_UNKNOWN']
        : ['UNAVAILABLE', 'ABORTED', 'OUTCOME_UNKNOWN'],
    ).toContain(code)
    await job.put('plain', 'v')
    expect((await job.get('kept')).toString()).toBe('v')
    // The sweep finds expired objects.
    await new Promise((resolve) => setTimeout(resolve, 1_500))
    await job.put('plain', 'w')
    s3.fault = null
    await expect
      .poll(
        () =>
          job.put('kept', 'again', { persist: true }).then(
            () => true,
            () => false,
          ),
        { timeout: 30_000 },
      )
      .toBe(true)
  },
)
