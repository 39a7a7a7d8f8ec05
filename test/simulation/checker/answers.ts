import type { ErrorCode } from '../../../protocol/errors.ts'
import { READ_LEASE_MS } from '../../../protocol/limits.ts'
import { PUT_LEASE_MS } from '../../../storage-node/limits.ts'
import { isTransient } from '../traffic/buckets.ts'
import { type Call, isMutation } from '../traffic/history.ts'
import { nameOf } from '../traffic/values.ts'
import type { Death, JobEnds } from './key-histories.ts'
import type { Progress } from './progress.ts'

/** What happened in a run besides the calls. */
export interface World {
  readonly deaths: readonly Death[]
  readonly ends: JobEnds
  /** When the first fault begins that callers may notice. */
  readonly calmUntilMs: number
  /** Maximum delay of a slot's index on its way to the new owner. */
  readonly lateMs: number
  /** By how much wall clocks were set, in sum. */
  readonly jumpedMs: number
  readonly progress: Progress
  /** Jobs whose persisted objects were not recovered after a death because the store did not answer: I19 does not cover them. */
  readonly forgotten: ReadonlySet<string>
  /** Calls that repeat a call of a client with the same memory: both are one call. */
  readonly repeats: ReadonlySet<number>
}

/** Errors that any call may meet in a cluster in which anything may fail. */
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
  append: [
    'BAD_REQUEST',
    'OBJECT_TOO_LARGE',
    'CAPACITY_EXCEEDED',
    'TOO_MANY_REQUESTS',
    'OUTCOME_UNKNOWN',
    'OBJECT_LOST',
  ],
  // A consume restores objects that only the persistent store has.
  get: ['NOT_FOUND', 'OBJECT_LOST', 'OUTCOME_UNKNOWN', 'CAPACITY_EXCEEDED', 'TOO_MANY_REQUESTS'],
  stat: ['OBJECT_LOST'],
  // The sessions of the job take as much as they may.
  delete: ['OUTCOME_UNKNOWN', 'OBJECT_LOST', 'TOO_MANY_REQUESTS'],
  deleteMany: ['OUTCOME_UNKNOWN', 'OBJECT_LOST', 'TOO_MANY_REQUESTS'],
  list: ['OBJECT_LOST'],
  // The job has as many buckets as it may have.
  createBucket: ['BUCKET_EXISTS', 'BAD_REQUEST', 'OUTCOME_UNKNOWN'],
  deleteBucket: ['BUCKET_NOT_FOUND', 'OUTCOME_UNKNOWN'],
}

/** Violations in single answers, independent of earlier answers. */
export function checkAnswers(calls: readonly Call[], world: World): { call: Call; what: string }[] {
  const wrong: { call: Call; what: string }[] = []
  const keys = new Set(calls.map(({ home }) => nameOf(home)))
  const versions = new Set<string>()
  for (const call of calls) {
    if (world.repeats.has(call.id)) continue
    const what = whatIsWrong(call, { ...world, keys }) ?? whatIsOld(call, versions)
    if (what !== null) wrong.push({ call, what })
  }
  return wrong
}

/** A version names one put of its key. */
function whatIsOld({ home, outcome }: Call, versions: Set<string>): string | null {
  if (outcome.kind !== 'version') return null
  const name = `${nameOf(home)}@${outcome.version}`
  // A new bucket of the same name has versions of its own.
  if (isTransient(home.bucket)) return null
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
    const foreign = entries.find(({ key }) => !world.keys.has(nameOf({ ...home, key })))
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
  // Some of its messages were refused for the memory of the job's sessions, after others had deleted their keys.
  if (action.kind === 'deleteMany' && outcome.message.includes('Too many mutations of the job')) return null
  // A consumer of a large object that is slower than its lease gets an error.
  if (action.kind === 'get' && action.consume && returnedMs - calledMs >= READ_LEASE_MS) return null
  if (code === 'OBJECT_LOST' && !world.deaths.some(({ atMs }) => atMs <= returnedMs)) {
    return 'no node has died'
  }
  const calmUntilMs = Math.min(world.calmUntilMs, world.ends.get(home.job) ?? Number.POSITIVE_INFINITY)
  // The deletion of its bucket may disturb a call.
  return returnedMs < calmUntilMs && !isTransient(home.bucket) ? whatDisturbs(call, code, world.deaths) : null
}

/** How long a process needs to learn that a connection was closed, at most. */
const NEWS_MS = 200

/** A caller must not notice moves of slots and ends of jobs. */
function whatDisturbs(
  { calledMs, returnedMs, deadlineMs, aborted }: Call,
  code: ErrorCode,
  deaths: readonly Death[],
): string | null {
  const tookMs = returnedMs - calledMs
  // A node that was emptied and stopped may take unsent answers with it.
  const hasStopped = deaths.some(({ atMs }) => calledMs - NEWS_MS <= atMs && atMs <= returnedMs)
  const isSlow = tookMs >= (code === 'PUT_EXPIRED' ? PUT_LEASE_MS : deadlineMs / 2)
  const disturbed = ['UNAVAILABLE', 'OUTCOME_UNKNOWN', 'DEADLINE_EXCEEDED', 'PUT_EXPIRED'].includes(code)
  return disturbed && !isSlow && !hasStopped && !aborted ? 'nothing has gone wrong so far' : null
}
