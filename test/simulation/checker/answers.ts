import type { ErrorCode } from '../../../protocol/errors.ts'
import { READ_LEASE_MS } from '../../../protocol/limits.ts'
import { PUT_LEASE_MS } from '../../../storage-node/limits.ts'
import { isTransient } from '../traffic/buckets.ts'
import { type Call, isMutation } from '../traffic/history.ts'
import type { Death, JobEnds } from './key-histories.ts'
import type { Progress } from './progress.ts'

/** What happened beside the calls. */
export interface World {
  readonly deaths: readonly Death[]
  readonly ends: JobEnds
  /** The first fault that callers may notice begins then. */
  readonly calmUntilMs: number
  /** How late the index of a slot may come to its new owner. */
  readonly lateMs: number
  readonly progress: Progress
  /** Jobs of which kept objects did not come back after a death, for the store stayed silent: I19 says nothing about them. */
  readonly forgotten: ReadonlySet<string>
  /** Calls that repeat one of a client with the same memory: they are one with it. */
  readonly repeats: ReadonlySet<number>
}

/** Errors that any call may meet in a cluster where anything may fail. */
const always: readonly ErrorCode[] = ['UNAVAILABLE', 'DEADLINE_EXCEEDED', 'ABORTED']

const byAction: Readonly<Record<Call['action']['kind'], readonly ErrorCode[]>> = {
  put: [
    'KEY_EXISTS',
    'VERSION_MISMATCH',
    'NOT_FOUND',
    'OBJECT_LOST',
    'CAPACITY_EXCEEDED',
    'PUT_EXPIRED',
    'TOO_MANY_REQUESTS',
    'OUTCOME_UNKNOWN',
  ],
  append: ['BAD_REQUEST', 'CAPACITY_EXCEEDED', 'OUTCOME_UNKNOWN', 'OBJECT_LOST'],
  // A consume brings what only the kept store has to its nodes.
  get: ['NOT_FOUND', 'OBJECT_LOST', 'OUTCOME_UNKNOWN', 'CAPACITY_EXCEEDED'],
  stat: ['OBJECT_LOST'],
  delete: ['OUTCOME_UNKNOWN', 'OBJECT_LOST'],
  deleteMany: ['OUTCOME_UNKNOWN', 'OBJECT_LOST'],
  list: ['OBJECT_LOST'],
  createBucket: ['BUCKET_EXISTS', 'OUTCOME_UNKNOWN'],
  deleteBucket: ['BUCKET_NOT_FOUND', 'OUTCOME_UNKNOWN'],
}

/** What is wrong with single answers, whatever came before them. */
export function checkAnswers(calls: readonly Call[], world: World): { call: Call; what: string }[] {
  const wrong: { call: Call; what: string }[] = []
  const keys = new Set(calls.map(({ home: { job, bucket, key } }) => `${job}/${bucket}/${key}`))
  const versions = new Set<string>()
  for (const call of calls) {
    if (world.repeats.has(call.id)) continue
    const what = whatIsWrong(call, { ...world, keys }) ?? whatIsOld(call, versions)
    if (what !== null) wrong.push({ call, what })
  }
  return wrong
}

/** A version names one put of its key. */
function whatIsOld({ home: { job, bucket, key }, outcome }: Call, versions: Set<string>): string | null {
  if (outcome.kind !== 'version') return null
  const name = `${job}/${bucket}/${key}@${outcome.version}`
  // A new bucket of the name is another one.
  if (isTransient(bucket)) return null
  if (versions.has(name)) return 'another put of the key has the same version'
  versions.add(name)
  return null
}

function whatIsWrong(call: Call, world: World & { keys: ReadonlySet<string> }): string | null {
  const { action, outcome, home, calledMs, returnedMs } = call
  if (outcome.kind === 'entries') {
    const { entries } = outcome
    const unsorted = entries.findIndex(
      ({ key }, index) => index > 0 && key <= (entries[index - 1]?.key ?? ''),
    )
    if (unsorted > 0) return `its entries are not in order, each once: ${entries[unsorted]?.key}`
    const foreign = entries.find(({ key }) => !world.keys.has(`${home.job}/${home.bucket}/${key}`))
    return foreign === undefined ? null : `it lists ${foreign.key}, which nobody ever put`
  }
  if (outcome.kind !== 'error') return null
  const { code } = outcome
  if (code === 'JOB_ENDED') {
    return (world.ends.get(home.job) ?? Number.POSITIVE_INFINITY) <= returnedMs
      ? null
      : 'its job has not ended'
  }
  if (['OUTCOME_UNKNOWN', 'CAPACITY_EXCEEDED'].includes(code) && !isMutation(action))
    return `it changes nothing, so it may not fail with ${code}`
  if (code === 'BUCKET_NOT_FOUND' && isTransient(home.bucket)) return null
  if (![...always, ...byAction[action.kind]].includes(code)) return `it may not fail with ${code}`
  // A consumer of a large object that was too slow for its lease is told so.
  if (action.kind === 'get' && action.consume && returnedMs - calledMs >= READ_LEASE_MS) return null
  if (code === 'OBJECT_LOST' && !world.deaths.some(({ atMs }) => atMs <= returnedMs)) {
    return 'no node has died'
  }
  const calmUntilMs = Math.min(world.calmUntilMs, world.ends.get(home.job) ?? Number.POSITIVE_INFINITY)
  // That its bucket is deleted meanwhile disturbs a call.
  return returnedMs < calmUntilMs && !isTransient(home.bucket) ? whatDisturbs(call, code, world.deaths) : null
}

/** That a connection is closed takes as long to be heard of as anything else. */
const NEWS_MS = 200

/** Slots that move and jobs that end are nothing that a caller should notice. */
function whatDisturbs(
  { calledMs, returnedMs, deadlineMs, aborted }: Call,
  code: ErrorCode,
  deaths: readonly Death[],
): string | null {
  const tookMs = returnedMs - calledMs
  // A node that was emptied and stopped takes the answers with it that were still under way.
  const hasStopped = deaths.some(({ atMs }) => calledMs - NEWS_MS <= atMs && atMs <= returnedMs)
  const isSlow = tookMs >= (code === 'PUT_EXPIRED' ? PUT_LEASE_MS : deadlineMs / 2)
  const disturbed = ['UNAVAILABLE', 'OUTCOME_UNKNOWN', 'DEADLINE_EXCEEDED', 'PUT_EXPIRED'].includes(code)
  return disturbed && !isSlow && !hasStopped && !aborted ? 'nothing has gone wrong so far' : null
}
