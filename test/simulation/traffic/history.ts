import type { ErrorCode } from '../../../protocol/errors.ts'
import { type Home, nameOf, type ValueName } from './values.ts'

/** The request of a client. */
export type Action =
  | Put
  | { readonly kind: 'append'; readonly value: ValueName }
  | { readonly kind: 'get'; readonly consume: boolean; readonly waitSeconds: number }
  | { readonly kind: 'stat' }
  | { readonly kind: 'delete' }
  | { readonly kind: 'deleteMany'; readonly keys: readonly string[] }
  | { readonly kind: 'createBucket' }
  | { readonly kind: 'deleteBucket' }
  | { readonly kind: 'list'; readonly prefix: string; readonly acceptHoles: boolean }

export interface Put {
  readonly kind: 'put'
  readonly value: ValueName
  readonly condition: PutRule
  readonly ttlSeconds: number
  readonly persist: boolean
}

/** The condition of a put: none, the key is absent, or it has this version. */
export type PutRule = 'always' | 'absent' | number

interface Stat {
  readonly bytes: number
  readonly version: number
  /** It has a time to live. */
  readonly expires: boolean
  /** It is persisted. */
  readonly persist: boolean
}

/** The result. `null` if a stat found nothing. */
export type Outcome =
  | { readonly kind: 'version'; readonly version: number }
  | { readonly kind: 'value'; readonly value: ValueName }
  | { readonly kind: 'length'; readonly bytes: number }
  | { readonly kind: 'stat'; readonly stat: Stat | null }
  | { readonly kind: 'existed'; readonly existed: boolean }
  | { readonly kind: 'count'; readonly count: number }
  | { readonly kind: 'done' }
  | {
      readonly kind: 'entries'
      readonly entries: readonly { readonly key: string; readonly bytes: number }[]
    }
  | { readonly kind: 'error'; readonly code: ErrorCode; readonly message: string }
  /** The client died, or the run ended, before there was an answer. */
  | { readonly kind: 'none' }

/** One call of one client, in virtual ms. */
export interface Call {
  readonly id: number
  readonly client: string
  readonly home: Home
  readonly action: Action
  readonly deadlineMs: number
  readonly calledMs: number
  returnedMs: number
  outcome: Outcome
  /** How long its client was frozen during the call. */
  pausedMs: number
  /** The caller aborted it. */
  aborted: boolean
  /** By when a get of a client that died meanwhile has been carried out or never will be; infinite if messages may be late, or the persistent store may carry it out. */
  overMs: number
}

/** All calls of one run. */
export class History {
  readonly calls: Call[] = []

  begin(call: Pick<Call, 'client' | 'home' | 'action' | 'deadlineMs' | 'calledMs'>): Call {
    const begun: Call = {
      id: this.calls.length,
      ...call,
      returnedMs: Number.POSITIVE_INFINITY,
      outcome: { kind: 'none' },
      pausedMs: 0,
      aborted: false,
      overMs: Number.POSITIVE_INFINITY,
    }
    this.calls.push(begun)
    return begun
  }

  /**
   * A client has died: what it waits for is consumed until then or not at all. A consume that the persistent store is carrying out goes on, also with a
   * newer object if its own was replaced meanwhile.
   */
  waitsEnd(client: string, overMs: number): void {
    for (const call of this.calls) {
      const { action, outcome } = call
      if (call.client !== client || outcome.kind !== 'none' || action.kind !== 'get') continue
      if (!this.#mayBePersisted(call, overMs)) call.overMs = overMs
    }
  }

  #mayBePersisted({ home }: Call, byMs: number): boolean {
    const name = nameOf(home)
    return this.calls.some(
      (call) =>
        call.action.kind === 'put' &&
        call.action.persist &&
        call.calledMs <= byMs &&
        nameOf(call.home) === name,
    )
  }
}

export function isMutation(action: Action): boolean {
  switch (action.kind) {
    case 'put':
    case 'append':
    case 'delete':
    case 'deleteMany':
    case 'createBucket':
    case 'deleteBucket':
      return true
    case 'get':
      return action.consume
    case 'stat':
    case 'list':
      return false
  }
}

/** After `OUTCOME_UNKNOWN` it is unknown whether a mutation was carried out; after any other error, also `ABORTED`, it was not. */
export function isUnknown(outcome: Outcome): boolean {
  return outcome.kind === 'none' || (outcome.kind === 'error' && outcome.code === 'OUTCOME_UNKNOWN')
}

/** The keys that a call concerns. */
export function keysOf({ home, action }: Call): readonly string[] {
  return action.kind === 'deleteMany' ? action.keys : [home.key]
}

/** One line for a failure's report. */
export function describeCall({ id, client, home, action, calledMs, returnedMs, outcome }: Call): string {
  const { kind, ...details } = action
  const at = `${calledMs.toFixed(1)}–${Number.isFinite(returnedMs) ? returnedMs.toFixed(1) : '…'} ms`
  const { kind: result, ...found } = outcome
  return `#${id} ${at} ${client} ${kind} ${nameOf(home)} ${brief(details)} → ${result} ${brief(found)}`
}

function brief(value: object): string {
  const text = JSON.stringify(value)
  return text.length > 300 ? `${text.slice(0, 300)}…` : text
}
