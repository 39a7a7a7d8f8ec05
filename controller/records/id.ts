import { createHash } from 'node:crypto'
import type { Random } from '../../protocol/runtime.ts'

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'

const JOB_LETTERS = 20
/** 40 bits: two of a thousand owners have the same in one of two million clusters. */
const OWNER_LETTERS = 8

/**
 * 100 random bits: ids of jobs are never used again, over any number of clusters and years. Behind them a tag of the owner, so that it is
 * known who a job's kept objects belong to when nothing else is known of the job any more.
 */
export function newJobId(random: Random, owner: string): string {
  return `j-${randomText(random, JOB_LETTERS)}${ownerTag(owner)}`
}

/** Whether the id is of a job of this owner. Ids of jobs from before they had tags are of nobody. */
export function isJobOf(id: string, owner: string): boolean {
  return id.length === 2 + JOB_LETTERS + OWNER_LETTERS && id.endsWith(ownerTag(owner))
}

/** 65 random bits: every start of a storage node is a new id. */
export function newNodeId(random: Random): string {
  return `n-${randomText(random, 13)}`
}

function ownerTag(owner: string): string {
  const digest = createHash('sha256').update(owner).digest()
  return [...digest.subarray(0, OWNER_LETTERS)].map(letterOf).join('')
}

/** The alphabet has 32 letters, which divides 256: no letter comes up more often than another. */
function randomText(random: Random, letters: number): string {
  return Array.from(random.bytes(letters), letterOf).join('')
}

function letterOf(byte: number): string {
  return ALPHABET[byte % ALPHABET.length] ?? ''
}
