/** What a key must hold for a write to replace it: nothing, or the object with this tag. */
export type Condition = { readonly isAbsent: true } | { readonly tag: string }

/** The request headers of the condition. */
export function headersOf(over: Condition | undefined): { IfNoneMatch?: string; IfMatch?: string } {
  if (over === undefined) return {}
  return 'tag' in over ? { IfMatch: over.tag } : { IfNoneMatch: '*' }
}
