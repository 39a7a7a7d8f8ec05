import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { PlacedNode } from '../../../protocol/model/placement.ts'
import { Electorate } from '../../../service/postgres/electorate.ts'

const voters = (ids: readonly string[]): PlacedNode[] => ids.map((id) => ({ id, address: `${id}:1` }))
const some = fc.uniqueArray(fc.constantFrom(...'abcdefg'), { maxLength: 7 })

test('I29: whichever renewal is stored, a process with a majority excludes one that half of the voters follow', () => {
  const worlds = fc.record({
    stored: some,
    sent: some,
    isSent: fc.boolean(),
    isStored: fc.boolean(),
    sides: fc.array(fc.constantFrom('former', 'next', 'none'), { minLength: 7, maxLength: 7 }),
  })
  fc.assert(
    fc.property(worlds, ({ stored, sent, isSent, isStored, sides }) => {
      const followers = (side: string) => new Set([...'abcdefg'].filter((_, index) => sides[index] === side))
      const former = new Electorate(voters(stored))
      if (isSent) former.send(voters(sent))
      // What the next leader reads.
      const next = new Electorate(voters(isSent && isStored ? sent : stored))
      expect(former.hasMajority(followers('former')) && next.hasHalf(followers('next'))).toBe(false)
    }),
    { numRuns: 2000 },
  )
})

test('half of the voters decide for a successor, and more than half for a process that goes on', () => {
  const electorate = new Electorate(voters(['a', 'b', 'c', 'd']))
  expect(electorate.hasHalf(new Set(['a', 'b']))).toBe(true)
  expect(electorate.hasMajority(new Set(['a', 'b']))).toBe(false)
  expect(electorate.hasMajority(new Set(['a', 'b', 'c']))).toBe(true)
  expect(electorate.hasHalf(new Set(['a', 'x', 'y', 'z']))).toBe(false)
})

test('voters that were sent and not confirmed are sent again, before any others', () => {
  const electorate = new Electorate(voters(['a']))
  expect(electorate.send(voters(['a']))).toBe(null)
  expect(electorate.send(voters(['b']))).toEqual(voters(['b']))
  expect(electorate.send(voters(['c']))).toEqual(voters(['b']))
  expect(electorate.voters).toEqual(voters(['a', 'b']))
  electorate.confirmSent()
  expect(electorate.voters).toEqual(voters(['b']))
  expect(electorate.send(null)).toBe(null)
})
