import { expect, test } from 'vitest'
import { WAIT_BYTES } from '../../../storage-node/budget/limits.ts'
import { open, Planes } from '../../fixture/planes.ts'

const VALUE = 'of g, for f'

/** A storage node with a job, and how many gets are parked there. */
async function start() {
  const planes = await Planes.start()
  const node = await planes.startNode()
  const ticket = await planes.createJob('j-1', [node])
  const jobs = () => [...node.node.jobs.values()]
  const parked = () => jobs().reduce((sum, job) => sum + Math.floor(job.underWay.bytes / WAIT_BYTES), 0)
  /** Records that were ever written: each moves the end of the job's log. */
  const logBytes = () => jobs().reduce((sum, job) => sum + job.memory.log.pagesBytes, 0)
  const job = await open(ticket)
  const other = await open(ticket)
  /** A get that waits there once this resolves. */
  const waiting = async (key: string, consume = true) => {
    const before = parked()
    const got = job.get(key, { consume, waitSeconds: 10 })
    await expect.poll(parked).toBe(before + 1)
    return { got }
  }
  return { node, job, other, parked, logBytes, waiting, movements: () => jobs()[0]?.counters }
}

test('a value whose consumer waits is delivered without being stored, as if it had been put and consumed', async () => {
  const { node, job, other, parked, logBytes, waiting, movements } = await start()
  const { got } = await waiting('k')
  const { version } = await other.put('k', VALUE)
  expect((await got).toString()).toBe(VALUE)
  expect(parked()).toBe(0)
  expect(logBytes()).toBe(0)
  expect(await job.exists('k')).toBe(false)
  await expect(other.get('k')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  expect(movements()).toMatchObject({ stored: 1, ram: { hits: 1 } })
  // The next put of the key has a version above that of the delivered one.
  expect((await other.put('k', 'again')).version).toBeGreaterThan(version)
  expect((await job.get('k', { consume: true })).toString()).toBe('again')
  // What is left is the answer, until its consumer has settled it.
  await expect.poll(() => node.node.ram.usedBytes, { timeout: 5_000 }).toBe(0)
})

test('putMany delivers as put does', async () => {
  const { job, other, logBytes, waiting } = await start()
  const { got } = await waiting('k')
  await other.putMany([{ key: 'k', bytes: VALUE }])
  expect((await got).toString()).toBe(VALUE)
  expect(logBytes()).toBe(0)
  expect(await job.exists('k')).toBe(false)
})

test('of two consumers that wait one gets the value, and the other the next', async () => {
  const { job, other, waiting } = await start()
  const [first, second] = [await waiting('k'), await waiting('k')]
  await other.put('k', 'first')
  await other.put('k', 'second')
  expect(String(await first.got)).toBe('first')
  expect(String(await second.got)).toBe('second')
  expect(await job.exists('k')).toBe(false)
})

test('a reader that waits beside a consumer gets the value too', async () => {
  const { job, other, waiting } = await start()
  const [read, consumed] = [await waiting('k', false), await waiting('k')]
  await other.put('k', VALUE)
  expect([String(await read.got), String(await consumed.got)]).toEqual([VALUE, VALUE])
  expect(await job.exists('k')).toBe(false)
})

test('a value for which a reader waits that does not consume it is stored', async () => {
  const { job, other, waiting } = await start()
  const { got } = await waiting('k', false)
  await other.put('k', VALUE)
  expect(String(await got)).toBe(VALUE)
  expect(String(await job.get('k'))).toBe(VALUE)
})

test('a value with metadata and a time to live is stored, and its waiting consumer removes it', async () => {
  const { other, waiting } = await start()
  const { got } = await waiting('k')
  await other.put('k', VALUE, { metadata: { stage: 'map' }, ttlSeconds: 60 })
  expect(String(await got)).toBe(VALUE)
  expect(await other.exists('k')).toBe(false)
})
