import {
  cancel,
  challenge,
  heartbeatOperations,
  hello,
  metadataOperations,
  nodeOperations,
  peerOperations,
  ping,
  placementOperations,
  receipt,
  renew,
} from './control-operations.ts'
import { dataOperations } from './data-operations.ts'

/** Every operation of the wire by name: what docs/protocol.md lists and what the protocol's version is pinned to. */
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
