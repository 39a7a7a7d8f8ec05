import { expect, test } from 'vitest'
import { SlotOrigin } from '../../../protocol/operations/plane-operations.ts'
import type { NodeJob } from '../../../storage-node/job/job.ts'
import { Planes } from '../../fixture/planes.ts'
import { ownFields } from '../support/requests.ts'
import { newJob } from '../support/space.ts'

function spaceAt(now: { ms: number }, lease: { untilMs: number }): NodeJob {
  const clock = {
    monotonicMs: () => now.ms,
    wallMs: () => now.ms,
    after: () => ({ cancel: () => undefined, unref: () => undefined }),
  }
  return newJob({ clock, lease })
}

test('what a server granted for a job that it has handed on stays, and grows no more (I18)', () => {
  const now = { ms: 0 }
  const lease = { untilMs: 1_000 }
  const job = spaceAt(now, lease)
  job.lease.endRenewal()
  lease.untilMs = 5_000
  now.ms = 999
  expect(job.hasLease).toBe(true)
  now.ms = 1_001
  expect(job.hasLease).toBe(false)
  job.lease.replace({ metadata: 'm-2', term: 1 }, { untilMs: 3_000 })
  expect(job).toMatchObject({ metadata: 'm-2', term: 1, hasLease: true })
})

test('late words of a server that has handed the job on change nothing (I18)', async () => {
  const planes = await Planes.start()
  const { node } = await planes.startNode()
  const { address } = planes.metadataServer(1)
  const word = { job: 'j-1', generation: 9, slots: [], epoch: 99 }
  node.ownership.own({ ...ownOf(address), generation: 9, term: 0 })
  node.ownership.own({ ...ownOf('m-2'), generation: 1, term: 1 })
  expect(node.requireJob('j-1')).toMatchObject({ metadata: 'm-2', term: 1 })
  expect(() => node.ownership.own({ ...ownOf(address), generation: 9, term: 0 })).toThrow(
    'has transferred the job',
  )
  expect(() => node.ownership.drop({ ...word, metadata: address, term: 0 })).toThrow(
    'has transferred the job',
  )
  expect(node.requireJob('j-1')).toMatchObject({ metadata: 'm-2', term: 1 })
})

test('slots that were given away while their node was declared dead are withdrawn, whoever tells it then (I1)', async () => {
  const planes = await Planes.start()
  const { node } = await planes.startNode()
  const run = { first: 0, count: 64, epoch: 3, lost: false, origin: SlotOrigin.fresh, source: '' }
  node.ownership.own({ ...ownOf('m-1'), revision: 1, owned: [run] })
  const job = node.requireJob('j-1')
  const kept = job.owned.touch(9)
  const older = { ...run, count: 9 }
  expect(node.ownership.own({ ...ownOf('m-1'), revision: 0, owned: [older] })).toMatchObject({ withdrawn: 0 })
  // m-1 declared the node dead and gave slots 0 to 7 to others; m-2 has the job since.
  const rest = { ...run, first: 8, count: 56 }
  const own = { ...ownOf('m-2'), term: 1, revision: 5, owned: [rest] }
  expect(node.ownership.own(own)).toMatchObject({ taken: [], withdrawn: 8 })
  expect(job.owned.owns(7)).toBe(false)
  expect(job.owned.touch(9)).toBe(kept)
  // One of them comes back empty, which its new owner had for a while.
  const again = { ...run, count: 1, epoch: 20, lost: true }
  const owned = [again, rest]
  expect(node.ownership.own({ ...own, revision: 6, owned })).toMatchObject({ taken: [0], withdrawn: 0 })
  expect(job.owned.mayHaveLost(0)).toBe(true)
})

function ownOf(metadata: string) {
  return { ...ownFields, job: 'j-1', metadata, slots: 64 }
}
