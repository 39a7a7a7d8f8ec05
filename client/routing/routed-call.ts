import type { CallOptions } from '../../protocol/transport/call.ts'
import type { Sequence } from './lanes.ts'

/** What the router adds to a request. */
export interface Sent extends Sequence {
  /** Epoch of the placement that selected the node. */
  readonly epoch: number
}

export interface RoutedCall<Request> extends CallOptions {
  /** The slot hash of the key or chunk. */
  readonly hash: number
  /** The key that the call is about, for errors and `onRetry`; none for chunks and many keys. */
  readonly key?: Uint8Array
  /** Builds the request for each attempt. */
  readonly request: (sent: Sent) => Request
}

export interface RoutedMutation<Request> extends RoutedCall<Request> {
  /** The node stores the answer until it is acknowledged. */
  readonly holds?: boolean
}

/** Converts an answer into the result. */
export type Finish<Reply, Result> = (head: Reply, payload: Buffer) => Result | Promise<Result>
