import type { CallOptions } from '../../protocol/transport/call.ts'
import type { Sequence } from './lanes.ts'

/** What a request carries beside what the caller asks for. */
export interface Sent extends Sequence {
  /** Of the placement by which the node was chosen. */
  readonly epoch: number
}

export interface RoutedCall<Request> extends CallOptions {
  /** The hash that places the key or chunk. */
  readonly hash: number
  /** Makes the request anew for each attempt. */
  readonly request: (sent: Sent) => Request
}

export interface RoutedMutation<Request> extends RoutedCall<Request> {
  /** The node keeps what it answers, in case that is lost, until it is told that it came. */
  readonly holds?: boolean
}

/** Makes the result of an answer. */
export type Finish<Reply, Result> = (head: Reply, payload: Buffer) => Result | Promise<Result>
