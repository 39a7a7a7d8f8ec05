/** What has to lie under a key for a write to replace it: nothing, or what has this tag. */
export type Condition = { readonly isAbsent: true } | { readonly tag: string }

/** As a request says it. */
export function headersOf(over: Condition | undefined): { IfNoneMatch?: string; IfMatch?: string } {
  if (over === undefined) return {}
  return 'tag' in over ? { IfMatch: over.tag } : { IfNoneMatch: '*' }
}
