import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { Job } from '../../client/job.ts'
import { errorTable } from '../../protocol/errors.ts'
import { PROTOCOL_VERSION } from '../../protocol/limits.ts'
import { formatTicket, parseTicket } from '../../protocol/model/ticket.ts'
import { partsOfToken } from '../../protocol/model/token.ts'
import { challenge, hello, ping } from '../../protocol/operations/control-operations.ts'
import { dataOperations } from '../../protocol/operations/data-operations.ts'
import { systemRuntime } from '../../protocol/runtime.ts'
import { dialTcp } from '../../protocol/transport/tcp.ts'
import { FrameReader } from '../../protocol/wire/frame-reader.ts'
import { open, Planes } from '../fixture/planes.ts'
import { startForwarding } from '../fixture/proxy.ts'
import { feed, frameBytes, RawConnection } from '../fixture/raw-connection.ts'
import { startServer } from '../fixture/socket-server.ts'

async function startOne(lifeSeconds = 60) {
  const planes = await Planes.start()
  const node = await planes.startNode()
  const { placement } = parseTicket(await planes.createJob('j-1', [node]))
  const expiresSeconds = Math.floor(Date.now() / 1000) + lifeSeconds
  const ticketFor = (seconds: number) =>
    planes.ticket('j-1', placement, { expiresSeconds: Math.floor(Date.now() / 1000) + seconds })
  return { planes, node, placement, ticket: planes.ticket('j-1', placement, { expiresSeconds }), ticketFor }
}

/** The ticket, with another port for its node. */
function through(ticket: string, port: number): string {
  const parsed = parseTicket(ticket)
  const nodes = parsed.placement.nodes.map(({ id }) => ({ id, address: `127.0.0.1:${port}` }))
  return formatTicket({ ...parsed, placement: { ...parsed.placement, nodes } })
}

test('I23: the MAC of a token crosses the wire in neither direction', async () => {
  const { node, ticket } = await startOne()
  const seen: Buffer[] = []
  const { port } = await startForwarding(Number(node.address.split(':')[1]), {
    pass: (piece) => void seen.push(piece),
  })
  const job = await open(through(ticket, port))
  await job.put('k', 'x')
  const { claims, mac } = partsOfToken(parseTicket(ticket).token)
  const bytes = Buffer.concat(seen)
  expect(bytes.includes(Buffer.from(claims))).toBe(true)
  expect(bytes.includes(Buffer.from(mac))).toBe(false)
})

test('a process on the port of a node that does not know the secret learns no token, and no answer of it counts', async () => {
  const { ticket } = await startOne()
  const received: Buffer[] = []
  const { port } = await startServer(async (socket) => {
    socket.write(await frameBytes(0, challenge, { protocol: PROTOCOL_VERSION, nonce: Buffer.alloc(16) }))
    const reply = <Head>(
      id: number,
      codec: typeof dataOperations.get.reply | typeof hello.reply,
      head: Head,
    ) => frameBytes(id, { number: 0, request: codec as never, reply: codec as never }, head as never)
    const reader = new FrameReader({
      onFrame: ({ id, kind }) => {
        if (kind === ping.number) return
        const answer =
          kind === hello.number
            ? reply(id, hello.reply, { server: 'n-1', session: Buffer.alloc(16), proof: Buffer.alloc(32) })
            : reply(id, dataOperations.get.reply, { ...forged })
        void answer.then((bytes) => socket.write(bytes))
      },
    })
    socket.on('data', (piece) => {
      received.push(piece)
      feed(reader, piece)
    })
  })
  const job = await open(through(ticket, port))
  await expect(job.get('k', { deadlineMs: 400 })).rejects.toMatchObject({
    code: expect.stringMatching(/^(DEADLINE_EXCEEDED|UNAVAILABLE)$/),
  })
  expect(Buffer.concat(received).includes(Buffer.from(partsOfToken(parseTicket(ticket).token).mac))).toBe(
    false,
  )
})

const forged = {
  version: 1,
  kind: 0,
  bytes: 0,
  checksum: null,
  consumed: false,
  manifest: [],
  lease: 0,
}

test('a hello that was overheard is of no use to anyone else', async () => {
  const { node, ticket } = await startOne()
  const first = await RawConnection.open(node.address)
  const overheard = await first.hello(parseTicket(ticket).token)
  first.send(overheard)
  await expect.poll(() => first.frames[0]?.kind).toBe(0)
  const second = await RawConnection.open(node.address)
  second.send(overheard)
  await second.closed
  expect(second.frames[0]?.kind).toBe(errorTable.UNAUTHENTICATED.wire)
})

test.each([
  ['of another length', { resume: [Buffer.alloc(3_900)] }],
  ['too many', { resume: Array.from({ length: 9 }, (_, i) => Buffer.alloc(16, i)) }],
])('a hello that names challenges %s breaks the protocol', async (_, come) => {
  const { node, ticket } = await startOne()
  const connection = await RawConnection.open(node.address)
  connection.send(await connection.hello(parseTicket(ticket).token, come))
  await connection.closed
  expect(connection.frames[0]?.kind).toBe(errorTable.PROTOCOL_VIOLATION.wire)
})

/** Opens a job, and counts its connections. */
function openCounting(ticket: string): { job: Job; dialed: () => number } {
  let dialed = 0
  const dial = (address: string) => {
    dialed++
    return dialTcp(address)
  }
  const job = new Job(ticket, { runtime: systemRuntime, dial })
  onTestFinished(() => job.close())
  return { job, dialed: () => dialed }
}

test('an open connection ends when its token has expired', async () => {
  const { ticketFor } = await startOne()
  const { job } = openCounting(ticketFor(2))
  await job.put('k', 'x')
  const parked = job.get('never', { waitSeconds: 20 }).catch((error: unknown) => error)
  await sleep(2_100)
  expect(await parked).toMatchObject({ code: 'TICKET_EXPIRED' })
  await expect(job.get('k')).rejects.toMatchObject({ code: 'TICKET_EXPIRED' })
})

test('a token is renewed without a new connection, and what is under way goes on', async () => {
  const { ticketFor, planes, placement } = await startOne()
  const { job, dialed } = openCounting(ticketFor(2))
  await job.put('k', 'x')
  const parked = job.get('later', { waitSeconds: 20 })
  await job.renewTicket(ticketFor(60))
  await sleep(2_100)
  await job.put('later', 'came')
  expect((await parked).toString()).toBe('came')
  expect(dialed()).toBe(1)
  await expect(job.renewTicket(planes.ticket('j-2', placement))).rejects.toMatchObject({
    code: 'BAD_REQUEST',
  })
})
