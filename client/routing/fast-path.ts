import { isError } from '../../protocol/errors.ts'
import type { Answer, Waiting } from '../../protocol/transport/call.ts'
import { withKey } from './key-address.ts'
import type { Mutation } from './mutation.ts'
import type { Finish } from './routed-call.ts'

interface QuickCallOptions<Reply, Result> {
  readonly finish: Finish<Reply, Result>
  /** Continues on the slow path after a failure: with a newer placement, or once the node can be reached. */
  readonly slowly: (failure: unknown) => Promise<Answer<Reply>>
  readonly resolve: (result: Result | Promise<Result>) => void
  readonly reject: (error: unknown) => void
  /** See `RoutedCall`. */
  readonly key: Uint8Array | undefined
  /** Null for a read. */
  readonly mutation: Pick<Mutation<unknown, Reply>, 'end' | 'recover'> | null
}

/**
 * A call sent at once because its owner's connection was open: one promise, and no further asynchronous step.
 */
export class FastPath<Reply, Result> implements Waiting<Reply> {
  readonly #options: QuickCallOptions<Reply, Result>

  constructor(options: QuickCallOptions<Reply, Result>) {
    this.#options = options
  }

  answered(head: Reply, payload: Buffer): void {
    const { mutation, finish, resolve, reject } = this.#options
    mutation?.end()
    try {
      resolve(finish(head, payload))
    } catch (error) {
      reject(error)
    }
  }

  failed(error: Error): void {
    const { finish, resolve, reject, key } = this.#options
    this.#recover(error)
      .then(
        ({ head, payload }) => finish(head, payload),
        (failure: unknown) => Promise.reject(withKey(failure, key)),
      )
      .then(resolve, reject)
  }

  async #recover(error: Error): Promise<Answer<Reply>> {
    const { mutation, slowly } = this.#options
    try {
      if (mutation === null) throw error
      return await mutation.recover(error)
    } catch (failure) {
      if (isTransient(failure)) return await slowly(failure)
      throw failure
    }
  }
}

/** Whether the address did not answer as the server that is looked for; metadata may know a newer one. */
export function isUnreachable(error: unknown): boolean {
  return isError(error, 'UNAVAILABLE', 'CONNECTION_LOST', 'TLS_FAILED')
}

/** Whether the same call may succeed with a newer placement or over a new connection. */
export function isTransient(error: unknown): boolean {
  return isError(error, 'STALE_PLACEMENT', 'UNAVAILABLE', 'CONNECTION_LOST')
}
