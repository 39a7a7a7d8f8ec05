/** A broken invariant of the program's own state: a bug in Mayfly, never bad input. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError'

  constructor(message: string) {
    super(`Assertion failed: ${message}`)
  }
}

/**
 * An assertion that stays on in production. Only for own state: data of peers, backends and users is
 * validated instead.
 */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message)
}

/** Makes a switch over a union exhaustive: an unhandled member does not compile. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable case ${String(value)}`)
}
