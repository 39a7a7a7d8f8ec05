import { type ErrorCode, MayflyError } from '../../../protocol/errors.ts'

type Kind = 'put' | 'get' | 'consume' | 'wait' | 'append' | 'list' | 'swap' | 'claim'

/** One call and what came of it. Times are monotonic ms of the test's process. */
export interface Call {
  readonly kind: Kind
  readonly key: string
  /** The number of the value that was put or came back; of an append, the length after it. 0 where there is none. */
  readonly number: number
  /** Of a swap: the version that it replaced. */
  readonly base?: number
  /** Of a list: the keys that it gave. */
  readonly keys?: readonly string[]
  readonly invokedMs: number
  readonly returnedMs: number
  /** How long the call may have taken. */
  readonly boundMs: number
  readonly code: 'ok' | 'WRONG_BYTES' | ErrorCode
  /** What the error says. */
  readonly reason?: string
}

/** A run, or the calls of one key, and when what a node held was lost: it was killed, or stood still from then on. */
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

  /** Runs a call and records it; gives what it recorded. Whatever is no error of Mayfly's is a bug of the test. */
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

  /** How many calls ended in each way. */
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

/** A call as a reader of a failed test wants it. */
export function line({ kind, key, number, code, reason, invokedMs, returnedMs }: Call): string {
  const when = `${invokedMs.toFixed(1)} to ${returnedMs.toFixed(1)} ms`
  return `${kind} ${key} ${number} ${code} ${when}${reason === undefined ? '' : ` (${reason})`}`
}
