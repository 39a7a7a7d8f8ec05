import {
  cancel,
  heartbeatOperations,
  hello,
  metadataOperations,
  nodeOperations,
  peerOperations,
  ping,
  placementOperations,
  receipt,
} from './control-operations.ts'
import { dataOperations } from './data-operations.ts'

/** Every operation of the wire by name: what docs/protocol.md lists and what the protocol's version is pinned to. */
export const operations = {
  hello,
  cancel,
  ping,
  receipt,
  ...dataOperations,
  ...metadataOperations,
  ...placementOperations,
  ...heartbeatOperations,
  ...nodeOperations,
  ...peerOperations,
} as const
