import { unreachable } from '../../../protocol/assert.ts'
import { APPEND_BYTES_MAX } from '../../../storage-node/limits.ts'
import { bytesOf } from '../traffic/values.ts'
import { absent, type Effect, type KeyState, type Operation } from './state.ts'

/** A recovered object expires by the clock of its new owner, which differs from that of the node where it was put. */
const CLOCKS_APART_MS = 400

/** A node's clock is exact, but times are rounded to whole ms and answers take time. */
const EXPIRY_SLACK_MS = 2

/** The states in which an operation can leave a key; empty if it cannot have happened in this state. */
export function step(state: KeyState, operation: Operation): KeyState[] {
  const { what } = operation
  if (what.kind === 'bucket') return bucket(state, what.exists)
  if (what.kind === 'noBucket') return state.bucket ? [] : [state]
  if (!state.bucket) return []
  return viewsOf(state, operation).flatMap((view) => apply(view, what, operation))
}

/** A new bucket has other slots, whose owners may have died: a miss may be `OBJECT_LOST`. */
function bucket(state: KeyState, exists: boolean): KeyState[] {
  if (state.bucket === exists) return []
  return [{ ...absent, bucket: exists, lost: exists ? 'old' : 'no' }]
}

/** A value that is about to expire may exist or not; one with missing chunks may be known to be lost, or have expired. */
function viewsOf(state: KeyState, { calledMs, returnedMs }: Operation): KeyState[] {
  const { value, expiry, holes } = state
  const views: KeyState[] = []
  const mayLive = expiry === null || calledMs <= expiry.toMs + EXPIRY_SLACK_MS
  if (value === null || mayLive) views.push(state)
  if (value !== null && expiry !== null && returnedMs >= expiry.fromMs - EXPIRY_SLACK_MS) {
    views.push(emptied(state))
  }
  if (holes) views.push({ ...emptied(state), lost: 'fresh' })
  return views
}

function apply(
  state: KeyState,
  what: Exclude<Effect, { kind: 'bucket' | 'noBucket' }>,
  operation: Operation,
): KeyState[] {
  switch (what.kind) {
    case 'put':
      return put(state, what, operation)
    case 'append':
      return append(state, what)
    case 'get':
      return get(state, what)
    case 'stat':
      return stat(state, what.found)
    case 'delete':
      if (what.existed !== null && what.existed !== (state.value !== null)) return []
      return [emptied(state), ...(what.existed === null ? shaken(state) : [])]
    case 'listed': {
      if (what.bytes !== null) return holdsBytes(state, what.bytes) ? [state] : []
      return state.value === null && (state.lost !== 'fresh' || what.acceptHoles) ? [state] : []
    }
    case 'death':
      return death(state, what)
    default:
      return unreachable(what)
  }
}

function put(state: KeyState, what: Extract<Effect, { kind: 'put' }>, operation: Operation): KeyState[] {
  const allowed = isAllowed(state, what.rule)
  switch (what.result) {
    case 'exists':
      return state.value !== null ? [state] : []
    case 'mismatch':
      return state.value === null || state.version !== what.rule ? [state] : []
    case 'missing':
      return state.value === null && state.lost !== 'fresh' ? [state] : []
    case 'lost':
      // A put with `persist` fails if its own chunks are lost.
      return (state.value === null && state.lost !== 'no') ||
        state.holes ||
        (what.persist && what.mayHaveHoles)
        ? [state]
        : []
    case 'unknown':
      return allowed ? [...written(state, what, operation), ...shaken(state)] : []
    case 'stored':
      return allowed ? written(state, what, operation) : []
    default:
      return unreachable(what.result)
  }
}

function isAllowed(state: KeyState, rule: 'always' | 'absent' | number): boolean {
  if (rule === 'always') return true
  if (rule === 'absent') return state.value === null
  return state.value !== null && (state.version === null || state.version === rule)
}

function written(
  state: KeyState,
  { value, large, persist, ttlMs, lateMs, earlyMs, version, mayHaveHoles }: Extract<Effect, { kind: 'put' }>,
  { calledMs, returnedMs }: Operation,
): KeyState[] {
  const expiry =
    ttlMs === 0 ? null : { fromMs: calledMs + ttlMs - earlyMs, toMs: returnedMs + ttlMs + lateMs }
  const { bucket } = state
  const after = {
    bucket,
    value,
    large,
    persisted: persist,
    shaky: false,
    version,
    expiry,
    lost: touched(state),
    holes: false,
  }
  return mayHaveHoles && !persist ? [after, { ...after, holes: true }] : [after]
}

function append(state: KeyState, { value, bytes }: Extract<Effect, { kind: 'append' }>): KeyState[] {
  const isRefused = state.large || state.persisted
  if (bytes === 'refused') return isRefused ? [state] : []
  if (isRefused) return bytes === null ? [state] : []
  const joined = state.value === null ? value : `${state.value}+${value}`
  const isTooLarge = bytesOf(joined) > APPEND_BYTES_MAX
  if (isTooLarge) return bytes === null || bytes === 'tooLarge' ? [state] : []
  if (bytes !== null && bytesOf(joined) !== bytes) return []
  return [{ ...state, value: joined, version: null, lost: touched(state) }]
}

function get(
  state: KeyState,
  { consume, found, mayHaveHoles }: Extract<Effect, { kind: 'get' }>,
): KeyState[] {
  const after = consume ? emptied(state) : state
  if (found === 'unknown') return state.value === null ? [] : [after, ...shaken(state)]
  if (found === 'missing') return state.value === null && state.lost !== 'fresh' ? [state] : []
  if (found === 'lost') {
    if (state.value === null) return state.lost === 'no' ? [] : [state]
    return state.holes || mayHaveHoles ? [after] : []
  }
  return state.value === found.value && !state.holes ? [after] : []
}

function stat(state: KeyState, found: Extract<Effect, { kind: 'stat' }>['found']): KeyState[] {
  if (found === 'missing') return state.value === null && state.lost !== 'fresh' ? [state] : []
  if (found === 'lost') return state.value === null && state.lost !== 'no' ? [state] : []
  if (!holdsBytes(state, found.bytes) || state.persisted !== found.persist) return []
  if (state.version !== null && state.version !== found.version) return []
  return [{ ...state, version: found.version }]
}

function death(state: KeyState, { slot, chunks }: Extract<Effect, { kind: 'death' }>): KeyState[] {
  // A recovered object has another version, unless only its bytes were on the dead node.
  if (state.persisted) {
    const { expiry } = state
    const sooner = expiry === null ? null : { ...expiry, fromMs: expiry.fromMs - CLOCKS_APART_MS }
    const back: KeyState[] = slot ? [{ ...state, version: null, lost: 'old', expiry: sooner }] : []
    if (!state.shaky) return back
    const gone = death({ ...state, persisted: false }, { kind: 'death', slot, chunks })
    return [...back, ...gone.map((after) => ({ ...after, persisted: after.value !== null }))]
  }
  const after: KeyState[] = []
  if (slot) after.push({ ...emptied(state), lost: 'fresh' })
  if (chunks && state.value !== null && !state.holes) after.push({ ...state, holes: true })
  return after
}

function emptied(state: KeyState): KeyState {
  return {
    ...absent,
    bucket: state.bucket,
    lost: touched(state),
  }
}

/** The persistent store was changed by an operation that failed afterwards. */
function shaken(state: KeyState): KeyState[] {
  return state.persisted && !state.shaky ? [{ ...state, shaky: true }] : []
}

function touched({ lost }: KeyState): KeyState['lost'] {
  return lost === 'no' ? 'no' : 'old'
}

function holdsBytes(state: KeyState, bytes: number): boolean {
  return state.value !== null && bytesOf(state.value) === bytes
}
