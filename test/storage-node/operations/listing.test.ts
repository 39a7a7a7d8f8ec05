import { expect, test } from 'vitest'
import { TURNS_ALONE_MS } from '../../../protocol/limits.ts'
import { hashKey, slotOf } from '../../../protocol/model/hash.ts'
import { SlotOrigin } from '../../../protocol/operations/plane-operations.ts'
import { type Clock, systemRuntime } from '../../../protocol/runtime.ts'
import { Turns } from '../../../service/server/turns.ts'
import { receiveIndex, takeOver } from '../../../storage-node/handoff/target.ts'
import type { NodeJob } from '../../../storage-node/job/job.ts'
import { LIST_CURSORS_BYTES_MAX, LIST_GATHERINGS_MAX } from '../../../storage-node/limits.ts'
import { Kind } from '../../../storage-node/memory/record.ts'
import { Listings } from '../../../storage-node/operations/listing.ts'
import { keyHash } from '../../../storage-node/slot/key-string.ts'
import { indexPage, newSpace } from '../support/space.ts'

const SLOTS = 4
const fresh = { epoch: 1, lost: false, origin: SlotOrigin.fresh, source: '' }

function newJob(slots = SLOTS, capacityBytes = 60_000): NodeJob {
  const job = newSpace(capacityBytes, slots)
  for (let index = 0; index < slots; index++) takeOver(job, { index, ...fresh })
  return job
}

function put(job: NodeJob, key: string, expiresAtMs = 0): void {
  const of = keyHash(0, key)
  const slot = job.ownedSlot(slotOf(hashKey(of.key, of.bucket), job.owned.count))
  const content = Buffer.from('x')
  const object = { version: 1, base: 1, expiresAtMs, metadata: Buffer.alloc(0), checksum: null }
  expect(slot.set(of, { ...object, kind: Kind.value, bytes: 1, content }, slot.find(of))).toBe(true)
}

function remove(job: NodeJob, key: string): void {
  const of = keyHash(0, key)
  const slot = job.ownedSlot(slotOf(hashKey(of.key, of.bucket), job.owned.count))
  const object = slot.find(of)
  if (object !== undefined) slot.objects.remove(of, object)
}

function request(job: NodeJob, after = '', change: object = {}) {
  const slots = Buffer.alloc(Math.max(1, job.owned.count / 8), 255)
  const all = { epoch: 1, bucket: 0, slots, prefix: Buffer.alloc(0), limit: 10, acceptHoles: false }
  return { ...all, after: Buffer.from(after), listing: 7, ...change }
}

function listingsOf(clock: Clock): Listings {
  return new Listings(clock, new Turns(clock))
}

/** A clock whose yields to the event loop are granted one by one. */
function heldClock(): { clock: Clock; turn: () => Promise<boolean> } {
  const waiting: (() => void)[] = []
  const clock = { ...systemRuntime.clock, soon: (task: () => void) => void waiting.push(task) }
  const turn = async (): Promise<boolean> => {
    await new Promise((resolve) => setTimeout(resolve, 0))
    const next = waiting.shift()
    next?.()
    return next !== undefined
  }
  return { clock, turn }
}

async function listAll(
  listings: Listings,
  job: NodeJob,
  between: (page: number) => void = () => undefined,
): Promise<string[]> {
  const keys: string[] = []
  for (let after = '', page = 1; ; page++) {
    const { entries, complete } = await listings.page(job, 's', request(job, after))
    keys.push(...entries.map(({ key }) => key))
    if (complete) return keys
    after = keys.at(-1) ?? ''
    between(page)
  }
}

test('a listing whose source dies in the middle is OBJECT_LOST, and not short', async () => {
  const job = newSpace(60_000, 1)
  const keys = Array.from({ length: 3_000 }, (_, index) => `k${index}`)
  receiveIndex(job, indexPage(3, keys), systemRuntime.clock)
  const handedOver = { index: 0, epoch: 3, lost: false, origin: SlotOrigin.handedOver, source: 'a:1' }
  takeOver(job, handedOver)
  const { clock, turn } = heldClock()
  const page = listingsOf(clock).page(job, 's', request(job))
  page.catch(() => undefined)
  // The scan of the slot is under way.
  expect(await turn()).toBe(true)
  takeOver(job, { ...handedOver, source: '' })
  while (await turn());
  await expect(page).rejects.toMatchObject({ code: 'OBJECT_LOST' })
})

test('a source that dies between two pages makes the next one OBJECT_LOST, and a listing that accepts holes goes on', async () => {
  const job = newSpace(60_000, 1)
  const keys = Array.from({ length: 30 }, (_, index) => `k${String(index).padStart(2, '0')}`)
  receiveIndex(job, indexPage(3, keys), systemRuntime.clock)
  const handedOver = { index: 0, epoch: 3, lost: false, origin: SlotOrigin.handedOver, source: 'a:1' }
  takeOver(job, handedOver)
  const listings = listingsOf(systemRuntime.clock)
  const first = await listings.page(job, 's', request(job))
  expect(first.entries.map(({ key }) => key)).toEqual(keys.slice(0, 10))
  takeOver(job, { ...handedOver, source: '' })
  const after = first.entries.at(-1)?.key
  await expect(listings.page(job, 's', request(job, after))).rejects.toMatchObject({ code: 'OBJECT_LOST' })
  const rest = await listings.page(job, 's', request(job, after, { acceptHoles: true }))
  expect(rest).toEqual({ complete: true, entries: [] })
})

test('a slot that was lost is a hole, though nothing has touched it', async () => {
  const other = newSpace(60_000, SLOTS)
  for (let index = 0; index < SLOTS; index++) takeOver(other, { index, ...fresh, lost: index === 2 })
  const listings = listingsOf(systemRuntime.clock)
  await expect(listings.page(other, 's', request(other))).rejects.toMatchObject({ code: 'OBJECT_LOST' })
  expect(other.slots[2]).toBeUndefined()
})

test('each key that is there during all of a listing is in it once, whatever comes and goes between its pages', async () => {
  const job = newJob()
  const keys = Array.from({ length: 500 }, (_, index) => `k${String(index).padStart(3, '0')}`)
  for (const key of keys) put(job, key)
  const gone = new Set<string>()
  const listed = await listAll(listingsOf(systemRuntime.clock), job, (page) => {
    // One key of every following page, one of a page that was listed, and a new one.
    const key = keys[page * 10 + 13]
    if (key !== undefined) {
      gone.add(key)
      remove(job, key)
    }
    remove(job, keys[(page - 1) * 10] ?? '')
    put(job, `new${page}`)
  })
  const expected = keys.filter((key) => !gone.has(key))
  const seen = listed.filter((key) => !key.startsWith('new'))
  expect(seen.filter((key) => !gone.has(key))).toEqual(expected)
  expect(new Set(listed).size).toBe(listed.length)
  expect([...listed].sort()).toEqual(listed)
})

test('a listing that begins sees what was put before it, though another one had its number', async () => {
  const job = newJob()
  for (let index = 0; index < 30; index++) put(job, `k${String(index).padStart(2, '0')}`)
  const listings = listingsOf(systemRuntime.clock)
  await listings.page(job, 's', request(job))
  put(job, 'k00a')
  const { entries } = await listings.page(job, 's', request(job))
  expect(entries.map(({ key }) => key)).toContain('k00a')
})

test('more keys than a cursor holds are listed all the same, and cursors count as held by their job', async () => {
  const job = newJob(64)
  const name = (index: number) => String(index).padStart(1000, '0')
  const count = 20_000
  const objects = Array.from({ length: count }, (_, index) => name((index * 7919) % count))
  for (const key of objects) put(job, key)
  const listings = listingsOf(systemRuntime.clock)
  const before = job.overheadBytes
  const keys: string[] = []
  let heldBytesMax = 0
  for (let after = ''; ; after = keys.at(-1) ?? '') {
    const page = await listings.page(job, 's', request(job, after, { limit: 1000 }))
    keys.push(...page.entries.map(({ key }) => key))
    heldBytesMax = Math.max(heldBytesMax, job.overheadBytes - before)
    if (page.complete) break
  }
  expect(keys).toEqual([...objects].sort())
  expect(heldBytesMax).toBeGreaterThan(1_000_000)
  expect(heldBytesMax).toBeLessThan(LIST_CURSORS_BYTES_MAX)
  expect(job.overheadBytes).toBe(before)
})

test('listings that begin together share what is gathered, and cursors beyond the bound of their job are forgotten', async () => {
  const job = newJob(16)
  for (let index = 0; index < 5_000; index++) put(job, String(index).padStart(900, '0'))
  const listings = listingsOf(systemRuntime.clock)
  const before = job.overheadBytes
  const asked = (listing: number) => listings.page(job, 's', request(job, '', { listing }))
  await Promise.all(Array.from({ length: 20 }, (_, index) => asked(index + 1)))
  expect(job.overheadBytes - before).toBeLessThan(6_000_000)
  for (let listing = 100; listing < 120; listing++) await asked(listing)
  expect(job.overheadBytes - before).toBeLessThanOrEqual(LIST_CURSORS_BYTES_MAX)
})

test('I26: keys that a first page collects are charged to its job, and a node collects for a bounded number of jobs at once', async () => {
  const { clock, turn } = heldClock()
  const listings = listingsOf(clock)
  const jobs = Array.from({ length: LIST_GATHERINGS_MAX + 1 }, () => newJob(SLOTS, 300_000))
  for (const job of jobs) for (let index = 0; index < 2_000; index++) put(job, `k-${index}`)
  const before = jobs.map(({ overheadBytes }) => overheadBytes)
  const pages = jobs.map((job) => listings.page(job, 's', request(job, '', { listing: 0, limit: 1_000 })))
  const charged = (): number =>
    jobs.filter(({ overheadBytes }, at) => overheadBytes > (before[at] ?? 0)).length
  const counts: number[] = []
  while (await turn()) counts.push(charged())
  expect(Math.max(...counts)).toBe(LIST_GATHERINGS_MAX)
  for (const page of pages) expect((await page).entries).toHaveLength(1_000)
  expect(charged()).toBe(0)
})

test('pages that waited for one collection are built within the time of their job, and count as its requests', async () => {
  const { clock, turn } = heldClock()
  // A step takes 4 ms.
  let nowMs = 0
  const listings = listingsOf({ ...clock, monotonicMs: () => (nowMs += 4) })
  const job = newJob()
  for (let index = 0; index < 100; index++) put(job, `k-${index}`)
  job.requests = 0
  let built = 0
  const pages = Array.from({ length: 5 }, () =>
    listings.page(job, 's', request(job, '', { listing: 0, limit: 100 })).then((page) => {
      built++
      return page
    }),
  )
  const steps: number[] = []
  for (let before = 0; await turn(); before = built) {
    await new Promise((resolve) => setTimeout(resolve, 0))
    steps.push(built - before)
  }
  await Promise.all(pages)
  expect(Math.max(...steps)).toBe(Math.ceil(TURNS_ALONE_MS / 4))
  expect(job.requests).toBeGreaterThanOrEqual(5 * 10)
})

test('a listing of one page has the smallest keys, says whether others follow, and collects no more than these', async () => {
  const job = newJob(64)
  const count = 5_000
  const name = (index: number) => `k${String(index).padStart(4, '0')}`
  for (let index = 0; index < count; index++) put(job, name((index * 7919) % count))
  const { clock, turn } = heldClock()
  const listings = listingsOf(clock)
  const before = job.overheadBytes
  const whole = async (listing: number): Promise<{ keys: string[]; heldBytes: number }> => {
    const page = listings.page(job, 's', request(job, 'k0099', { limit: 10, listing }))
    let heldBytes = 0
    while (await turn()) heldBytes = Math.max(heldBytes, job.overheadBytes - before)
    const { entries, complete } = await page
    expect(complete).toBe(false)
    return { keys: entries.map(({ key }) => key), heldBytes }
  }
  const alone = await whole(0)
  expect(alone.keys).toEqual(Array.from({ length: 10 }, (_, index) => name(100 + index)))
  expect(job.overheadBytes).toBe(before)
  const first = await whole(7)
  expect(first.keys).toEqual(alone.keys)
  expect(alone.heldBytes).toBeLessThan(first.heldBytes / 20)

  const last = async (limit: number) => {
    const page = listings.page(job, 's', request(job, name(count - 11), { limit, listing: 0 }))
    while (await turn());
    const { entries, complete } = await page
    return [entries.length, complete]
  }
  expect(await last(9)).toEqual([9, false])
  expect(await last(10)).toEqual([10, true])
  expect(await last(11)).toEqual([10, true])
})

test('keys that expire after a listing of one page has collected them leave room for those behind them', async () => {
  const job = newJob()
  const keys = Array.from({ length: 3_000 }, (_, index) => `k${String(index).padStart(4, '0')}`)
  const { wallMs } = systemRuntime.clock
  for (const [index, key] of keys.entries()) put(job, key, index < 500 ? wallMs() + 60_000 : 0)
  // Keys are collected by the clock of the job.
  const listings = listingsOf({ ...systemRuntime.clock, wallMs: () => wallMs() + 120_000 })
  const { entries, complete } = await listings.page(job, 's', request(job, '', { listing: 0, limit: 10 }))
  expect(entries.map(({ key }) => key)).toEqual(keys.slice(500, 510))
  expect(complete).toBe(false)
})
