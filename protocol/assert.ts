/** What a program believed of its own state is not so: a bug in Mayfly, never bad input. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError'

  constructor(message: string) {
    super(`Assertion failed: ${message}`)
  }
}

/** An assertion that stays on in production. It is about own state alone: what peers, backends or users bring is checked, not asserted. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message)
}

/** Ends a switch over a union: a new member that is not handled does not compile. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable case ${String(value)}`)
}
