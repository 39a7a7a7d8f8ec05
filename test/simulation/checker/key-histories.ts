import { CHUNK_BYTES, READ_LEASE_MS } from '../../../protocol/limits.ts'
import { absent, type Effect, type KeyState, type Miss, type Operation } from '../model/state.ts'
import { isTransient } from '../traffic/buckets.ts'
import { type Action, type Call, isUnknown, type Outcome } from '../traffic/history.ts'
import { bytesOf, type Home, nameOf } from '../traffic/values.ts'
import type { World } from './answers.ts'
import type { Losses } from './losses.ts'

/** The death of a storage node, with what was in its memory. */
export interface Death {
  readonly node: string
  readonly atMs: number
  /** Whether the key's slot may have been on the node, and whether chunks of it were. */
  touches(home: Home): Losses
}

export interface KeyHistory {
  readonly home: Home
  /** The state of the key before all operations. */
  readonly initial: KeyState
  readonly operations: readonly Operation[]
}

/** When the end of a job was requested; later calls are not checked. */
export type JobEnds = ReadonlyMap<string, number>

/** The calls of a run as operations on single keys, with the deaths that may affect each key. */
export function splitByKey(
  calls: readonly Call[],
  world: Pick<World, 'deaths' | 'ends' | 'lateMs' | 'jumpedMs' | 'repeats'>,
): KeyHistory[] {
  const keys = new Map<string, { home: Home; operations: Operation[] }>()
  for (const { home, action } of calls) {
    for (const key of action.kind === 'deleteMany' ? action.keys : [home.key]) {
      if (!['list', 'createBucket', 'deleteBucket'].includes(action.kind))
        keys.set(nameOf({ ...home, key }), { home: { ...home, key }, operations: [] })
    }
  }
  const deletions = calls.filter(({ action }) => action.kind === 'deleteBucket')
  for (const call of calls) {
    if (world.repeats.has(call.id) || isAboutToGo(call, deletions)) continue
    const endMs = world.ends.get(call.home.job) ?? Number.POSITIVE_INFINITY
    if (call.calledMs >= endMs) continue
    const judged = call.returnedMs > endMs ? { ...call, outcome: { kind: 'none' } as const } : call
    for (const { home, operations } of keys.values()) {
      const returnedMs = hasUnknownEnd(judged) ? Number.POSITIVE_INFINITY : call.returnedMs
      const seen = effectOn(home, judged)
      if (seen === null) continue
      const mayHaveHoles =
        lapsed(judged) ||
        world.deaths.some(
          (death) => call.calledMs <= death.atMs && death.atMs <= returnedMs && concerns(death, home, judged),
        )
      const what =
        'mayHaveHoles' in seen
          ? { ...seen, mayHaveHoles, lateMs: world.lateMs + world.jumpedMs, earlyMs: world.jumpedMs }
          : seen
      const { overMs } = call
      operations.push({ what, calledMs: beginningOf(call), returnedMs, overMs, call: call.id })
    }
  }
  for (const { home, operations } of keys.values()) {
    for (const death of world.deaths) {
      const { slot, chunks } = death.touches(home)
      if (!slot && !chunks) continue
      const what: Effect = { kind: 'death', slot, chunks }
      operations.push({ what, calledMs: death.atMs, returnedMs: Number.POSITIVE_INFINITY, call: null })
    }
  }
  return [...keys.values()].map((key) => ({
    ...key,
    initial: { ...absent, bucket: !isTransient(key.home.bucket) },
  }))
}

/**
 * While a bucket is deleted, metadata no longer has it but nodes may, and a client that was sent to them still reaches it. A node that takes over a slot before
 * it hears of the deletion finds nothing there.
 */
function isAboutToGo(
  { home, action, outcome, calledMs, returnedMs }: Call,
  deletions: readonly Call[],
): boolean {
  if (action.kind === 'deleteBucket' || action.kind === 'deleteMany') return false
  const isEmpty =
    (action.kind === 'stat' && outcome.kind === 'stat' && outcome.stat === null) || isMissed(action, outcome)
  if (!isEmpty && (outcome.kind !== 'error' || outcome.code !== 'BUCKET_NOT_FOUND')) return false
  return deletions.some(
    (deletion) =>
      deletion.home.job === home.job &&
      deletion.home.bucket === home.bucket &&
      deletion.calledMs <= returnedMs &&
      calledMs <= deletion.returnedMs,
  )
}

/** A get that did not wait for its key has not found it. */
function isMissed(action: Action, outcome: Outcome): boolean {
  return (
    action.kind === 'get' &&
    action.waitSeconds === 0 &&
    outcome.kind === 'error' &&
    outcome.code === 'NOT_FOUND'
  )
}

/** If the creation or deletion of a bucket failed, nobody knows when it takes effect, nor which keys were deleted before their bucket. */
function hasUnknownEnd({ action, outcome }: Call): boolean {
  const isOpen = ['createBucket', 'deleteBucket', 'deleteMany'].includes(action.kind)
  return isUnknown(outcome) || (isOpen && outcome.kind === 'error')
}

/** A consumer of a large object that is slower than its lease may find it freed. */
function lapsed({ action, calledMs, returnedMs }: Call): boolean {
  return action.kind === 'get' && action.consume && returnedMs - calledMs >= READ_LEASE_MS
}

/** A put depends on its chunks; a reader, who leased them from the key's owner, depends on that owner as well. */
function concerns(death: Death, home: Home, { action }: Call): boolean {
  const { slot, chunks } = death.touches(home)
  return chunks || (slot && action.kind === 'get')
}

/** A wait that ends without the key must have missed it at its end. */
function beginningOf({ action, outcome, calledMs, returnedMs }: Call): number {
  const missed = outcome.kind === 'error' && outcome.code === 'NOT_FOUND'
  if (action.kind !== 'get' || action.waitSeconds === 0 || !missed) return calledMs
  return Math.min(returnedMs, calledMs + action.waitSeconds * 1000 - 2)
}

/** Errors that tell what a put found, besides that it was not carried out. */
const refusals: Readonly<Record<string, 'exists' | 'mismatch' | Miss>> = {
  KEY_EXISTS: 'exists',
  VERSION_MISMATCH: 'mismatch',
  NOT_FOUND: 'missing',
  OBJECT_LOST: 'lost',
}

/** What a call did to one key, or observed of it; null if it tells nothing about it. */
function effectOn(home: Home, call: Call): Effect | null {
  const { action, outcome } = call
  if (call.home.job !== home.job || call.home.bucket !== home.bucket) return null
  if (action.kind === 'createBucket' || action.kind === 'deleteBucket')
    return { kind: 'bucket', exists: action.kind === 'createBucket' }
  if (action.kind === 'list') {
    if (outcome.kind !== 'entries' || !home.key.startsWith(action.prefix)) return null
    const entry = outcome.entries.find(({ key }) => key === home.key)
    return { kind: 'listed', bytes: entry?.bytes ?? null, acceptHoles: action.acceptHoles }
  }
  if (action.kind === 'deleteMany') {
    if (!action.keys.includes(home.key)) return null
    const isGone = outcome.kind === 'error' && outcome.code === 'BUCKET_NOT_FOUND'
    return outcome.kind === 'count' || isGone || isUnknown(outcome) ? { kind: 'delete', existed: null } : null
  }
  return call.home.key === home.key ? effectOfCall(call) : null
}

function effectOfCall({ action, outcome }: Call): Effect | null {
  const code = outcome.kind === 'error' ? outcome.code : null
  const unknown = isUnknown(outcome)
  if (code === 'BUCKET_NOT_FOUND') return { kind: 'noBucket' }
  const miss = code === 'NOT_FOUND' ? 'missing' : code === 'OBJECT_LOST' ? 'lost' : null
  switch (action.kind) {
    case 'put': {
      const result = outcome.kind === 'version' ? 'stored' : unknown ? 'unknown' : refusals[code ?? '']
      if (result === undefined) return null
      const { value, condition: rule, ttlSeconds, persist } = action
      const version = outcome.kind === 'version' ? outcome.version : null
      const large = bytesOf(value) > CHUNK_BYTES
      return {
        kind: 'put',
        value,
        large,
        persist,
        rule,
        ttlMs: ttlSeconds * 1000,
        lateMs: 0,
        earlyMs: 0,
        result,
        version,
        mayHaveHoles: false,
      }
    }
    case 'append':
      if (outcome.kind === 'length') return { kind: 'append', value: action.value, bytes: outcome.bytes }
      if (code === 'BAD_REQUEST') return { kind: 'append', value: action.value, bytes: 'refused' }
      if (code === 'OBJECT_TOO_LARGE') return { kind: 'append', value: action.value, bytes: 'tooLarge' }
      return unknown ? { kind: 'append', value: action.value, bytes: null } : null
    case 'get': {
      const { consume } = action
      if (outcome.kind === 'value')
        return { kind: 'get', consume, found: { value: outcome.value }, mayHaveHoles: false }
      if (miss !== null) return { kind: 'get', consume, found: miss, mayHaveHoles: false }
      return unknown && consume ? { kind: 'get', consume, found: 'unknown', mayHaveHoles: false } : null
    }
    case 'stat':
      if (outcome.kind === 'stat') return { kind: 'stat', found: outcome.stat ?? 'missing' }
      return miss === 'lost' ? { kind: 'stat', found: miss } : null
    case 'delete':
      if (outcome.kind === 'existed') return { kind: 'delete', existed: outcome.existed }
      return unknown ? { kind: 'delete', existed: null } : null
    default:
      return null
  }
}
