import { expect, test } from 'vitest'
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

function ownOf(metadata: string) {
  return { ...ownFields, job: 'j-1', metadata, slots: 64 }
}
