/**
 * The one table of errors, shared by the wire (`wire`), the HTTP API (`status`) and the SDK (`code`).
 *
 * - `blame` says whose fault it is: the caller's `request`, the `server`, a violation of the `protocol`, or a
 *   connection or client that is `closed`.
 * - `retryable` means that the same call may succeed later without any change.
 * - `advice` is what the user can do; it ends every message.
 */
export const errorTable = {
  BAD_REQUEST: row(1, 400, 'request', false, 'Correct the field that the message names.'),
  UNAUTHENTICATED: row(
    2,
    401,
    'request',
    false,
    'Use the API key, or the ticket that registration returned.',
  ),
  TICKET_EXPIRED: row(
    3,
    401,
    'request',
    false,
    'Ask the controller for the job again: it answers with a fresh ticket.',
  ),
  FORBIDDEN: row(4, 403, 'request', false, 'Use an API key or a ticket that grants this right.'),
  JOB_NOT_FOUND: row(5, 404, 'request', false, 'Look for the id with `mayfly jobs`.'),
  JOB_ENDED: row(6, 410, 'request', false, 'Register the job again: its data is gone.'),
  BUCKET_NOT_FOUND: row(7, 404, 'request', false, 'Create the bucket with createBucket first.'),
  BUCKET_EXISTS: row(8, 409, 'request', false, 'Use the bucket that is there, or another name.'),
  NOT_FOUND: row(9, 404, 'request', false, 'Check the key, or wait until its producer has put it.'),
  KEY_EXISTS: row(
    10,
    409,
    'request',
    false,
    'Another put of this key came first; drop ifAbsent to overwrite it.',
  ),
  OBJECT_TOO_LARGE: row(11, 413, 'request', false, 'Split the object.'),
  CAPACITY_EXCEEDED: row(
    12,
    507,
    'request',
    false,
    'Register the job with a larger capacityBytes, or delete objects.',
  ),
  RESERVATION_REFUSED: row(
    13,
    409,
    'request',
    false,
    'Ask for less, end other jobs, or raise nodesMax in the config.',
  ),
  STALE_PLACEMENT: row(14, 503, 'server', true, 'Ask metadata for the placement again.'),
  OBJECT_LOST: row(15, 410, 'server', false, 'It may have been on a node that died; run its producer again.'),
  OUTCOME_UNKNOWN: row(
    16,
    504,
    'server',
    false,
    'It may have been carried out, or a part of it; read the key to see what it holds.',
  ),
  PUT_EXPIRED: row(
    17,
    409,
    'server',
    false,
    'The put took longer than its lease without a sign of life; put again.',
  ),
  UNAVAILABLE: row(18, 503, 'server', true, 'Try again in a moment.'),
  DEADLINE_EXCEEDED: row(19, 504, 'server', true, 'Try again, or allow the call more time.'),
  TOO_MANY_REQUESTS: row(20, 429, 'request', true, 'Wait for outstanding calls before starting more.'),
  PROTOCOL_VIOLATION: row(
    21,
    400,
    'protocol',
    false,
    'Use a client of the same protocol version as the cluster.',
  ),
  CLOSED: row(22, 499, 'closed', false, 'Open the job again.'),
  ABORTED: row(23, 499, 'closed', false, 'The signal that was passed to the call aborted it.'),
  ROUTE_NOT_FOUND: row(24, 404, 'request', false, 'See GET /openapi.json for what the controller offers.'),
  NODE_NOT_FOUND: row(25, 404, 'request', false, 'Look for the id with `mayfly nodes`.'),
  CONNECTION_LOST: row(26, 503, 'closed', true, 'Try again; a mutation may have been carried out.'),
  VERSION_MISMATCH: row(27, 412, 'request', false, 'Read the key again: another put came in between.'),
  NODE_DEAD: row(28, 410, 'server', false, 'The node was silent for longer than its lease; it must end.'),
  RANGE_NOT_SATISFIABLE: row(
    29,
    416,
    'request',
    false,
    'Ask for a range that begins before the end of the object; stat gives its length.',
  ),
  CHECKSUM_MISMATCH: row(
    30,
    502,
    'server',
    true,
    'Try again; if what is read is still damaged, run its producer again.',
  ),
  JOB_MOVED: row(
    31,
    503,
    'server',
    true,
    'Another metadata server decides for the job now; jobServer says which one.',
  ),
  TLS_FAILED: row(32, 502, 'request', false, 'Compare its certificate, name and CA with what is expected.'),
  INTERNAL: row(255, 500, 'server', false, 'This is a bug in Mayfly; its log has the details.'),
} as const satisfies Record<string, ErrorRow>

type Blame = 'request' | 'server' | 'protocol' | 'closed'

interface ErrorRow {
  readonly wire: number
  readonly status: number
  readonly blame: Blame
  readonly retryable: boolean
  readonly advice: string
}

export type ErrorCode = keyof typeof errorTable

function row(wire: number, status: number, blame: Blame, retryable: boolean, advice: string): ErrorRow {
  return { wire, status, blame, retryable, advice }
}

const codeByWire = new Map<number, ErrorCode>(
  Object.entries(errorTable).map(([code, { wire }]) => [wire, code as ErrorCode]),
)

/** The code of a wire number. An unknown one, from a newer server, is `INTERNAL`. */
export function errorCodeOf(wire: number): ErrorCode {
  return codeByWire.get(wire) ?? 'INTERNAL'
}

/** Whether the value's class has this brand, in whichever copy of the code the class was defined. */
export function hasBrand(value: unknown, of: symbol): boolean {
  return typeof value === 'object' && value !== null && of in value
}

/**
 * Shared by all copies of this code: a program may load the ESM and the CommonJS build, and several versions
 * of each.
 */
const brand = Symbol.for('mayfly.MayflyError')

/**
 * The only error that Mayfly throws at its users. `message` says what is wrong and what to do. `instanceof`
 * works across copies of the SDK in one process.
 */
export class MayflyError extends Error {
  static override [Symbol.hasInstance](value: unknown): boolean {
    // biome-ignore lint/complexity/noThisInStatic: classes that users derive from this one inherit the check.
    if (!isMayflyError(this)) return Function.prototype[Symbol.hasInstance].call(this, value)
    return hasBrand(value, brand)
  }

  override readonly name = 'MayflyError'
  readonly code: ErrorCode
  /** True if the same call may succeed later without any change. */
  readonly retryable: boolean
  /** What happened, without the advice; this is what travels on the wire. */
  readonly reason: string

  get [brand](): true {
    return true
  }

  constructor(code: ErrorCode, reason: string, options?: ErrorOptions) {
    super(`${reason}. ${errorTable[code].advice}`, options)
    this.code = code
    this.retryable = errorTable[code].retryable
    this.reason = reason
  }
}

/** Outside the class: bundlers rename a class that names itself, and logs and consoles show the name of an error's class. */
function isMayflyError(type: unknown): boolean {
  return type === MayflyError
}

/** True if `error` is a `MayflyError` with one of these codes. */
export function isError(error: unknown, ...codes: ErrorCode[]): error is MayflyError {
  return error instanceof MayflyError && codes.includes(error.code)
}

/** `INTERNAL` errors received from a peer. */
const answered = new WeakSet<MayflyError>()

/** An error that a peer answered. Its `INTERNAL` is data here: the bug is the peer's. */
export function answeredError(wire: number, reason: string): MayflyError {
  const error = new MayflyError(errorCodeOf(wire), reason)
  if (error.code === 'INTERNAL') answered.add(error)
  return error
}

/** Whether the error is a bug of this process. */
export function isOwnFault(error: unknown): boolean {
  return !(error instanceof MayflyError) || (error.code === 'INTERNAL' && !answered.has(error))
}

/** Converts any thrown value. What is not a `MayflyError` is a bug and becomes `INTERNAL` with its cause. */
export function asMayflyError(error: unknown): MayflyError {
  if (error instanceof MayflyError) return error
  return new MayflyError('INTERNAL', error instanceof Error ? error.message : String(error), { cause: error })
}

/** The error that an answer of the controller's HTTP API says. The message there already ends with the advice. */
export function errorOf(text: string, status: number): MayflyError {
  const { code, message } = parseError(text)
  if (code === undefined || !Object.hasOwn(errorTable, code)) {
    return new MayflyError('INTERNAL', `The controller answered with HTTP status ${status}`)
  }
  const known = code as ErrorCode
  const advice = `. ${errorTable[known].advice}`
  return new MayflyError(known, message?.endsWith(advice) ? message.slice(0, -advice.length) : `${message}`)
}

function parseError(text: string): { code?: string; message?: string } {
  try {
    return (JSON.parse(text) as { error?: { code?: string; message?: string } }).error ?? {}
  } catch (error) {
    if (error instanceof SyntaxError) return {}
    throw error
  }
}
