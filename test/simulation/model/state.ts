import type { ValueName } from '../traffic/values.ts'

/** All that can be known of one key. */
export interface KeyState {
  /** There is a bucket of the key's. */
  readonly bucket: boolean
  readonly value: ValueName | null
  readonly large: boolean
  /** It is in the kept store, too: no death takes it. */
  readonly kept: boolean
  /** Something of unknown outcome may have removed it from the kept store alone, so that a death may take it. */
  readonly shaky: boolean
  /** Null where the put that wrote the value was never answered, and nobody has read the version since. */
  readonly version: number | null
  /** The value is surely there before the first moment and surely gone after the second; null is for ever. */
  readonly expiry: { readonly fromMs: number; readonly toMs: number } | null
  /** `fresh`: the owner died and nobody has written since, so a miss has to say so; `old`: it may say so. */
  readonly lost: 'no' | 'fresh' | 'old'
  /** A chunk of the value is lost. */
  readonly holes: boolean
}

export const absent: KeyState = {
  bucket: true,
  value: null,
  large: false,
  kept: false,
  shaky: false,
  version: null,
  expiry: null,
  lost: 'no',
  holes: false,
}

/** One call as it concerns one key. A call whose outcome is unknown returns never, and may never happen. */
export interface Operation {
  readonly what: Effect
  readonly calledMs: number
  readonly returnedMs: number
  /** The call of the history that it comes from; null for a death. */
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
      /** Its time to live travels as what is left of it, so each index that is late makes it longer. */
      readonly lateMs: number
      readonly result: 'stored' | 'exists' | 'mismatch' | 'unknown' | Miss
      readonly version: number | null
      /** A node that held chunks of the key died while they were being put. */
      readonly mayHaveHoles: boolean
    }
  /** `bytes` is null where nobody knows; an object in chunks, or one that is kept, cannot be appended to. */
  | { readonly kind: 'append'; readonly value: ValueName; readonly bytes: number | null | 'refused' }
  | {
      readonly kind: 'get'
      readonly consume: boolean
      readonly found: Found
      /** While it was read its chunks may have gone: a node died, or the reader was slower than its lease. */
      readonly mayHaveHoles: boolean
    }
  | {
      readonly kind: 'stat'
      readonly found: { readonly bytes: number; readonly version: number; readonly persist: boolean } | Miss
    }
  /** `existed` is null where nobody knows. */
  | { readonly kind: 'delete'; readonly existed: boolean | null }
  | { readonly kind: 'listed'; readonly bytes: number | null; readonly acceptHoles: boolean }
  /** The bucket is created, or deleted. */
  | { readonly kind: 'bucket'; readonly exists: boolean }
  | { readonly kind: 'noBucket' }
  /** A node that held the key's slot, or chunks of it, died. */
  | { readonly kind: 'death'; readonly slot: boolean; readonly chunks: boolean }

export type Miss = 'missing' | 'lost'
/** `unknown` is a consume without an answer. */
type Found = { readonly value: ValueName } | Miss | 'unknown'

/** Names a state: equal states have equal names. */
export function nameState({ bucket, value, kept, shaky, version, expiry, lost, holes }: KeyState): string {
  if (!bucket) return 'no bucket'
  return `${value}@${version}|${expiry === null ? '' : `${expiry.fromMs}–${expiry.toMs}`}|${lost}|${holes}${kept ? (shaky ? '|kept?' : '|kept') : ''}`
}
