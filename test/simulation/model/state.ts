import type { ValueName } from '../traffic/values.ts'

/** The state of one key. */
export interface KeyState {
  /** The key's bucket exists. */
  readonly bucket: boolean
  readonly value: ValueName | null
  readonly large: boolean
  /** The value is also in the persistent store, so no death removes it. */
  readonly persisted: boolean
  /** An operation of unknown outcome may have removed it from the persistent store alone, so that a death may remove it. */
  readonly shaky: boolean
  /** Null if the put of the value was never answered, and nobody has read the version since. */
  readonly version: number | null
  /** The value certainly exists before `fromMs` and is certainly gone after `toMs`; null means that it does not expire. */
  readonly expiry: { readonly fromMs: number; readonly toMs: number } | null
  /** `fresh`: the owner died and nobody has written since, so a miss must be `OBJECT_LOST`; `old`: it may be. */
  readonly lost: 'no' | 'fresh' | 'old'
  /** A chunk of the value is lost. */
  readonly holes: boolean
}

export const absent: KeyState = {
  bucket: true,
  value: null,
  large: false,
  persisted: false,
  shaky: false,
  version: null,
  expiry: null,
  lost: 'no',
  holes: false,
}

/** One call as it affects one key. A call of unknown outcome never returns, and may never happen. */
export interface Operation {
  readonly what: Effect
  readonly calledMs: number
  readonly returnedMs: number
  /** By when a call that never returns has happened or never will. */
  readonly overMs?: number
  /** The call in the history; null for a death. */
  readonly call: number | null
}

export type Effect =
  | {
      readonly kind: 'put'
      readonly value: ValueName
      readonly large: boolean
      readonly persist: boolean
      readonly rule: 'always' | 'absent' | number
      readonly ttlMs: number
      /** A time to live is sent as its remaining time, so each late index prolongs it. */
      readonly lateMs: number
      /** By how much wall clocks were set, which makes it shorter. */
      readonly earlyMs: number
      readonly result: 'stored' | 'exists' | 'mismatch' | 'unknown' | Miss
      readonly version: number | null
      /** A node that held chunks of the key died while they were being put. */
      readonly mayHaveHoles: boolean
    }
  /** `bytes` is null if unknown. A chunked or persisted object cannot be appended to, and another one only up to a bound. */
  | {
      readonly kind: 'append'
      readonly value: ValueName
      readonly bytes: number | null | 'refused' | 'tooLarge'
    }
  | {
      readonly kind: 'get'
      readonly consume: boolean
      readonly found: Found
      /** Its chunks may have been freed during the read: a node died, or the reader was slower than its lease. */
      readonly mayHaveHoles: boolean
    }
  | {
      readonly kind: 'stat'
      readonly found: { readonly bytes: number; readonly version: number; readonly persist: boolean } | Miss
    }
  /** `existed` is null if unknown. */
  | { readonly kind: 'delete'; readonly existed: boolean | null }
  | { readonly kind: 'listed'; readonly bytes: number | null; readonly acceptHoles: boolean }
  /** The bucket is created or deleted. */
  | { readonly kind: 'bucket'; readonly exists: boolean }
  | { readonly kind: 'noBucket' }
  /** A node that held the key's slot or chunks of it died. */
  | { readonly kind: 'death'; readonly slot: boolean; readonly chunks: boolean }

export type Miss = 'missing' | 'lost'
/** `unknown` is a consume without an answer. */
type Found = { readonly value: ValueName } | Miss | 'unknown'

/** A name of the state: equal states have equal names. */
export function nameState({
  bucket,
  value,
  persisted,
  shaky,
  version,
  expiry,
  lost,
  holes,
}: KeyState): string {
  if (!bucket) return 'no bucket'
  return `${value}@${version}|${expiry === null ? '' : `${expiry.fromMs}–${expiry.toMs}`}|${lost}|${holes}${persisted ? (shaky ? '|persisted?' : '|persisted') : ''}`
}
