import { expect, test } from 'vitest'
import { withShares } from '../../metadata/decide/decisions.ts'
import { isSettled, recordForTarget, withDeparture, withTransfer } from '../../metadata/decide/departure.ts'
import { decodeRecord, encodeRecord, newRecord } from '../../metadata/decide/job-record.ts'
import { withoutNodes } from '../../metadata/decide/moves.ts'
import { Gate } from '../../metadata/drive/gate.ts'

const here = { ramBytes: 1, ssdBytes: 0, s3Bytes: 0, bytesPerSecond: 1, weight: 1 }
const record = withShares(newRecord('j', 4), [{ node: 'n-1', address: 'n-1:1', ...here }])
const next = { id: 'm-2', address: 'm-2:1' }
const served = (): boolean => true

test('a job is handed on only when every slot is served and nothing is under way', () => {
  const leaving = withDeparture(record, next)
  const target = { id: 'n-2', address: 'n-2:1' }
  const source = { id: 'n-1', address: 'n-1:1' }
  const move = { epoch: 9, source, target, slots: [1], published: true }
  expect(isSettled(leaving, served)).toBe(true)
  expect(withTransfer(leaving, (slot) => slot !== 3)).toBe(leaving)
  const moving = { ...leaving, moves: [move] }
  expect(withTransfer(moving, served)).toBe(moving)
  const dirty = { ...leaving, leftovers: [{ node: source, epoch: 9, slots: [1] }] }
  expect(withTransfer(dirty, served)).toBe(dirty)
  expect(withTransfer(record, served)).toBe(record)
  expect(withTransfer(leaving, served).departure?.transferring).toBe(true)
})

test('a node that had only something to free holds nothing back once it is dead', () => {
  const leftovers = [{ node: { id: 'n-9', address: 'n-9:1' }, epoch: 9, slots: [1] }]
  const after = withoutNodes({ ...record, leftovers }, new Set(['n-9']))
  expect(after.leftovers).toEqual([])
  expect(isSettled(after, served)).toBe(true)
})

test('a slot that nobody owns holds no job back', () => {
  expect(isSettled(newRecord('j', 4), () => false)).toBe(true)
})

test('another server may be named while a job only leaves, and no other one once it is handed on', () => {
  const leaving = withDeparture(record, next)
  const third = { id: 'm-3', address: 'm-3:1' }
  expect(withDeparture(leaving, third).departure?.server).toEqual(third)
  expect(withDeparture(leaving, next)).toBe(leaving)
  const transferring = withTransfer(leaving, served)
  expect(() => withDeparture(transferring, third)).toThrow('is being transferred to another metadata server')
  const elsewhere = withDeparture(transferring, { ...next, address: 'm-2:2' })
  expect(elsewhere.departure).toEqual({ server: { id: 'm-2', address: 'm-2:2' }, transferring: true })
})

test('the next server gets the job under the next term, and all else as it is', () => {
  const transferring = withTransfer(withDeparture(record, next), served)
  expect(decodeRecord(encodeRecord(recordForTarget(transferring)))).toEqual({ ...record, term: 1 })
  expect(decodeRecord(encodeRecord(transferring))).toEqual(transferring)
})

test('the gate closes when no change is under way, lets none begin, and opens again', async () => {
  const gate = new Gate()
  const steps: string[] = []
  let finish = (): void => undefined
  const change = gate.run('j', async () => {
    await new Promise<void>((resolve) => {
      finish = resolve
    })
    steps.push('change')
  })
  const closed = gate.closed('j', async () => void steps.push('closed'))
  await expect(gate.run('j', async () => undefined)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  await gate.run('other', async () => void steps.push('other'))
  finish()
  await Promise.all([change, closed])
  await gate.run('j', async () => void steps.push('open'))
  expect(steps).toEqual(['other', 'change', 'closed', 'open'])
})
