import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { type Job, openJob } from '../../client/job.ts'
import { Cluster, sharedCluster } from '../fixture/mayfly-up.ts'

const shared = sharedCluster()
const keys = Array.from({ length: 40 }, (_, i) => `k/${i}`)

interface JobView {
  readonly state: string
  readonly usage: { readonly objects: number; readonly bytes: { readonly ram: number } }
}

async function usedBytes(cluster: Cluster): Promise<number> {
  return (await cluster.nodes()).reduce((sum, node) => sum + (node.tiers.ram?.usedBytes ?? 0), 0)
}

async function codeOf(call: Promise<unknown>): Promise<string> {
  return await call.then(
    () => 'ok',
    (error: { code: string }) => error.code,
  )
}

test('a job gives functions its ticket, and when it ends every byte on every node is free', async () => {
  const cluster = await shared()
  const job = await (await cluster.connect()).registerJob('wordcount', { capacityBytes: 200_000_000 })
  const f = await openJob(job.ticket)
  await Promise.all(keys.map((key) => f.put(key, randomBytes(100_000))))
  await f.put('large', randomBytes(20_000_000))
  await expect.poll(() => usedBytes(cluster)).toBeGreaterThan(24_000_000)
  const { usage } = await cluster.api<JobView>(`/v1/jobs/${job.id}`)
  expect(usage.objects).toBe(41)
  expect(usage.bytes.ram).toBeGreaterThan(24_000_000)
  await job.deregister()
  await expect.poll(() => usedBytes(cluster), { timeout: 30_000 }).toBe(0)
  expect(await codeOf(f.get('k/1'))).toBe('JOB_ENDED')
  expect(await codeOf(f.put('k/1', 'x'))).toBe('JOB_ENDED')
  await f.close()
})

test('a lease lapses when nobody uses the job, and not while somebody does', async () => {
  const cluster = await shared()
  const mayfly = await cluster.connect()
  const used = await mayfly.registerJob('used', {}, { leaseSeconds: 3 })
  const renewed = await mayfly.registerJob('renewed', {}, { leaseSeconds: 3 })
  const left = await mayfly.registerJob('left', {}, { leaseSeconds: 3 })
  const started = performance.now()
  while (performance.now() - started < 7000) {
    await used.put('k', 'x')
    await renewed.renew()
    await new Promise((resolve) => setTimeout(resolve, 300))
  }
  expect((await used.get('k')).toString()).toBe('x')
  expect(await codeOf(renewed.exists('k'))).toBe('ok')
  expect(await codeOf(left.get('k'))).toBe('JOB_ENDED')
  expect((await cluster.api<JobView>(`/v1/jobs/${left.id}`)).state).toBe('ended')
  await Promise.all([used.close(), renewed.close(), left.close()])
})

test('a registration beyond the limits is refused with what was asked, what there may be and what to do', async () => {
  const cluster = await shared()
  const mayfly = await cluster.connect()
  const asked = 100 * 2 ** 30
  await expect(mayfly.registerJob('huge', { capacityBytes: asked })).rejects.toMatchObject({
    code: 'RESERVATION_REFUSED',
    message: expect.stringMatching(/Asked[\s\S]*all nodes[\s\S]*nodesMax/),
  })
  await expect(mayfly.registerJob('odd', { colour: 'red' } as object)).rejects.toThrow('hints.colour')
  await expect(mayfly.registerJob('odd', { capacityBytes: -1 })).rejects.toThrow('hints.capacityBytes')
})

test('controller and metadata are killed and come back: jobs, placements and running functions carry on', async () => {
  const cluster = await Cluster.start()
  const job = await (await cluster.connect()).registerJob('steady', { capacityBytes: 50_000_000 })
  await job.createBucket('frames')
  const load = new Load(job)
  for (const plane of ['controller', 'metadata', 'controller']) {
    await cluster.kill(plane)
    await new Promise((resolve) => setTimeout(resolve, 1500))
  }
  const failures = await load.stop()
  expect(failures).toEqual([])
  expect(load.calls).toBeGreaterThan(100)
  expect(await job.buckets()).toEqual(['default', 'frames'])
  await expect.poll(async () => (await cluster.api<JobView>(`/v1/jobs/${job.id}`)).state).toBe('active')
  const late = await openJob((await cluster.api<{ ticket: string }>(`/v1/jobs/${job.id}`)).ticket)
  await late.put('late', 'x', { bucket: 'frames' })
  await late.close()
  await job.deregister()
  await expect.poll(() => usedBytes(cluster)).toBe(0)
})

/** A function that puts, gets and lists until it is stopped. */
class Load {
  calls = 0
  readonly #failures: unknown[] = []
  readonly #done: Promise<void>
  #running = true

  constructor(job: Job) {
    this.#done = this.#run(job)
  }

  async stop(): Promise<unknown[]> {
    this.#running = false
    await this.#done
    return this.#failures
  }

  async #run(job: Job): Promise<void> {
    while (this.#running) {
      const key = keys[this.calls % keys.length] as string
      try {
        await job.put(key, `${this.calls}`)
        if ((await job.get(key)).toString() !== `${this.calls}`) this.#failures.push('a wrong answer')
      } catch (error) {
        this.#failures.push(error)
      }
      this.calls++
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
  }
}
