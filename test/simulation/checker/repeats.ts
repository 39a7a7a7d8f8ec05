import type { Call } from '../traffic/history.ts'
import type { Repeated } from '../traffic/twin.ts'

/**
 * Calls that are the repetition of another one by a client with the same memory: both were answered alike, as only one execution can be. Any
 * other is a call of its own: an answer that another execution may have had as well says nothing.
 */
export function repeatsOf(repeated: readonly Repeated[]): ReadonlySet<number> {
  return new Set(repeated.flatMap(({ original, copy }) => (isRepeat(original, copy) ? [copy.id] : [])))
}

function isRepeat({ action, outcome }: Call, copy: Call): boolean {
  const other = copy.outcome
  if (outcome.kind === 'version') return other.kind === 'version' && other.version === outcome.version
  if (outcome.kind === 'length') return other.kind === 'length' && other.bytes === outcome.bytes
  if (outcome.kind === 'value' && action.kind === 'get' && action.consume)
    return other.kind === 'value' && other.value === outcome.value
  const isDeletion = action.kind === 'delete' || action.kind === 'deleteMany'
  if (isDeletion && other.kind === outcome.kind) {
    copy.outcome = { kind: 'none' }
    copy.returnedMs = Number.POSITIVE_INFINITY
  }
  return false
}
