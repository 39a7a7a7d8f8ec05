import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { RECEIPT_MS } from '../../protocol/limits.ts'
import { ping, receipt } from '../../protocol/operations/control-operations.ts'
import { dataOperations } from '../../protocol/operations/data-operations.ts'
import { systemRuntime } from '../../protocol/runtime.ts'
import { Caller } from '../../protocol/transport/caller.ts'
import type { LinkHandlers } from '../../protocol/transport/link.ts'
import { SessionTrail } from '../../protocol/transport/session-trail.ts'
import { dialTcp } from '../../protocol/transport/tcp.ts'
import { Reader } from '../../protocol/wire/reader.ts'
import { clusterToken } from '../../service/process/cluster-token.ts'
import { Handlers } from '../../service/server/handlers.ts'
import { frameBytes, RawConnection } from '../fixture/raw-connection.ts'
import { startWireServer, watchOpen } from '../fixture/wire-server.ts'

const secret = Buffer.alloc(32, 1)
const { stat, delete: remove } = dataOperations
const key = { epoch: 1, bucket: 0, key: Buffer.from('k') }

/** A server that never answers `stat`; `silence` is called when a connection was silent for long. */
async function startServer() {
  const links: LinkHandlers[] = []
  const handlers = new Handlers()
    .on(stat, () => new Promise(() => undefined))
    .on(remove, () => ({ head: { existed: true } }))
  const { address } = await startWireServer({ secret, handlers }, (link) =>
    watchOpen(link, (given) => links.push(given)),
  )
  return { address, silence: () => links.at(-1)?.silent() }
}

async function connect(address: string): Promise<RawConnection> {
  const raw = await RawConnection.open(address)
  onTestFinished(() => raw.vanish())
  raw.send(await raw.hello(clusterToken(secret, Date.now())))
  await expect.poll(() => raw.frames.length).toBe(1)
  return raw
}

test('a peer that has vanished is asked once whether it is there, and let go when it has not said so', async () => {
  const { address, silence } = await startServer()
  const raw = await connect(address)
  silence()
  await expect.poll(() => raw.frames.at(-1)).toMatchObject({ id: 0, kind: ping.number })
  silence()
  await raw.closed
})

test('a client that is there says so, and is asked again only after it was sent something', async () => {
  const { address, silence } = await startServer()
  const caller = new Caller(await dialTcp(address), {
    runtime: systemRuntime,
    token: clusterToken(secret, Date.now()),
    trail: new SessionTrail(),
    deadlineMs: performance.now() + 5_000,
  })
  onTestFinished(() => caller.close())
  await caller.server
  const call = () =>
    caller.call(remove, { ...key, lane: 0, sequence: 1 }, { deadlineMs: performance.now() + 5_000 })
  for (let round = 0; round < 3; round++) {
    silence()
    await sleep(50)
    silence()
    silence()
    await sleep(50)
    expect((await call()).head).toEqual({ existed: true })
  }
})

test('a server says how much has come of what it does not answer at once, and nothing of what it has answered', async () => {
  const { address } = await startServer()
  const raw = await connect(address)
  raw.send(await frameBytes(2, remove, { ...key, lane: 0, sequence: 1 }))
  await sleep(2 * RECEIPT_MS)
  expect(raw.frames.map(({ id }) => id)).toEqual([1, 2])
  raw.send(await frameBytes(3, stat, key))
  const half = await frameBytes(4, remove, { ...key, lane: 0, sequence: 2 })
  raw.send(half.subarray(0, 20))
  const receipts = () => raw.frames.filter(({ id, kind }) => id === 0 && kind === receipt.number)
  await expect.poll(() => receipts().length).toBeGreaterThan(0)
  raw.send(half.subarray(20))
  await expect.poll(() => raw.frames.at(-1)?.id).toBe(4)
  // A busy machine may have sent more than one meanwhile.
  const counts = receipts().map(({ head }) => receipt.request.read(new Reader(head)).frames)
  expect([...new Set(counts)]).toEqual([3])
})
