import fc from 'fast-check'
import { expect, test } from 'vitest'
import { BlockMap } from '../../../storage-node/memory/block-map.ts'

const BLOCKS = 160

/** Allocates and frees at random, and compares with a list of booleans. */
const steps = fc.array(
  fc.tuple(
    fc.constantFrom('take', 'free'),
    fc.integer({ min: 0, max: BLOCKS - 1 }),
    fc.integer({ min: 1, max: 70 }),
  ),
)

function runsOf(taken: readonly boolean[]): { first: number; count: number }[] {
  const runs: { first: number; count: number }[] = []
  taken.forEach((is, block) => {
    if (is) return
    const last = runs.at(-1)
    if (last !== undefined && last.first + last.count === block) last.count++
    else runs.push({ first: block, count: 1 })
  })
  return runs
}

test('free runs are found as they are in a plain list, whatever was taken and freed', () => {
  fc.assert(
    fc.property(
      steps,
      fc.integer({ min: 1, max: 70 }),
      fc.integer({ min: 0, max: BLOCKS - 1 }),
      (changes, count, from) => {
        const map = new BlockMap(BLOCKS)
        const taken = new Array<boolean>(BLOCKS).fill(false)
        for (const [kind, first, length] of changes) {
          const blocks = Math.min(length, BLOCKS - first)
          // Only free blocks are allocated, and only allocated blocks are freed.
          if (taken.slice(first, first + blocks).includes(kind === 'take')) continue
          if (kind === 'take') map.take(first, blocks)
          else map.free(first, blocks)
          taken.fill(kind === 'take', first, first + blocks)
        }
        expect(map.takenBlocks).toBe(taken.filter((is) => is).length)
        const runs = runsOf(taken)
        const found = runs
          .map((run) => ({ first: Math.max(run.first, from), end: run.first + run.count }))
          .find(({ first, end }) => end - first >= count)
        expect(map.findFree(count, from)).toBe(found?.first ?? -1)
        expect(map.longestFree()).toBe(Math.max(0, ...runs.map((run) => run.count)))
        const around = runs.find(({ first, count }) => first <= from && from < first + count)
        if (around !== undefined) expect(map.freeAround(from, BLOCKS)).toBe(around.count)
      },
    ),
    { numRuns: 500 },
  )
})

test('all that another map has taken is freed, and counted', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: BLOCKS - 1 })),
      fc.array(fc.integer({ min: 0, max: BLOCKS - 1 })),
      (mine, theirs) => {
        const map = new BlockMap(BLOCKS)
        const other = new BlockMap(BLOCKS)
        for (const block of new Set(theirs)) other.take(block, 1)
        for (const block of new Set([...mine, ...theirs])) map.take(block, 1)
        expect(map.freeAll(other)).toBe(new Set(theirs).size)
        const left = new Set(mine.filter((block) => !theirs.includes(block)))
        expect(map.takenBlocks).toBe(left.size)
        for (let block = 0; block < BLOCKS; block++) expect(map.isTaken(block)).toBe(left.has(block))
      },
    ),
  )
})
