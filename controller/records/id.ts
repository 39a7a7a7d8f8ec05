import { createHash } from 'node:crypto'
import { letterOf, randomText } from '../../protocol/model/random-id.ts'
import type { Random } from '../../protocol/runtime.ts'

const JOB_LETTERS = 20
/** 40 bits: two of a thousand owners collide in one of two million clusters. */
const OWNER_LETTERS = 8

/**
 * 100 random bits, so ids are unique across clusters and years. The tag of the owner behind them tells whose persistent objects they are
 * when the job's record is gone.
 */
export function newJobId(random: Random, owner: string): string {
  return `j-${randomText(random, JOB_LETTERS)}${ownerTag(owner)}`
}

/** Whether the id belongs to a job of this owner. Ids without a tag, from earlier versions, belong to no owner. */
export function isJobOf(id: string, owner: string): boolean {
  return id.length === 2 + JOB_LETTERS + OWNER_LETTERS && id.endsWith(ownerTag(owner))
}

function ownerTag(owner: string): string {
  const digest = createHash('sha256').update(owner).digest()
  return [...digest.subarray(0, OWNER_LETTERS)].map(letterOf).join('')
}
