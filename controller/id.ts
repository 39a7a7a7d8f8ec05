import type { Random } from '../protocol/runtime.ts'

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'

/** 100 random bits: ids of jobs are never used again, over any number of clusters and years. */
export function newJobId(random: Random): string {
  return `j-${randomText(random, 20)}`
}

/** 65 random bits: every start of a storage node is a new id. */
export function newNodeId(random: Random): string {
  return `n-${randomText(random, 13)}`
}

/** The alphabet has 32 letters, which divides 256: no letter comes up more often than another. */
function randomText(random: Random, letters: number): string {
  return Array.from(random.bytes(letters), (byte) => ALPHABET[byte % ALPHABET.length]).join('')
}
