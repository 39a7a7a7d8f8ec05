import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import {
  FRAME_BYTES_PER_LOOK_MIN,
  LINK_SILENT_MS,
  TURN_LOOK_REQUESTS,
  TURN_MS,
} from '../../protocol/limits.ts'
import { signToken } from '../../protocol/model/token.ts'
import type { Operation } from '../../protocol/operations/operation.ts'
import { type Clock, systemRuntime } from '../../protocol/runtime.ts'
import { array, bytes, struct, u32 } from '../../protocol/wire/codec.ts'
import { Handlers } from '../../service/server/handlers.ts'
import {
  ANSWERS_BYTES_PER_LOOK_MIN,
  ANSWERS_QUEUED_BYTES_MAX,
  READER_LOOK_MS,
} from '../../service/server/limits.ts'
import { frameBytes, RawConnection } from '../fixture/raw-connection.ts'
import { startWireServer } from '../fixture/wire-server.ts'

const secret = randomBytes(32)
const value = Buffer.alloc(50_000, 1)

interface Work {
  /** How long the event loop is kept busy. */
  readonly busyMs: number
  readonly answerBytes: number
  readonly values: readonly Uint8Array[]
}

const work: Operation<Work, { values: readonly Uint8Array[] }> = {
  number: 200,
  name: 'work',
  request: struct({ busyMs: u32, answerBytes: u32, values: array(bytes) }),
  reply: struct({ values: array(bytes) }),
} as Operation<Work, { values: readonly Uint8Array[] }>
const idle: Work = { busyMs: 0, answerBytes: 0, values: [] }

/** The time of a server that the test moves on; timers fire when their time has come. */
function movedClock() {
  let aheadMs = 0
  const timers = new Set<{ atMs: number; task: () => void }>()
  const monotonicMs = (): number => systemRuntime.clock.monotonicMs() + aheadMs
  const clock: Clock = {
    ...systemRuntime.clock,
    monotonicMs,
    after: (ms, task) => {
      const timer = { atMs: monotonicMs() + ms, task }
      timers.add(timer)
      const real = systemRuntime.clock.after(ms, () => timers.delete(timer) && task())
      return {
        cancel: () => {
          timers.delete(timer)
          real.cancel()
        },
        unref: () => real.unref(),
      }
    },
  }
  const pass = (ms: number): void => {
    aheadMs += ms
    for (const timer of [...timers]) if (timer.atMs <= monotonicMs() && timers.delete(timer)) timer.task()
  }
  return { clock, pass }
}

async function startServer({ isShort = false, onRequest = (_job: string): void => undefined } = {}) {
  const { clock, pass } = movedClock()
  /** The job of each request, in the order in which they were worked off. */
  const order: string[] = []
  const handlers = new Handlers().on(
    work,
    (peer, { busyMs, answerBytes }) => {
      order.push(peer.claims.job)
      onRequest(peer.claims.job)
      for (const endMs = performance.now() + busyMs; performance.now() < endMs; );
      return { head: { values: new Array(Math.ceil(answerBytes / value.length)).fill(value) } }
    },
    { isShort },
  )
  const { address } = await startWireServer({ secret, handlers, runtime: { ...systemRuntime, clock } })
  const connect = async (job: string) => {
    const raw = await RawConnection.open(address)
    onTestFinished(() => raw.vanish())
    const expiresSeconds = Math.floor(Date.now() / 1000) + 3_600
    raw.send(await raw.hello(signToken(secret, { job, read: true, write: true, expiresSeconds })))
    await expect.poll(() => raw.frames.length).toBe(1)
    const of = { raw, isClosed: false }
    void raw.closed.then(() => {
      of.isClosed = true
    })
    return of
  }
  return { connect, order, pass }
}

test.each([
  { kind: 'expensive', isShort: false, busyMs: TURN_MS + 1, before: 1 },
  { kind: 'short', isShort: true, busyMs: 1, before: TURN_LOOK_REQUESTS },
])(
  '$kind requests that came in one read wait for another job once they took 2 ms',
  async ({ isShort, busyMs, before }) => {
    let ask = (): void => undefined
    const { connect, order } = await startServer({ isShort, onRequest: () => ask() })
    const many = await connect('j-many')
    const other = await connect('j-other')
    const question = await frameBytes(2, work, idle)
    // It is there when the first of many requests has begun.
    ask = () => {
      ask = () => undefined
      other.raw.send(question)
    }
    const count = 10 * before
    const frames = Array.from({ length: count }, (_, index) =>
      frameBytes(2 + index, work, { ...idle, busyMs }),
    )
    many.raw.send(Buffer.concat(await Promise.all(frames)))
    await expect.poll(() => order.length).toBe(count + 1)
    // The kernel may hand the other's request over one poll later.
    expect(order.indexOf('j-other')).toBeLessThanOrEqual(2 * before)
    expect(order.indexOf('j-other')).toBeGreaterThanOrEqual(before)
  },
)

test('a connection whose frame gets a byte now and then is closed, and one whose frame comes on at a rate is not', async () => {
  const { connect, pass } = await startServer()
  const slow = await connect('j-slow')
  const fast = await connect('j-fast')
  const frame = await frameBytes(2, work, { ...idle, values: new Array(10).fill(value) })
  const pieces = Array.from({ length: 5 }, (_, index) =>
    frame.subarray(index * 100_000, (index + 1) * 100_000),
  )
  expect(pieces[0]?.length).toBeGreaterThan(FRAME_BYTES_PER_LOOK_MIN)
  slow.raw.send(frame.subarray(0, 20))
  for (const [index, piece] of pieces.entries()) {
    fast.raw.send(piece)
    if (!slow.isClosed) slow.raw.send(frame.subarray(20 + index, 21 + index))
    await sleep(100)
    // A byte every eight seconds is no silence.
    if (index === 1) expect(slow.isClosed).toBe(false)
    pass(LINK_SILENT_MS * 0.55)
  }
  await expect.poll(() => slow.isClosed, { timeout: 5_000 }).toBe(true)
  expect(fast.isClosed).toBe(false)
  fast.raw.send(frame.subarray(500_000))
  await expect.poll(() => fast.raw.frames.filter(({ id }) => id === 2).length).toBe(1)
})

test('a connection that takes its answers a byte at a time is closed, and one that takes them at a rate is not', async () => {
  const { connect, pass } = await startServer()
  const answerBytes = 900_000
  const frames = Array.from({ length: 60 }, (_, index) =>
    frameBytes(2 + index, work, { ...idle, answerBytes }),
  )
  const requests = Buffer.concat(await Promise.all(frames))
  const [slow, steady] = [await connect('j-slow'), await connect('j-steady')]
  for (const { raw } of [slow, steady]) {
    raw.stop()
    raw.send(requests)
  }
  await sleep(500)
  for (let look = 0; look < 3; look++) {
    const had = steady.raw.frames.length
    // More than what is counted only when all of it is written.
    const wanted = had + Math.ceil((2 * ANSWERS_QUEUED_BYTES_MAX + ANSWERS_BYTES_PER_LOOK_MIN) / answerBytes)
    steady.raw.read()
    await expect.poll(() => steady.raw.frames.length, { interval: 5 }).toBeGreaterThan(wanted)
    steady.raw.stop()
    for (let part = 0; part < 4; part++) {
      slow.raw.take(1)
      await sleep(20)
      pass(READER_LOOK_MS * 0.15)
    }
  }
  slow.raw.read()
  await expect.poll(() => slow.isClosed, { timeout: 5_000 }).toBe(true)
  expect(slow.raw.frames.length).toBeLessThan(60)
  expect(steady.isClosed).toBe(false)
  steady.raw.read()
  await expect.poll(() => steady.raw.frames.filter(({ id }) => id > 1).length).toBe(60)
})
