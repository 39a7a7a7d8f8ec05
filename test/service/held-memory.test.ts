import { randomBytes } from 'node:crypto'
import { expect, onTestFinished, test } from 'vitest'
import { RECEIVE_BYTES } from '../../protocol/limits.ts'
import { signToken } from '../../protocol/model/token.ts'
import type { Operation } from '../../protocol/operations/operation.ts'
import { array, bytes, struct, u32 } from '../../protocol/wire/codec.ts'
import { Connections, type Counted } from '../../service/server/connections.ts'
import { Handlers } from '../../service/server/handlers.ts'
import {
  JOB_HELD_BYTES_MAX,
  JOB_HELD_BYTES_MIN,
  RECEIVE_BYTES_MIN,
  SERVER_HELD_BYTES_MAX,
} from '../../service/server/limits.ts'
import { MemoryAccount, ServerMemory } from '../../service/server/memory-account.ts'
import { frameBytes, RawConnection } from '../fixture/raw-connection.ts'
import { startWireServer } from '../fixture/wire-server.ts'

const MIB = 1024 * 1024
const secret = randomBytes(32)

/** Takes a head of any size, and answers with `answerBytes` bytes of it in heads. */
const echo: Operation<
  { answerBytes: number; values: readonly Uint8Array[] },
  { values: readonly Uint8Array[] }
> = {
  number: 200,
  name: 'echo',
  request: struct({ answerBytes: u32, values: array(bytes) }),
  reply: struct({ values: array(bytes) }),
} as Operation<{ answerBytes: number; values: readonly Uint8Array[] }, { values: readonly Uint8Array[] }>

const value = Buffer.alloc(50_000, 1)

/** The connections of a server, and the accounts of their jobs. */
class Watched extends Connections {
  readonly accounts = new Map<string, MemoryAccount>()

  override enter(connection: Counted, job: string): MemoryAccount {
    const account = super.enter(connection, job)
    this.accounts.set(job, account)
    return account
  }
}

type Server = Awaited<ReturnType<typeof startServer>>

async function startServer() {
  const handlers = new Handlers().on(echo, (_peer, { answerBytes }) => ({
    head: { values: new Array(Math.ceil(answerBytes / value.length)).fill(value) },
  }))
  const connections = new Watched()
  const { address } = await startWireServer({ secret, handlers, connections })
  const connect = async (job: string, { helloInPieces = false } = {}): Promise<RawConnection> => {
    const raw = await RawConnection.open(address)
    onTestFinished(() => raw.vanish())
    const expiresSeconds = Math.floor(Date.now() / 1000) + 600
    const hello = await raw.hello(signToken(secret, { job, read: true, write: true, expiresSeconds }))
    if (helloInPieces) {
      raw.send(hello.subarray(0, hello.length / 2))
      // The first half is read before the second is sent.
      await new Promise((resolve) => setTimeout(resolve, 50))
      raw.send(hello.subarray(hello.length / 2))
    } else raw.send(hello)
    return raw
  }
  return { connect, held: (job: string) => connections.accounts.get(job)?.bytes ?? 0 }
}

function echoFrame(id: number, of: { headBytes: number; answerBytes: number }): Promise<Buffer> {
  const values = new Array(Math.floor(of.headBytes / value.length)).fill(value)
  return frameBytes(id, echo, { answerBytes: of.answerBytes, values })
}

/** Besides that to the hello, and receipts. */
function answersOf({ frames }: RawConnection): number {
  return frames.filter(({ id }) => id > 1).length
}

/** Expects a new connection of the job to be answered. */
async function expectServed({ connect }: Server, job: string): Promise<void> {
  const other = await connect(job)
  other.send(await echoFrame(2, { headBytes: 100_000, answerBytes: 100_000 }))
  await expect.poll(() => answersOf(other)).toBe(1)
}

/** Sends a piece on each connection. The most that their job held until it was over its bound, and for a while after. */
async function mostHeld(
  server: Server,
  connections: readonly RawConnection[],
  piece: Buffer,
): Promise<number> {
  let most = 0
  const look = (): void => {
    most = Math.max(most, server.held('j-greedy'))
  }
  for (const raw of connections) {
    raw.send(piece)
    await new Promise((resolve) => setImmediate(resolve))
    look()
  }
  await expect.poll(() => server.held('j-greedy')).toBeGreaterThan(JOB_HELD_BYTES_MAX)
  for (let count = 0; count < 100; count++) {
    await new Promise((resolve) => setTimeout(resolve, 2))
    look()
  }
  return most
}

test('I26: a hello that arrives in pieces is not charged to its job, nor taken from what the job holds', async () => {
  const server = await startServer()
  for (let count = 0; count < 3; count++) {
    const raw = await server.connect('j-slow', { helloInPieces: true })
    raw.send(await echoFrame(2, { headBytes: 100_000, answerBytes: 0 }))
    await expect.poll(() => answersOf(raw)).toBe(1)
    expect(server.held('j-slow')).toBe(0)
  }
})

test('I26: incomplete frames of a job hold a bounded amount of memory, wait for room, and are all answered when they are complete', async () => {
  const server = await startServer()
  const frame = await echoFrame(2, { headBytes: 600_000, answerBytes: 0 })
  const greedy: RawConnection[] = []
  for (let count = 0; count < 120; count++) greedy.push(await server.connect('j-greedy'))
  const most = await mostHeld(server, greedy, frame.subarray(0, 500_000))
  // One frame above the bound, and one read of each that waits.
  expect(most).toBeLessThan(JOB_HELD_BYTES_MAX + MIB + 120 * RECEIVE_BYTES)
  await expectServed(server, 'j-other')
  for (const raw of greedy) raw.send(frame.subarray(500_000))
  await expect.poll(() => greedy.every((raw) => answersOf(raw) === 1)).toBe(true)
  await expect.poll(() => server.held('j-greedy')).toBe(0)
})

test('I26: answers that nobody reads hold a bounded amount of memory of their job, and are all sent when they are read', async () => {
  const server = await startServer()
  const answers = 20
  const frames: Buffer[] = []
  for (let id = 0; id < answers; id++)
    frames.push(await echoFrame(2 + id, { headBytes: 0, answerBytes: 900_000 }))
  const deaf: RawConnection[] = []
  for (let count = 0; count < 40; count++) {
    const raw = await server.connect('j-greedy')
    deaf.push(raw)
    raw.stop()
  }
  const most = await mostHeld(server, deaf, Buffer.concat(frames))
  expect(most).toBeLessThan(2 * JOB_HELD_BYTES_MAX + 2 * MIB)
  await expectServed(server, 'j-other')
  for (const raw of deaf) raw.read()
  await expect.poll(() => deaf.every((raw) => answersOf(raw) === answers)).toBe(true)
  await expect.poll(() => server.held('j-greedy')).toBe(0)
})

test('what waits for room goes on in order, one at a time, and when another job lets go of memory', () => {
  const server = new ServerMemory()
  const job = new MemoryAccount(server)
  const others = Array.from({ length: 4 }, () => new MemoryAccount(server))
  for (const other of others) other.add(JOB_HELD_BYTES_MAX)
  others[0]?.add(-JOB_HELD_BYTES_MIN)
  job.add(JOB_HELD_BYTES_MIN)
  expect(job.hasRoom).toBe(true)
  others[0]?.add(1)
  expect(server.bytes).toBeGreaterThan(SERVER_HELD_BYTES_MAX)
  expect(job.hasRoom).toBe(false)
  const resumed: string[] = []
  const waits = (name: string, isOpen = true): void =>
    job.whenRoom(() => {
      resumed.push(name)
      return isOpen
    })
  waits('closed', false)
  waits('first')
  waits('second')
  expect(resumed).toEqual([])
  others[0]?.add(-JOB_HELD_BYTES_MAX)
  expect(resumed).toEqual(['closed', 'first'])
  job.passOn()
  expect(resumed).toEqual(['closed', 'first', 'second'])
  job.passOn()
  expect(server.waiting.size).toBe(0)
})

test('a connection may queue fewer answers the more its job holds', () => {
  const job = new MemoryAccount(new ServerMemory())
  expect([4 * MIB, 4 * MIB + 1].map((queued) => job.admitsAnswer(queued))).toEqual([true, false])
  job.add(JOB_HELD_BYTES_MAX / 2)
  expect([128 * 1024, 128 * 1024 + 1].map((queued) => job.admitsAnswer(queued))).toEqual([true, false])
  job.add(JOB_HELD_BYTES_MAX / 2)
  expect([64 * 1024, 64 * 1024 + 1].map((queued) => job.admitsAnswer(queued))).toEqual([true, false])
  job.add(JOB_HELD_BYTES_MAX)
  expect(job.admitsAnswer(0)).toBe(false)
})

test('reads are smaller the more connections a job has', () => {
  const job = new MemoryAccount(new ServerMemory())
  const sizes = [1, 256, 257, 1_000, 8_500].map((connections) => {
    job.share(connections)
    return job.readBytes
  })
  expect(sizes).toEqual([RECEIVE_BYTES, RECEIVE_BYTES, RECEIVE_BYTES / 2, 64 * 1024, RECEIVE_BYTES_MIN])
})
