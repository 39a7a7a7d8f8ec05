import type { ErrorCode } from '../../../protocol/errors.ts'
import { type Call, isMutation } from '../traffic/history.ts'
import type { Death, JobEnds } from './key-histories.ts'

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
  get: ['NOT_FOUND', 'OBJECT_LOST', 'OUTCOME_UNKNOWN'],
  stat: ['OBJECT_LOST'],
  delete: ['OUTCOME_UNKNOWN', 'OBJECT_LOST'],
  deleteMany: ['OUTCOME_UNKNOWN', 'OBJECT_LOST'],
  list: ['OBJECT_LOST'],
}

/** What is wrong with single answers, whatever came before them. */
export function checkAnswers(
  calls: readonly Call[],
  world: { deaths: readonly Death[]; ends: JobEnds },
): { call: Call; what: string }[] {
  const wrong: { call: Call; what: string }[] = []
  const keys = new Set(calls.map(({ home: { job, bucket, key } }) => `${job}/${bucket}/${key}`))
  for (const call of calls) {
    const what = whatIsWrong(call, { ...world, keys })
    if (what !== null) wrong.push({ call, what })
  }
  return wrong
}

function whatIsWrong(
  call: Call,
  world: { deaths: readonly Death[]; ends: JobEnds; keys: ReadonlySet<string> },
): string | null {
  const { action, outcome, home, returnedMs } = call
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
  if (code === 'OUTCOME_UNKNOWN' && !isMutation(action))
    return 'it changes nothing, so it has no unknown outcome'
  if (![...always, ...byAction[action.kind]].includes(code)) return `it may not fail with ${code}`
  // A consumer of a large object that was too slow for its lease is told so.
  if (action.kind === 'get' && action.consume && code === 'OBJECT_LOST') return null
  if (code === 'OBJECT_LOST' && !world.deaths.some(({ atMs }) => atMs <= returnedMs)) {
    return 'no node has died'
  }
  return null
}
