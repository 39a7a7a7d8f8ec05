import { cancel, challenge, hello, metadataOperations, ping, receipt, renew } from './control-operations.ts'
import { dataOperations } from './data-operations.ts'
import {
  heartbeatOperations,
  nodeOperations,
  peerOperations,
  placementOperations,
} from './plane-operations.ts'

/** All operations by name: listed in docs/protocol.md, and pinned to the protocol version. */
export const operations = {
  hello,
  cancel,
  ping,
  receipt,
  challenge,
  renew,
  ...dataOperations,
  ...metadataOperations,
  ...placementOperations,
  ...heartbeatOperations,
  ...nodeOperations,
  ...peerOperations,
} as const

/** Names of the operations by number. */
export const operationNames: ReadonlyMap<number, string> = new Map(
  Object.entries(operations).map(([name, { number }]) => [number, name]),
)
