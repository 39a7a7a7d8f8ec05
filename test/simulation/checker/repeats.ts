import type { Call, Outcome } from '../traffic/history.ts'
import type { Repeated } from '../traffic/twin.ts'

/**
 * Calls that are one with a call of a client with the same memory: their answers are those of a single execution. Any other call is counted by itself. Two
 * deletions with equal answers cannot be told apart, so the second one is ignored. Appends with equal answers were one, or two with a removal of the key in
 * between, so the second one may have happened.
 */
export function repeatsOf(repeated: readonly Repeated[]): ReadonlySet<number> {
  return new Set(repeated.flatMap((pair) => repeatOf(pair)?.id ?? []))
}

function repeatOf({ original, copy }: Repeated): Call | null {
  const { action } = original
  if (action.kind === 'get' && action.consume) {
    // Each reads the chunks of a single consumed object, and may be too late for them.
    if (isTaken(original.outcome) && isTaken(copy.outcome) && !isOther(original.outcome, copy.outcome))
      return original.outcome.kind === 'value' ? copy : original
    return null
  }
  if (action.kind === 'delete' || action.kind === 'deleteMany') {
    if (original.outcome.kind === copy.outcome.kind) {
      copy.outcome = { kind: 'none' }
      copy.returnedMs = Number.POSITIVE_INFINITY
    }
    return null
  }
  if (!isOne(original.outcome, copy.outcome)) return null
  if (action.kind !== 'append') return copy
  copy.returnedMs = Number.POSITIVE_INFINITY
  return null
}

function isTaken(outcome: Outcome): boolean {
  return outcome.kind === 'value' || (outcome.kind === 'error' && outcome.code === 'OBJECT_LOST')
}

function isOther(one: Outcome, other: Outcome): boolean {
  return one.kind === 'value' && other.kind === 'value' && one.value !== other.value
}

/** A single execution can have produced both answers; of puts, no other can, for each has its version. */
function isOne(one: Outcome, other: Outcome): boolean {
  if (one.kind === 'version') return other.kind === 'version' && other.version === one.version
  return one.kind === 'length' && other.kind === 'length' && other.bytes === one.bytes
}
