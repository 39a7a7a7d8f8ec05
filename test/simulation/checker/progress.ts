import { CHUNK_BYTES, LOOK_MS, PING_LOOKS } from '../../../protocol/limits.ts'
import { CAPACITY_WAIT_MS } from '../../../storage-node/tiers/limits.ts'
import { type Action, type Call, isMutation } from '../traffic/history.ts'
import { bytesOf } from '../traffic/values.ts'

/** Until when, in virtual ms, nothing happened that a caller may notice other than by its own delay. */
export interface Progress {
  /** Without frozen clients. */
  readonly frozenUntilMs: number
  /** Without frozen clients and forgotten connections. */
  readonly forgottenUntilMs: number
}

/**
 * From when a connection stops carrying bytes until its call continues over another one. A call of several messages, or one that meets this repeatedly, takes
 * several times as long.
 */
const RECOVERY_MS = 1_500
const RECOVERIES_MAX = 3
/** Delay of the ping for a call whose server has said that it waits. */
const PING_MS = PING_LOOKS * LOOK_MS
/** A mutation may wait for room, for bytes from below RAM, and for room again. */
const NODE_WAITS = 4

/** Checks how long a call took, and what its error says about that, if at most progress was disturbed. */
export function checkProgress(call: Call, { frozenUntilMs, forgottenUntilMs }: Progress): string | null {
  const { action, returnedMs, pausedMs, outcome, aborted } = call
  if (aborted || outcome.kind === 'none') return null
  const code = outcome.kind === 'error' ? outcome.code : ''
  if (
    returnedMs < frozenUntilMs &&
    pausedMs > NODE_WAITS * CAPACITY_WAIT_MS &&
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

/** One message that the node answers at once, and the call used up its time only by the client's pause. */
function isShort(call: Call): boolean {
  const { action } = call
  const isOne = action.kind === 'append' || action.kind === 'delete' || isSmallPut(action)
  return isMutation(action) && isOne && activeMs(call) < call.deadlineMs / 2
}

function isSmallPut(action: Action): boolean {
  return action.kind === 'put' && !action.persist && bytesOf(action.value) <= CHUNK_BYTES
}

/** Without the time that the caller allowed the call to wait, and without the pauses of its client. */
function activeMs({ action, calledMs, returnedMs, pausedMs }: Call): number {
  const waitMs = action.kind === 'get' ? action.waitSeconds * 1000 : 0
  return returnedMs - calledMs - pausedMs - waitMs
}
