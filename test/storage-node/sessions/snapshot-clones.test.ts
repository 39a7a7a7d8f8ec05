import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { Job } from '../../../client/job.ts'
import { parseTicket } from '../../../protocol/model/ticket.ts'
import { dataOperations } from '../../../protocol/operations/data-operations.ts'
import { systemRuntime } from '../../../protocol/runtime.ts'
import { Caller } from '../../../protocol/transport/caller.ts'
import { SessionTrail } from '../../../protocol/transport/session-trail.ts'
import { dialTcp } from '../../../protocol/transport/tcp.ts'
import { open, Planes } from '../../fixture/planes.ts'
import { RawConnection } from '../../fixture/raw-connection.ts'
import { consumeFields, putFields, soon } from '../support/requests.ts'

async function startOne() {
  const planes = await Planes.start()
  const node = await planes.startNode()
  const ticket = await planes.createJob('j-1', [node])
  const { token } = parseTicket(ticket)
  /** Opens a client's connection with the trail that it remembers. */
  const connect = async (trail: SessionTrail) => {
    const link = await dialTcp(node.address)
    const caller = new Caller(link, { runtime: systemRuntime, token, trail, ...soon() })
    onTestFinished(() => caller.close())
    await caller.server
    return caller
  }
  return { node, ticket, token, connect, job: await open(ticket) }
}

/** A copy of the client's memory at this moment. */
function snapshotOf(trail: SessionTrail, session: string | null): SessionTrail {
  const copy = new SessionTrail()
  const [first, ...rest] = trail.answered
  if (first !== undefined && session !== null) copy.confirmed(first, session)
  for (const nonce of rest) copy.answers(nonce)
  for (let i = 0; i < trail.mutations; i++) copy.sends(session)
  return copy
}

const at = (key: string, lane: number, sequence: number) => ({
  epoch: 1,
  bucket: 0,
  key: Buffer.from(key),
  lane,
  sequence,
})

function put(caller: Caller, key: string, sequence: number, value = key) {
  caller.beginMutation()
  return caller.call(
    dataOperations.put,
    { ...at(key, 0, sequence), ...putFields },
    { ...soon(), payload: Buffer.from(value) },
  )
}

/** Two clients with the same random numbers, like two that were restored from one snapshot. */
function openTwins(ticket: string): [Job, Job] {
  const twin = (): Job => {
    let drawn = 0
    const bytes = (count: number): Buffer => Buffer.alloc(count, ++drawn)
    const random = { bytes, fraction: () => 0.5 }
    const job = new Job(ticket, { runtime: { clock: systemRuntime.clock, random }, dial: dialTcp })
    onTestFinished(() => job.close())
    return job
  }
  return [twin(), twin()]
}

test('I9: two clients restored from one snapshot each have their own puts, consumes and appends', async () => {
  const { ticket, job } = await startOne()
  await job.put('left', 'L')
  await job.put('right', 'R')
  const [a, b] = openTwins(ticket)
  await a.put('a', 'of a')
  await b.put('b', 'of b')
  expect((await job.get('b')).toString()).toBe('of b')
  expect((await a.get('left', { consume: true })).toString()).toBe('L')
  expect((await b.get('right', { consume: true })).toString()).toBe('R')
  expect(await a.append('log', 'x')).toBe(1)
  expect(await b.append('log', 'y')).toBe(2)
})

test('I22: of two clients with the memory of a connection one has its session, and the other begins a new one', async () => {
  const { connect, job } = await startOne()
  const trail = new SessionTrail()
  const first = await connect(trail)
  const { head } = await put(first, 'shared', 1)
  const twin = snapshotOf(trail, first.session)
  first.close()
  const a = await connect(trail)
  const b = await connect(twin)
  expect(a.session).toBe(first.session)
  expect(b.session).not.toBe(first.session)
  // A mutation that was answered before the snapshot is answered again only to one of them; for the other it is a new mutation.
  expect((await put(a, 'shared', 1)).head.version).toBe(head.version)
  expect((await put(a, 'of a', 2)).head.version).toBeGreaterThan(0)
  expect((await put(b, 'of b', 2)).head.version).toBeGreaterThan(0)
  expect((await job.get('of b')).toString()).toBe('of b')
})

test('I9: a client with older memory than the session has cannot go on with it', async () => {
  const { connect } = await startOne()
  const trail = new SessionTrail()
  const first = await connect(trail)
  await put(first, 'k', 1)
  const older = snapshotOf(trail, first.session)
  await put(first, 'k', 2)
  const late = await connect(older)
  expect(late.session).not.toBe(first.session)
  // The client that continued is not disturbed.
  expect(first.closed).toBe(false)
  expect((await put(first, 'k', 3)).head.version).toBeGreaterThan(0)
})

test('a client comes back to its session also where the answer to its hello was lost', async () => {
  const { node, token, connect } = await startOne()
  const trail = new SessionTrail()
  const first = await connect(trail)
  const { head } = await put(first, 'k', 1)
  first.close()
  const lost = await RawConnection.open(node.address)
  const nonce = await lost.nonce()
  lost.send(await lost.hello(token, { resume: trail.answered, mutations: trail.mutations }))
  trail.answers(nonce)
  await expect.poll(() => lost.frames.length).toBe(1)
  lost.vanish()
  const second = await connect(trail)
  expect(second.session).toBe(first.session)
  expect((await put(second, 'k', 1)).head.version).toBe(head.version)
})

test('and also where the hello itself was lost', async () => {
  const { connect } = await startOne()
  const trail = new SessionTrail()
  const first = await connect(trail)
  await put(first, 'k', 1)
  first.close()
  trail.answers(Buffer.alloc(16, 1))
  expect((await connect(trail)).session).toBe(first.session)
})

test('whoever goes on with a session ends its connection before, and what was parked there takes nothing', async () => {
  const { connect, job } = await startOne()
  const trail = new SessionTrail()
  const first = await connect(trail)
  first.beginMutation()
  const parked = first
    .call(dataOperations.get, { ...at('k', 0, 1), ...consumeFields, waitMs: 20_000 }, soon())
    .catch((error: unknown) => error)
  await sleep(50)
  const second = await connect(trail)
  expect(second.session).toBe(first.session)
  expect(await parked).toMatchObject({ code: 'CONNECTION_LOST' })
  const again = second.call(
    dataOperations.get,
    { ...at('k', 0, 1), ...consumeFields, waitMs: 20_000 },
    soon(),
  )
  await sleep(50)
  await job.put('k', 'once')
  expect((await again).payload.toString()).toBe('once')
  expect(await job.exists('k')).toBe(false)
})
