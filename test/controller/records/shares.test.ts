import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { mergeShares, scaleShares } from '../../../controller/records/job.ts'
import { sum } from '../../../controller/sizing/node-class.ts'
import { seed } from '../support/seed.ts'

describe('shares', () => {
  test('on the same node become one', () => {
    const shares = [
      { node: 'a', ramBytes: 1, ssdBytes: 100, s3Bytes: 1000, bytesPerSecond: 10 },
      { node: 'b', ramBytes: 2, ssdBytes: 200, s3Bytes: 2000, bytesPerSecond: 20 },
      { node: 'a', ramBytes: 4, ssdBytes: 400, s3Bytes: 4000, bytesPerSecond: 40 },
    ]
    expect(mergeShares(shares)).toEqual([
      { node: 'a', ramBytes: 5, ssdBytes: 500, s3Bytes: 5000, bytesPerSecond: 50 },
      { node: 'b', ramBytes: 2, ssdBytes: 200, s3Bytes: 2000, bytesPerSecond: 20 },
    ])
  })

  test('that are scaled add up to exactly the new total and keep their proportion', () => {
    const bytes = fc.integer({ min: 1, max: 2 ** 40 })
    const share = fc.record({ ramBytes: bytes, ssdBytes: bytes, s3Bytes: bytes, bytesPerSecond: bytes })
    fc.assert(
      fc.property(fc.array(share, { minLength: 1, maxLength: 20 }), share, (vectors, total) => {
        const shares = vectors.map((vector, node) => ({ node: String(node), ...vector }))
        const scaled = scaleShares(shares, total)
        expect(sum(scaled)).toEqual(total)
        const before = sum(shares).ramBytes
        for (const [index, { node, ramBytes }] of scaled.entries()) {
          expect(node).toBe(String(index))
          const exact = total.ramBytes * ((shares[index]?.ramBytes ?? 0) / before)
          expect(Math.abs(ramBytes - exact)).toBeLessThanOrEqual(2)
        }
      }),
      { seed },
    )
  })
})
