import { expect, test } from 'vitest'
import { errorTable, MayflyError } from '../../../protocol/errors.ts'
import type { DataReplies, DataRequests } from '../../../protocol/operations/data-operations.ts'
import type { Peer } from '../../../service/server/peer.ts'
import { CapacityWait } from '../../../storage-node/admission/capacity-wait.ts'
import type { NodeJob } from '../../../storage-node/job/job.ts'
import type { CapacityRequests } from '../../../storage-node/tiering/capacity-requests.ts'
import type { Demoter } from '../../../storage-node/tiering/demoter.ts'
import { CAPACITY_WAIT_MS } from '../../../storage-node/tiers/limits.ts'
import { VirtualClock } from '../../controller/support/virtual-clock.ts'

const request: DataRequests['putMany'] = {
  epoch: 1,
  bucket: 0,
  lane: 0,
  sequence: 1,
  keys: [Buffer.from('a'), Buffer.from('b'), Buffer.from('c')],
  lengths: [1, 1, 1],
  conditions: [1, 1, 1],
  ifVersions: [],
  ttlSeconds: [],
  metadata: [],
  checksums: [],
}

const peer = { whenGone: () => () => undefined } as unknown as Peer

/** A job that stores the first key of each message, and has no room for the others. */
function start(park: () => () => void) {
  const clock = new VirtualClock()
  const job = { memory: { takeShortage: () => false }, underWay: { park } } as unknown as NodeJob
  const demoter = { makeRoom: () => new Promise(() => undefined) } as unknown as Demoter
  const room = new CapacityWait({ demoter, capacityRequests: {} as CapacityRequests, clock })
  const stored: string[] = []
  const put = ({ request: { keys } }: { request: DataRequests['putMany'] }) => {
    const [first, ...rest] = keys
    stored.push(String(first))
    const head: DataReplies['putMany'] = {
      results: Uint8Array.of(0, ...rest.map(() => errorTable.CAPACITY_EXCEEDED.wire)),
      versions: [7, ...rest.map(() => 0)],
    }
    return { head }
  }
  return {
    clock,
    stored,
    outcome: Promise.resolve(
      room.admitBatch(put)({ job, request, payload: Buffer.from('abc'), peer, id: 1 }),
    ),
  }
}

const partly = {
  head: {
    results: Uint8Array.of(0, errorTable.UNAVAILABLE.wire, errorTable.UNAVAILABLE.wire),
    versions: Float64Array.of(7, 0, 0),
  },
}

test('many puts of which the rest waits for room in vain: those that were stored are said to be, and the others alone fail', async () => {
  const { clock, stored, outcome } = start(() => () => undefined)
  await clock.advance(CAPACITY_WAIT_MS + 1)
  expect(await outcome).toEqual(partly)
  expect(stored).toEqual(['a'])
})

test('many puts of which the rest may not even wait: the same', async () => {
  const { stored, outcome } = start(() => {
    throw new MayflyError('UNAVAILABLE', 'Too many wait')
  })
  expect(await outcome).toEqual(partly)
  expect(stored).toEqual(['a'])
})
