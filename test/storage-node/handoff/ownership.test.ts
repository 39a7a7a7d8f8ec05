import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { MayflyError } from '../../../protocol/errors.ts'
import { SlotOrigin } from '../../../protocol/operations/plane-operations.ts'
import { systemRuntime } from '../../../protocol/runtime.ts'
import { JOB_UNDER_WAY_BYTES_MAX } from '../../../storage-node/budget/limits.ts'
import { fill } from '../../../storage-node/handoff/puller.ts'
import { remoteEntries } from '../../../storage-node/handoff/remote-entries.ts'
import { receiveIndex, takeOver } from '../../../storage-node/handoff/target.ts'
import { ObjectTable } from '../../../storage-node/job/object-table.ts'
import { Kind } from '../../../storage-node/memory/record.ts'
import { Objects } from '../../../storage-node/operations/objects.ts'
import { keyHash } from '../../../storage-node/slot/key-string.ts'
import type { Slot } from '../../../storage-node/slot/slot.ts'
import { indexPage, newSpace } from '../support/space.ts'

const { clock } = systemRuntime

const word = (epoch: number, change: object = {}) => ({
  index: 0,
  epoch,
  lost: false,
  origin: SlotOrigin.fresh,
  source: '',
  ...change,
})

function put(slot: Slot, key: string, { version, text }: { version: number; text: string }): void {
  const of = keyHash(0, key)
  const content = Buffer.from(text)
  const object = {
    version,
    base: version,
    expiresAtMs: 0,
    metadata: Buffer.alloc(0),
    checksum: null,
    kind: Kind.value,
  }
  expect(slot.set(of, { ...object, bytes: content.length, content }, slot.find(of))).toBe(true)
}

function text(slot: Slot, key: string): string | undefined {
  return slot.find(keyHash(0, key))?.content.toString()
}

test('I2: a word about a slot that is older than what the node knows changes nothing', () => {
  const job = newSpace()
  expect(takeOver(job, word(5))).toBe(true)
  const slot = job.ownedSlot(0)
  expect(takeOver(job, word(4))).toBe(false)
  expect(takeOver(job, word(5))).toBe(false)
  expect(job.ownedSlot(0)).toBe(slot)
})

test('I1: an index alone does not make a node the owner; the word of metadata does', () => {
  const job = newSpace()
  receiveIndex(job, indexPage(3, ['k']), clock)
  expect(() => job.ownedSlot(0)).toThrow('does not own')
  expect(takeOver(job, word(3, { origin: SlotOrigin.handedOver, source: 'a:1' }))).toBe(true)
  expect(job.ownedSlot(0).find(keyHash(0, 'k'))?.version).toBe(7)
})

test('a slot is not taken over by handoff without its whole index', () => {
  const job = newSpace()
  const handedOver = word(3, { origin: SlotOrigin.handedOver, source: 'a:1' })
  expect(() => takeOver(job, handedOver)).toThrow('index')
  receiveIndex(job, { ...indexPage(3, ['k']), last: false }, clock)
  expect(() => takeOver(job, handedOver)).toThrow('index')
})

test('a page of an index that comes out of order is refused', () => {
  const job = newSpace()
  expect(() => receiveIndex(job, { ...indexPage(3, ['k']), page: 1 }, clock)).toThrow('out of order')
})

test('I6: bytes that arrive for an entry which has changed meanwhile are dropped', () => {
  const job = newSpace()
  receiveIndex(job, indexPage(3, ['k']), clock)
  takeOver(job, word(3, { origin: SlotOrigin.handedOver, source: 'a:1' }))
  const slot = job.ownedSlot(0)
  const [item] = [...remoteEntries(slot)]
  if (item === undefined) throw new Error('the entry is remote')
  put(slot, 'k', { version: 8, text: 'newer' })
  fill(job, slot, { item, bytes: Buffer.from('older') })
  expect(text(slot, 'k')).toBe('newer')
  expect(slot.isComplete).toBe(true)
})

test('what is fetched is the entry as it was found, though other keys are looked at while the get waits for its turn', async () => {
  // The key has to be in slot 0.
  const job = newSpace(60_000, 1)
  receiveIndex(job, indexPage(3, ['k']), clock)
  takeOver(job, word(3, { origin: SlotOrigin.handedOver, source: 'a:1' }))
  const slot = job.ownedSlot(0)
  put(slot, 'other', { version: 9, text: 'longer than the other one' })
  const fetched: unknown[] = []
  const objects = new Objects(new ObjectTable(clock), {
    clock,
    lowerReads: null as never,
    fetch: async (_, __, entry) => {
      fetched.push(entry)
      throw new MayflyError('UNAVAILABLE', 'That is enough')
    },
  })
  let goOn = (): void => undefined
  const first = job.underWay.answer(
    null,
    JOB_UNDER_WAY_BYTES_MAX,
    () =>
      new Promise<null>((resolve) => {
        goOn = () => resolve(null)
      }),
  )
  await Promise.resolve()
  const request = {
    epoch: 3,
    bucket: 0,
    key: Buffer.from('k'),
    consume: false,
    waitMs: 0,
    version: 0,
    offset: 0,
    length: 0,
  }
  const get = objects.get(job, { ...request, lane: 0, sequence: 0 } as never, null)
  expect(text(slot, 'other')).toBe('longer than the other one')
  goOn()
  await first
  await expect(get).rejects.toThrow('enough')
  expect(fetched).toEqual([{ version: 7, bytes: 5, tier: 0 }])
})

test('when the source is gone exactly the entries that are still remote are lost', () => {
  const job = newSpace()
  receiveIndex(job, indexPage(3, ['here', 'there']), clock)
  takeOver(job, word(3, { origin: SlotOrigin.handedOver, source: 'a:1' }))
  const slot = job.ownedSlot(0)
  const here = [...remoteEntries(slot)].find(({ key }) => key === 'here')
  if (here === undefined) throw new Error('the entry is remote')
  fill(job, slot, { item: here, bytes: Buffer.from('bytes') })
  takeOver(job, word(3, { origin: SlotOrigin.handedOver, source: '' }))
  expect(text(slot, 'here')).toBe('bytes')
  expect(text(slot, 'there')).toBeUndefined()
  expect(slot.missingError(keyHash(0, 'there')).code).toBe('OBJECT_LOST')
  expect(slot.missingError(keyHash(0, 'never')).code).toBe('NOT_FOUND')
  expect(slot.isComplete).toBe(true)
})

test('I14: an entry whose time to live was over before its bytes were lost is not lost', async () => {
  const job = newSpace()
  const page = indexPage(3, ['brief', 'long'])
  const entries = page.entries.map((entry) => ({ ...entry, ttlMs: `${entry.key}` === 'brief' ? 1 : 60_000 }))
  receiveIndex(job, { ...page, entries }, clock)
  takeOver(job, word(3, { origin: SlotOrigin.handedOver, source: 'a:1' }))
  await sleep(5)
  takeOver(job, word(3, { origin: SlotOrigin.handedOver, source: '' }))
  const slot = job.ownedSlot(0)
  expect(slot.missingError(keyHash(0, 'brief')).code).toBe('NOT_FOUND')
  expect(slot.missingError(keyHash(0, 'long')).code).toBe('OBJECT_LOST')
  expect(slot.isComplete).toBe(true)
  expect(job.objects).toBe(0)
})

test('without a lease a node serves nothing', () => {
  const job = newSpace(-1)
  takeOver(job, word(1))
  expect(() => job.ownedSlot(0)).toThrow('lease')
})

test('a restored slot goes on with what it held, whether the release came or not', () => {
  const job = newSpace()
  takeOver(job, word(1))
  const slot = job.ownedSlot(0)
  put(slot, 'k', { version: 1, text: 'kept' })
  takeOver(job, word(3, { origin: SlotOrigin.restored }))
  expect(job.ownedSlot(0)).toBe(slot)
  job.owned.release(0)
  job.owned.epochs.set(0, 4)
  job.released.set(0, { slot, epoch: 4 })
  takeOver(job, word(5, { origin: SlotOrigin.restored }))
  expect(text(job.ownedSlot(0), 'k')).toBe('kept')
})

test('I5: a slot that comes back because its other owner died begins empty, without the copies that were retained for that owner', () => {
  const job = newSpace()
  takeOver(job, word(1))
  const slot = job.ownedSlot(0)
  put(slot, 'k', { version: 1, text: 'as it was before the other owner changed it' })
  job.owned.release(0)
  job.owned.epochs.set(0, 2)
  job.released.set(0, { slot, epoch: 2 })
  takeOver(job, word(3, { lost: true }))
  expect(job.ownedSlot(0).find(keyHash(0, 'k'))).toBe(undefined)
  expect(job.ownedSlot(0).mayHaveLost).toBe(true)
  expect(slot.discarded).toBe(true)
  expect(job.released.get(0)).toBe(undefined)
})
