import { CHUNK_BYTES, LOOK_MS, PING_LOOKS } from '../../../protocol/limits.ts'
import { CAPACITY_WAIT_MS } from '../../../storage-node/tiers/limits.ts'
import { type Action, type Call, isMutation } from '../traffic/history.ts'
import { bytesOf } from '../traffic/values.ts'

/** Until when, in virtual ms, nothing happened to a run that a caller may notice by more than the time that it takes. */
export interface Progress {
  /** But that clients were frozen. */
  readonly frozenUntilMs: number
  /** But for that, and connections that carry nothing any more. */
  readonly forgottenUntilMs: number
}

/**
 * From when a connection carries nothing until a call over it goes on over another one. A call of many messages, or one that meets it again
 * and again, takes several times as long.
 */
const RECOVERY_MS = 1_500
const RECOVERIES_MAX = 3
/** A call that waits at its server, as the server has said, is asked about this late. */
const PING_MS = PING_LOOKS * LOOK_MS

/** What is wrong with how long a call took, or with what it says of that, where no more than progress was disturbed. */
export function checkProgress(call: Call, { frozenUntilMs, forgottenUntilMs }: Progress): string | null {
  const { action, returnedMs, pausedMs, outcome, aborted } = call
  if (aborted || outcome.kind === 'none') return null
  const code = outcome.kind === 'error' ? outcome.code : ''
  if (
    returnedMs < frozenUntilMs &&
    pausedMs > 2 * CAPACITY_WAIT_MS &&
    isShort(call) &&
    code === 'OUTCOME_UNKNOWN'
  )
    return 'its answer was there when its client went on'
  if (returnedMs >= forgottenUntilMs || pausedMs > 0) return null
  const failed = ['OUTCOME_UNKNOWN', 'DEADLINE_EXCEEDED', 'UNAVAILABLE'].includes(code)
  const mayWait = action.kind === 'get' && action.waitSeconds > 0
  const recoveryMs = RECOVERIES_MAX * RECOVERY_MS + (mayWait ? PING_MS : 0)
  if (failed && call.deadlineMs > recoveryMs) return 'no connection is silent for so long'
  if (activeMs(call) > recoveryMs && action.kind !== 'list') return `it took ${activeMs(call).toFixed(0)} ms`
  return null
}

/** One message, which the node answers at once, and of the call's time only the pause used up what it had. */
function isShort(call: Call): boolean {
  const { action } = call
  const isOne = action.kind === 'append' || action.kind === 'delete' || isSmallPut(action)
  return isMutation(action) && isOne && activeMs(call) < call.deadlineMs / 2
}

function isSmallPut(action: Action): boolean {
  return action.kind === 'put' && !action.persist && bytesOf(action.value) <= CHUNK_BYTES
}

/** Without what the caller itself allowed the call to wait, and what its client stood still. */
function activeMs({ action, calledMs, returnedMs, pausedMs }: Call): number {
  const waitMs = action.kind === 'get' ? action.waitSeconds * 1000 : 0
  return returnedMs - calledMs - pausedMs - waitMs
}
