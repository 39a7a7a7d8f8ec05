import { operations } from '../../protocol/operations/operations.ts'

/** Names of the operations of the wire by number. */
export const operationNames: ReadonlyMap<number, string> = new Map(
  Object.entries(operations).map(([name, { number }]) => [number, name]),
)
