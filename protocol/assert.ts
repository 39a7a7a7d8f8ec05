/** An assertion that stays on in production: what it guards is a bug in Mayfly, never bad input. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`Assertion failed: ${message}`)
}

/** Ends a switch over a union: a new member that is not handled does not compile. */
export function unreachable(value: never): never {
  throw new Error(`Assertion failed: unreachable case ${String(value)}`)
}
