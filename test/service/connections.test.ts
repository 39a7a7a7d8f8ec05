import { randomBytes } from 'node:crypto'
import { expect, onTestFinished, test } from 'vitest'
import { errorTable } from '../../protocol/errors.ts'
import { FRAME_BYTES_PER_LOOK_MIN, IDLE_LOOKS_MAX, LINK_SILENT_MS } from '../../protocol/limits.ts'
import { signToken } from '../../protocol/model/token.ts'
import { ping } from '../../protocol/operations/control-operations.ts'
import { systemRuntime } from '../../protocol/runtime.ts'
import type { LinkHandlers } from '../../protocol/transport/link.ts'
import { Connections } from '../../service/server/connections.ts'
import { FrameProgress } from '../../service/server/frame-progress.ts'
import { Handlers } from '../../service/server/handlers.ts'
import { frameBytes, RawConnection } from '../fixture/raw-connection.ts'
import { startWireServer, watchOpen } from '../fixture/wire-server.ts'

const secret = randomBytes(32)
const { clock } = systemRuntime

async function startServer(connections: Connections) {
  const links: LinkHandlers[] = []
  const options = { secret, handlers: new Handlers(), connections }
  const { address } = await startWireServer(options, (link) => watchOpen(link, (given) => links.push(given)))
  return { address, silence: () => links.at(-1)?.silent() }
}

/** A connection of a job that has been accepted; `ended` resolves when the server closes it. */
async function connect(address: string, job: string) {
  const raw = await RawConnection.open(address)
  onTestFinished(() => raw.vanish())
  const expiresSeconds = Math.floor(Date.now() / 1000) + 60
  raw.send(await raw.hello(signToken(secret, { job, read: true, write: true, expiresSeconds })))
  await expect.poll(() => raw.frames.length).toBe(1)
  const of = { raw, ended: false, kind: raw.frames[0]?.kind }
  void raw.closed.then(() => {
    of.ended = true
  })
  return of
}

test('where there are too many connections, the job that has most of them gives up one that is idle', async () => {
  const connections = new Connections({ jobsMax: 6 })
  const { address } = await startServer(connections)
  const many: Awaited<ReturnType<typeof connect>>[] = []
  for (let count = 0; count < 6; count++) many.push(await connect(address, 'j-many'))
  const few = await connect(address, 'j-few')
  expect(few.kind).toBe(0)
  await expect.poll(() => many.filter(({ ended }) => ended).length).toBe(1)
  const planes = await Promise.all(Array.from({ length: 4 }, () => connect(address, '')))
  expect(planes.every(({ kind }) => kind === 0)).toBe(true)
  expect(connections.count).toBe(6)
  // This job has the most connections, so one of its own is closed for the new one.
  expect((await connect(address, 'j-many')).kind).toBe(0)
  await expect.poll(() => many.filter(({ ended }) => ended).length).toBe(2)
  expect(few.ended).toBe(false)
})

test('a job with most of too many connections, all of them in use, gets no more, and any other does', async () => {
  const busy = { isIdle: false, idleLooks: 0, end: () => ended.push('j-many') }
  const ended: string[] = []
  const connections = new Connections({ jobsMax: 2 })
  connections.enter({ ...busy }, 'j-many')
  connections.enter({ ...busy }, 'j-many')
  expect(() => connections.enter({ ...busy }, 'j-many')).toThrow('all of them in use')
  expect(ended).toEqual([])
  connections.enter({ ...busy }, 'j-few')
  expect(ended).toEqual(['j-many'])
  expect(errorTable.UNAVAILABLE.retryable).toBe(true)
})

test('of too many that do not say who they are the oldest is cut off', async () => {
  const { address } = await startServer(new Connections({ greetingMax: 3 }))
  const silent: RawConnection[] = []
  for (let count = 0; count < 4; count++) {
    const raw = await RawConnection.open(address)
    onTestFinished(() => raw.vanish())
    silent.push(raw)
  }
  await silent[0]?.closed
  expect((await connect(address, 'j')).kind).toBe(0)
})

test('a connection that asks nothing for long is ended, and one that asks is not', async () => {
  const { address, silence } = await startServer(new Connections())
  const asks = await connect(address, 'j')
  for (let look = 1; look < IDLE_LOOKS_MAX; look++) {
    silence()
    if (look === 1) asks.raw.send(await frameBytes(0, { ...ping, number: 0 }, {}))
    if (look === 1) await new Promise((resolve) => setTimeout(resolve, 50))
  }
  expect(asks.ended).toBe(false)
  for (let look = 0; look < 2; look++) silence()
  await asks.raw.closed
})

test('a frame that gets a byte now and then is too slow, and one that comes on at a rate is not', () => {
  const now = { ms: 0 }
  const slow = new FrameProgress({ ...clock, monotonicMs: () => now.ms })
  const fast = new FrameProgress({ ...clock, monotonicMs: () => now.ms })
  const results: boolean[] = []
  for (; now.ms < 3 * LINK_SILENT_MS; now.ms += 5_000) {
    results.push(slow.isFastEnough({ frames: 1, bytes: 1 }))
    expect(fast.isFastEnough({ frames: 1, bytes: FRAME_BYTES_PER_LOOK_MIN / 2 })).toBe(true)
  }
  expect(results).toContain(false)
  const paused = new FrameProgress({ ...clock, monotonicMs: () => now.ms })
  expect(paused.isFastEnough({ frames: 1, bytes: 1 })).toBe(true)
  now.ms += 10 * LINK_SILENT_MS
  paused.excuse(10 * LINK_SILENT_MS)
  expect(paused.isFastEnough({ frames: 1, bytes: 1 })).toBe(true)
  // Short pauses, as each of many turns brings, excuse no slowness.
  for (let pause = 0; pause < 21; pause++, now.ms += LINK_SILENT_MS / 20) paused.excuse(1)
  expect(paused.isFastEnough({ frames: 1, bytes: 1 })).toBe(false)
  // Another frame than before.
  expect(paused.isFastEnough({ frames: 2, bytes: 1 })).toBe(true)
})
