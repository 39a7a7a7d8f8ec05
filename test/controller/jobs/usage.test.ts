import { expect, test } from 'vitest'
import { Usage } from '../../../controller/jobs/usage.ts'
import { type JobUsageReport, nothingMoved } from '../../../protocol/operations/reports.ts'

/** A node's report in which all hits were in RAM. */
function report(of: { hits: number; stored?: number; readSquares?: number }): JobUsageReport {
  const { hits, stored = 10, readSquares = 0 } = of
  const tiers = { ram: { objects: 1, ...nothingMoved, hits } }
  return { id: 'j', objects: 1, bytes: { ram: 10 }, tiers, stored, readSquares, bytesPerSecond: 0, idleMs: 0 }
}

const hitsOf = (usage: Usage): number => usage.useOf('j').tiers.ram.hits

test('what nodes have counted adds up, and a report that comes again counts once', () => {
  const usage = new Usage()
  usage.onReport('a', [report({ hits: 3 })])
  usage.onReport('a', [report({ hits: 5 })])
  usage.onReport('a', [report({ hits: 5 })])
  usage.onReport('b', [report({ hits: 2 })])
  expect(hitsOf(usage)).toBe(7)
  expect(usage.useOf('j')).toMatchObject({ objects: 2, bytes: { ram: 20 } })
})

test('counts stay when a node leaves, or has no part in the job for a while; what lies there does not', () => {
  const usage = new Usage()
  usage.onReport('a', [report({ hits: 3 })])
  usage.onReport('b', [report({ hits: 2 })])
  usage.onReport('a', [])
  usage.onReport('a', [report({ hits: 4 })])
  usage.forget('b')
  expect(hitsOf(usage)).toBe(6)
  expect(usage.useOf('j').tiers.ram.objects).toBe(1)
  usage.forgetJob('j')
  expect(hitsOf(usage)).toBe(0)
})

test('reads are known by their mean, and by how far objects are from it where that was counted', () => {
  const usage = new Usage()
  expect(usage.readsOf('j')).toBeNull()
  usage.onReport('a', [report({ hits: 20, stored: 10 })])
  expect(usage.readsOf('j')).toEqual({ perObject: 2, variance: null })
  // Ten objects that were read twice each.
  usage.onReport('a', [report({ hits: 20, stored: 10, readSquares: 40 })])
  expect(usage.readsOf('j')).toEqual({ perObject: 2, variance: 0 })
  // One object that got all of the reads.
  usage.onReport('a', [report({ hits: 20, stored: 10, readSquares: 400 })])
  expect(usage.readsOf('j')).toEqual({ perObject: 2, variance: 36 })
})
