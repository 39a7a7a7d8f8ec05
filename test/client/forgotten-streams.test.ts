import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { PassThrough, type Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { Job } from '../../client/job.ts'
import {
  READ_LEASE_MS,
  SOURCE_REST_MS_MAX,
  STREAM_CHUNKS_MAX,
  STREAM_REST_MS_MAX,
} from '../../protocol/limits.ts'
import { clockOf, type Runtime, systemRuntime } from '../../protocol/runtime.ts'
import { dialTcp } from '../../protocol/transport/tcp.ts'
import { startOwnTime } from '../fixture/own-time.ts'
import { open, Planes } from '../fixture/planes.ts'

const MIB = 2 ** 20
const FORGOTTEN = 200

async function openOne(runtime?: Runtime) {
  const planes = await Planes.start(runtime)
  const node = await planes.startNode(128 * MIB)
  const ticket = await planes.createJob('j-1', [node], { capacityBytes: 100 * MIB })
  const job = new Job(ticket, { runtime: runtime ?? systemRuntime, dial: dialTcp })
  onTestFinished(() => job.close())
  return { job, other: await open(ticket), usedBytes: () => node.node.ram.usedBytes }
}

/** Reads one chunk and then neither reads nor destroys the stream. */
async function readOne(stream: Readable): Promise<void> {
  await once(stream, 'readable')
  expect(stream.read()).toHaveLength(MIB)
}

test('two hundred streams of which one chunk was read each hold a bounded amount, and keep no other call waiting', async () => {
  const { job } = await openOne()
  const object = randomBytes(32 * MIB)
  await job.put('k', object)
  const before = process.memoryUsage().arrayBuffers
  const streams = Array.from({ length: FORGOTTEN }, () => job.getStream('k'))
  const reading = Promise.all(streams.map(readOne))
  const ownMs = startOwnTime()
  await job.put('other', 'x')
  expect((await job.get('other')).toString()).toBe('x')
  expect(ownMs()).toBeLessThan(1_000)
  await reading
  await sleep(500)
  global.gc?.()
  const grownBytes = process.memoryUsage().arrayBuffers - before
  console.info(`${FORGOTTEN} forgotten streams hold ${Math.round(grownBytes / MIB)} MiB`)
  expect(grownBytes).toBeLessThan((2 * STREAM_CHUNKS_MAX + 32) * MIB)
  const againMs = startOwnTime()
  const again = await buffer(job.getStream('k'))
  expect(again.equals(object)).toBe(true)
  console.info(`another stream of 32 MiB took ${Math.round(againMs())} ms`)
  expect(againMs()).toBeLessThan(2_000)
  // The forgotten streams continue from where they stopped.
  const rest = await buffer(streams[7] as Readable)
  expect(rest.equals(object.subarray(MIB))).toBe(true)
})

/** Speeds up time by this factor. */
const FASTER = 10
const fast: Runtime = {
  ...systemRuntime,
  clock: clockOf({
    monotonicMs: () => performance.now() * FASTER,
    wallMs: () => Date.now(),
    timer: (ms, task) => {
      const timer = setTimeout(task, ms / FASTER)
      return { cancel: () => clearTimeout(timer), unref: () => void timer.unref() }
    },
    afterInput: (task) => void setImmediate(task),
  }),
}

test("a stream that was forgotten loses its version's lease; it fails with what happened if it is read later, and goes on where the object is still there", async () => {
  const { job, other, usedBytes } = await openOne(fast)
  const [replaced, kept] = [randomBytes(20 * MIB), randomBytes(20 * MIB)]
  await other.put('replaced', replaced)
  await other.put('kept', kept)
  const [first, second] = [job.getStream('replaced'), job.getStream('kept')]
  await Promise.all([first, second].map(readOne))
  await other.put('replaced', 'newer')
  await sleep((STREAM_REST_MS_MAX - 10_000) / FASTER)
  expect(usedBytes()).toBeGreaterThan(39 * MIB)
  await sleep((READ_LEASE_MS + 40_000) / FASTER)
  expect(usedBytes()).toBeLessThan(21 * MIB)
  await expect(buffer(first)).rejects.toMatchObject({
    code: 'VERSION_MISMATCH',
    message: expect.stringMatching(/not read for \d+ s.*read it anew/),
  })
  expect((await buffer(second)).equals(kept.subarray(MIB))).toBe(true)
})

test('a reader that takes its time keeps its version, however long it reads in all', async () => {
  const { job, other } = await openOne(fast)
  const object = randomBytes(5 * MIB)
  await other.put('k', object)
  const stream = job.getStream('k')
  await readOne(stream)
  await other.delete('k')
  for (let chunk = 1; chunk < 5; chunk++) {
    await sleep(40_000 / FASTER)
    expect(stream.read() ?? (await once(stream, 'readable').then(() => stream.read()))).toHaveLength(MIB)
  }
})

test('a putStream whose source has been forgotten fails, and its chunks are freed', async () => {
  const runtime: Runtime = {
    ...systemRuntime,
    clock: {
      ...systemRuntime.clock,
      after: (ms, task) => systemRuntime.clock.after(ms === SOURCE_REST_MS_MAX ? 1_000 : ms, task),
    },
  }
  const { job, usedBytes } = await openOne(runtime)
  const source = new PassThrough()
  source.write(randomBytes(5 * MIB))
  const putting = job.putStream('k', source)
  const failed = expect(putting).rejects.toMatchObject({
    code: 'DEADLINE_EXCEEDED',
    message: expect.stringContaining('The source has given nothing for 15 minutes'),
  })
  await expect.poll(usedBytes).toBeGreaterThan(4 * MIB)
  await failed
  expect(source.destroyed).toBe(true)
  await expect.poll(usedBytes).toBe(0)
})
