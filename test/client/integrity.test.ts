import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import type { Job } from '../../client/job.ts'
import { placementOperations } from '../../protocol/operations/plane-operations.ts'
import { readParts } from '../../storage-node/memory/payload.ts'
import { StoredChunk } from '../../storage-node/slot/chunks.ts'
import { keyHash, keyString } from '../../storage-node/slot/key-string.ts'
import { isManifest, readObject } from '../../storage-node/slot/stored-object.ts'
import { FRAGILE, startDamagingProxy } from '../fixture/damaging-proxy.ts'
import { open, Planes, type RunningNode } from '../fixture/planes.ts'

const MIB = 2 ** 20

/** A job whose clients reach its node through a proxy. */
async function openThroughProxy() {
  const planes = await Planes.start()
  const node = await planes.startNode()
  const proxy = await startDamagingProxy(node.address)
  const placement = await planes.ask(placementOperations.jobCreate, {
    job: 'j-1',
    readsPerThousand: null,
    slots: 64,
    shares: planes.shares([node]),
  })
  const nodes = [{ id: node.id, address: proxy.address }]
  const ticket = planes.ticket('j-1', { ...placement, nodes })
  return { planes, node, proxy, job: await open(ticket, { checksums: true }), plain: await open(ticket) }
}

const small = Buffer.concat([randomBytes(50), FRAGILE, randomBytes(50)])
const large = Buffer.concat([randomBytes(2 * MIB), FRAGILE, randomBytes(MIB)])

/** Every way to put an object, and every way to get it. */
const puts: readonly (readonly [string, (job: Job, bytes: Buffer) => Promise<unknown>])[] = [
  ['put', (job, bytes) => job.put('k', bytes)],
  ['putMany', (job, bytes) => job.putMany([{ key: 'k', bytes }])],
  ['putStream', (job, bytes) => job.putStream('k', Readable.from([bytes]))],
]
const gets: readonly (readonly [string, (job: Job) => Promise<Buffer | null | undefined>])[] = [
  ['get', (job) => job.get('k')],
  ['getMany', async (job) => (await job.getMany(['none', 'k']))[1]],
  ['getStream', (job) => buffer(job.getStream('k'))],
  ['get of a range', (job) => job.get('k', { range: { start: 60, end: 90 } })],
  ['get that consumes', (job) => job.get('k', { consume: true })],
]

test.each(puts)(
  'what %s brought damaged to the node is CHECKSUM_MISMATCH, and nothing of it is stored',
  async (_, put) => {
    const { proxy, job } = await openThroughProxy()
    for (const object of [small, large]) {
      await put(job, object)
      proxy.damages = 'requests'
      await expect(put(job, object)).rejects.toMatchObject({ code: 'CHECKSUM_MISMATCH' })
      proxy.damages = 'nothing'
      expect((await job.get('k')).equals(object)).toBe(true)
      await job.delete('k')
    }
  },
)

test('a put with persist that came damaged reaches neither its slot nor the persistent store', async () => {
  const { planes, proxy, job } = await openThroughProxy()
  proxy.damages = 'requests'
  for (const object of [small, large])
    await expect(job.put('k', object, { persist: true })).rejects.toMatchObject({ code: 'CHECKSUM_MISMATCH' })
  expect(await job.stat('k')).toBeNull()
  expect(await planes.persisted.stat({ job: 'j-1', bucket: 'default', key: 'k' })).toBeNull()
})

/** Changes a byte of the stored object or of one of its chunks. */
function damage(node: RunningNode, name: string): void {
  const space = node.node.jobs.get('j-1')
  const key = Buffer.from(name)
  const of = keyHash(0, keyString(key))
  for (const slot of space?.slots ?? []) {
    if (space === undefined || slot === undefined) continue
    const object = slot.find(of)
    const parts = [...slot.chunks.groups.values()]
      .filter((group) => group.key.equals(key))
      .flatMap(({ chunks }) => [...chunks.values()])
      .flatMap((chunk) => (chunk instanceof StoredChunk ? [chunk] : []))
    for (const { parts: runs, bytes } of parts.slice(0, 1))
      flip(readParts(space.memory, runs, { offset: 0, bytes }))
    if (object !== undefined && !isManifest(object))
      flip(readObject(space.memory, object, { offset: 0, bytes: 1 }))
  }
}

function flip({ views }: { views: readonly Uint8Array[] }): void {
  const [view] = views
  if (view !== undefined) view[0] = (view[0] ?? 0) ^ 1
}

test.each(gets)(
  'what %s would give damaged by the way is CHECKSUM_MISMATCH, and whole when asked again',
  async (name, get) => {
    const { proxy, job } = await openThroughProxy()
    for (const object of [small, large]) {
      await job.put('k', object)
      const isWhole = name !== 'get of a range'
      if (!isWhole && object === large) continue
      proxy.damages = 'answers'
      await expect(get(job)).rejects.toMatchObject({ code: 'CHECKSUM_MISMATCH' })
      proxy.damages = 'nothing'
      if (name !== 'get that consumes')
        expect((await get(job))?.equals(isWhole ? object : object.subarray(60, 90))).toBe(true)
    }
  },
)

test('an append that came damaged is refused and changes nothing; what was appended has a checksum of the whole', async () => {
  const { proxy, job } = await openThroughProxy()
  await job.append('log', 'first ')
  proxy.damages = 'requests'
  await expect(job.append('log', small)).rejects.toMatchObject({ code: 'CHECKSUM_MISMATCH' })
  proxy.damages = 'nothing'
  expect((await job.get('log')).toString()).toBe('first ')
  for (let round = 0; round < 20; round++) await job.append('log', small)
  await job.append('log', large.subarray(MIB + 100, 2 * MIB + 80))
  proxy.damages = 'answers'
  await expect(job.get('log')).rejects.toMatchObject({ code: 'CHECKSUM_MISMATCH' })
  await expect(buffer(job.getStream('log'))).rejects.toMatchObject({ code: 'CHECKSUM_MISMATCH' })
  proxy.damages = 'nothing'
  expect((await job.get('log')).length).toBe(6 + 20 * small.length + MIB - 20)
})

test('without checksums of its writer, or of its reader, an object is read unchecked', async () => {
  const { proxy, job, plain } = await openThroughProxy()
  await plain.put('k', small)
  await plain.append('log', small)
  await job.append('log', small)
  proxy.damages = 'answers'
  for (const [reader, key] of [
    [job, 'k'],
    [job, 'log'],
    [plain, 'k'],
  ] as const) {
    expect((await reader.get(key)).equals(small)).toBe(false)
  }
  await job.put('k', small)
  expect((await plain.get('k')).equals(small)).toBe(false)
})

test('checksums move with their slots', async () => {
  const { planes, node, job, plain } = await openThroughProxy()
  await job.put('small', small)
  await job.put('large', large)
  for (const name of ['small', 'large']) damage(node, name)
  await job.append('log', 'whole')
  await job.put('whole', large)
  const target = await planes.startNode()
  await planes.ask(placementOperations.jobShares, {
    job: 'j-1',
    readsPerThousand: null,
    shares: planes.shares([target]),
  })
  await expect.poll(() => node.node.jobs.get('j-1')?.objects ?? 0).toBe(0)
  for (const key of ['small', 'large']) {
    await expect(job.get(key)).rejects.toMatchObject({ code: 'CHECKSUM_MISMATCH' })
    expect((await plain.get(key)).length).toBeGreaterThan(100)
  }
  await job.append('log', ' still')
  expect((await job.get('log')).toString()).toBe('whole still')
  expect((await job.get('whole')).equals(large)).toBe(true)
})
