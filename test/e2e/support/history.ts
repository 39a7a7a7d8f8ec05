import { type ErrorCode, MayflyError } from '../../../protocol/errors.ts'

type Kind = 'put' | 'get' | 'consume' | 'wait' | 'append' | 'list' | 'swap' | 'claim'

/** One call and its result. Times are monotonic ms of the test's process. */
export interface Call {
  readonly kind: Kind
  readonly key: string
  /** The number of the value that was put or returned; for an append, the length after it. 0 if there is none. */
  readonly number: number
  /** For a swap: the version that it replaced. */
  readonly base?: number
  /** For a list: the keys that it returned. */
  readonly keys?: readonly string[]
  readonly invokedMs: number
  readonly returnedMs: number
  /** The longest time that the call may take. */
  readonly boundMs: number
  readonly code: 'ok' | 'WRONG_BYTES' | ErrorCode
  /** The error's message. */
  readonly reason?: string
}

/** A run, or the calls of one key, with the times from which a node's data was lost because it was killed or suspended. */
export interface Judged {
  readonly calls: readonly Call[]
  /** Monotonic ms. */
  readonly lossesMs: readonly number[]
}

type What = Pick<Call, 'kind' | 'key' | 'boundMs'>
type Result = Partial<Pick<Call, 'number' | 'base' | 'keys' | 'code'>>

/** All calls of a run, in the order in which they returned. */
export class History {
  readonly calls: Call[] = []

  /** Runs a call and records it; resolves with the record. An error that is not Mayfly's is a bug of the test. */
  async record(what: What & { number?: number }, call: () => Promise<Result>): Promise<Call> {
    const invokedMs = performance.now()
    const result = await call().catch((error: unknown): Result & { reason: string } => {
      if (!(error instanceof MayflyError)) throw error
      return { code: error.code, reason: error.reason }
    })
    const returnedMs = performance.now()
    const recorded = { number: 0, code: 'ok' as const, ...what, ...result, invokedMs, returnedMs }
    this.calls.push(recorded)
    return recorded
  }

  count(code: Call['code']): number {
    return this.calls.filter((call) => call.code === code).length
  }

  /** Number of calls by result. */
  summary(): string {
    const counts = new Map<string, number>()
    for (const { kind, code } of this.calls)
      counts.set(`${kind} ${code}`, (counts.get(`${kind} ${code}`) ?? 0) + 1)
    return [...counts]
      .sort()
      .map(([name, count]) => `${name}: ${count}`)
      .join(', ')
  }
}

/** A call as one line of a failure message. */
export function line({ kind, key, number, code, reason, invokedMs, returnedMs }: Call): string {
  const when = `${invokedMs.toFixed(1)} to ${returnedMs.toFixed(1)} ms`
  return `${kind} ${key} ${number} ${code} ${when}${reason === undefined ? '' : ` (${reason})`}`
}
