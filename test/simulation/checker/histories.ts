import type { Action, Call, Outcome } from '../traffic/history.ts'
import type { Home } from '../traffic/values.ts'

/** The default home of calls in hand-made histories. */
export const home: Home = { job: 'red', bucket: 'default', key: 'a' }

type Draft = Partial<Pick<Call, 'home' | 'client' | 'deadlineMs' | 'aborted' | 'overMs'>>

/** A history made by hand: each call with the ms of its start and its end. */
export function historyOf(
  ...drafts: readonly (readonly [fromMs: number, toMs: number, Action, Outcome, Draft?])[]
): Call[] {
  return drafts.map(([calledMs, returnedMs, action, outcome, draft], id) => ({
    id,
    client: 'client-1',
    home,
    action,
    deadlineMs: 1_000,
    calledMs,
    returnedMs,
    outcome,
    pausedMs: 0,
    aborted: false,
    overMs: Number.POSITIVE_INFINITY,
    ...draft,
  }))
}

export function put(value: string, condition: 'always' | 'absent' | number = 'always'): Action {
  return { kind: 'put', value, condition, ttlSeconds: 0, persist: false }
}

export const get: Action = { kind: 'get', consume: false, waitSeconds: 0 }
export const consume: Action = { kind: 'get', consume: true, waitSeconds: 0 }
export const remove: Action = { kind: 'delete' }
export const list: Action = { kind: 'list', prefix: '', acceptHoles: false }

export function stored(version: number): Outcome {
  return { kind: 'version', version }
}

export function found(value: string): Outcome {
  return { kind: 'value', value }
}

export function failed(code: Extract<Outcome, { kind: 'error' }>['code']): Outcome {
  return { kind: 'error', code, message: code }
}

export function entries(...keys: readonly (readonly [key: string, bytes: number])[]): Outcome {
  return { kind: 'entries', entries: keys.map(([key, bytes]) => ({ key, bytes })) }
}
