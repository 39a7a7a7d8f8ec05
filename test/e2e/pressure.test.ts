import { readdirSync, readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { openJob } from '../../client/job.ts'
import { CALLS_QUEUED_BYTES_MAX, CHUNK_BYTES, LINK_SILENT_MS } from '../../protocol/limits.ts'
import { parseTicket } from '../../protocol/model/ticket.ts'
import { ANY_VERSION, dataOperations } from '../../protocol/operations/data-operations.ts'
import { placementOperations } from '../../protocol/operations/plane-operations.ts'
import { FRAME_HEADER_BYTES } from '../../protocol/wire/frame.ts'
import { JOB_HELD_BYTES_MAX } from '../../service/server/limits.ts'
import { PlaneProcesses } from '../fixture/plane-processes.ts'
import { frameBytes, helloFrame, nonceOf } from '../fixture/raw-connection.ts'

const MIB = 2 ** 20
const STALLED = 1_000
/** Memory of a job's objects; frames of the stalled clients are received into it. */
const JOB_BYTES = 64 * MIB
/** An answer that is copied into the memory of its connection, near the maximum of such answers. */
const COPIED_BYTES = 8_000
/** Memory of a connection besides what is queued for it. */
const CONNECTION_BYTES = 32 * 1024
/** The machine may have other work. */
const CALL_MS_MAX = 2_000

async function startNode() {
  const planes = await PlaneProcesses.start()
  const metadata = await planes.startMetadata()
  const node = await planes.startNode('n-1')
  const openOn = async (job: string) => {
    const shares = [
      {
        node: node.id,
        address: node.address,
        weight: 1,
        ramBytes: JOB_BYTES,
        ssdBytes: 0,
        s3Bytes: 0,
        bytesPerSecond: 4e8,
      },
    ]
    const request = { job, slots: 64, readsPerThousand: null, shares }
    const placement = await planes.ask(metadata, placementOperations.jobCreate, { request })
    const ticket = planes.ticket(job, placement)
    const client = await openJob(ticket)
    onTestFinished(() => client.close())
    return { ticket, client, epoch: placement.epoch }
  }
  return { node, pid: node.child.pid as number, openOn }
}

/** Connections to the controller, which come and go. */
const OTHER_FILES_MAX = 10

function residentBytes(pid: number): number {
  return 1024 * Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
}

function openFiles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length
}

/** A peer that answers the challenge, sends `bytes`, and reads nothing more. */
function stall(address: string, token: Uint8Array, bytes: Uint8Array): void {
  const [host, port] = address.split(':') as [string, string]
  const socket: Socket = connect({ host, port: Number(port) })
  socket.on('error', () => socket.destroy())
  socket.once('data', async (piece: Buffer) => {
    socket.pause().write(await helloFrame(token, nonceOf(piece.subarray(FRAME_HEADER_BYTES))))
    socket.write(bytes)
  })
  onTestFinished(() => void socket.destroy())
}

test('a thousand clients that ask for much and read nothing cost a node bounded memory and the others bounded time, until they are let go', async () => {
  const { node, pid, openOn } = await startNode()
  const { client, ticket, epoch } = await openOn('j-stalled')
  const other = await openOn('j-other')
  for (let i = 0; i < 16; i++) await client.put(`large-${i}`, Buffer.alloc(CHUNK_BYTES, i))
  for (let i = 0; i < 16; i++) await client.put(`small-${i}`, Buffer.alloc(COPIED_BYTES, i))
  await other.client.put('k', Buffer.alloc(1024))
  const { token } = parseTicket(ticket)
  const askFor = async (name: string, gets: number) => {
    const frames = Array.from({ length: gets }, (_, i) => {
      const key = Buffer.from(`${name}-${i % 16}`)
      const from = { waitMs: 0, version: ANY_VERSION, offset: 0, length: 0 }
      const get = { epoch, bucket: 0, key, lane: 0, sequence: 0, consume: false, ...from }
      return frameBytes(2 + i, dataOperations.get, get)
    })
    return Buffer.concat(await Promise.all(frames))
  }
  const put = { epoch, bucket: 0, key: Buffer.from('half'), lane: 0, sequence: 0, condition: 0, ifVersion: 0 }
  const half = await frameBytes(
    2,
    dataOperations.put,
    { ...put, ttlSeconds: 0, metadata: [], checksum: null, keptBucket: '' },
    Buffer.alloc(CHUNK_BYTES),
  )
  const [large, small] = [await askFor('large', 64), await askFor('small', 1_000)]
  const requestOf = (i: number) => (i % 10 === 9 ? half.subarray(0, 1000) : i % 2 === 0 ? large : small)
  const before = { bytes: residentBytes(pid), files: openFiles(pid) }

  for (let i = 0; i < STALLED; i++) {
    stall(node.address, token, requestOf(i))
    if (i % 50 === 0) await sleep(5)
  }
  await expect.poll(() => openFiles(pid)).toBeGreaterThan(before.files + STALLED - OTHER_FILES_MAX)
  const waitedMs: number[] = []
  let residentMax = 0
  for (const endMs = performance.now() + 5_000; performance.now() < endMs; await sleep(5)) {
    const askedMs = performance.now()
    expect(await other.client.get('k')).toHaveLength(1024)
    waitedMs.push(performance.now() - askedMs)
    residentMax = Math.max(residentMax, residentBytes(pid))
  }
  waitedMs.sort((a, b) => a - b)
  const grownBytes = residentMax - before.bytes
  const medianMs = waitedMs[waitedMs.length >> 1] as number
  const longestMs = waitedMs.at(-1) as number
  console.log(
    `${STALLED} stalled clients: ${(grownBytes / MIB).toFixed(0)} MiB; another one waited ` +
      `${medianMs.toFixed(1)} ms in the median of ${waitedMs.length} gets, ${longestMs.toFixed(0)} ms at most`,
  )
  expect(grownBytes).toBeLessThan(JOB_BYTES + 2 * JOB_HELD_BYTES_MAX + STALLED * CONNECTION_BYTES)
  expect(longestMs).toBeLessThan(CALL_MS_MAX)

  // Incomplete frames of 1 MiB get their memory by turns, and each turn ends with the timeout.
  await expect
    .poll(() => openFiles(pid), { timeout: 7 * LINK_SILENT_MS, interval: 200 })
    .toBeLessThan(before.files + 10)
  expect(await other.client.get('k')).toHaveLength(1024)
  await expect.poll(async () => (await client.get('large-1', { deadlineMs: 1_000 })).length).toBe(CHUNK_BYTES)
}, 240_000)

test('a node that stands still costs a client that writes fast bounded memory, and takes all of it later', async () => {
  const { node, openOn } = await startNode()
  const { client } = await openOn('j-fast')
  const bytes = Buffer.alloc(COPIED_BYTES)
  await client.put('k', bytes)
  node.child.kill('SIGSTOP')
  onTestFinished(() => void node.child.kill('SIGCONT'))
  const before = process.memoryUsage().arrayBuffers
  const puts = Array.from({ length: 40_000 }, (_, i) => client.put(`k-${i % 100}`, bytes))
  const late = client.put('late', bytes, { deadlineMs: 200 })
  const aborted = client.put('aborted', bytes, { signal: AbortSignal.timeout(200) })
  expect(await Promise.allSettled([late, aborted])).toMatchObject([
    // It waits behind the others, and was never sent.
    { reason: { code: 'DEADLINE_EXCEEDED' } },
    { reason: { code: 'ABORTED' } },
  ])
  await sleep(500)
  const queued = process.memoryUsage().arrayBuffers - before
  console.log(`${puts.length} puts of a node that stands still: ${(queued / MIB).toFixed(1)} MiB of buffers`)
  expect(queued).toBeLessThan(2 * CALLS_QUEUED_BYTES_MAX)
  node.child.kill('SIGCONT')
  await Promise.all(puts)
  expect(await client.exists('late')).toBe(false)
  expect(await client.exists('aborted')).toBe(false)
})
