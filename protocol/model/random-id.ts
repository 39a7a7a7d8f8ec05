import type { Random } from '../runtime.ts'

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'

/** 65 random bits: every start of a storage node gets a new id. */
export function newNodeId(random: Random): string {
  return `n-${randomText(random, 13)}`
}

/** The alphabet has 32 letters, which divides 256, so letters are uniform. */
export function randomText(random: Random, letters: number): string {
  return Array.from(random.bytes(letters), letterOf).join('')
}

export function letterOf(byte: number): string {
  return ALPHABET[byte % ALPHABET.length] ?? ''
}
