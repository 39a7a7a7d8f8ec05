/** Calls of 64 KiB; a busy function has several under way. */
export const loadShape = { lanes: 16, objects: 128, objectBytes: 65_536 }

const MIB = 2 ** 20

/** A node moves 20 MB/s, a fiftieth of Pocket's nodes, so that a dozen nodes and their clients fit on two cores. */
export const nodeClass = { ramBytes: 128 * MIB, bytesPerSecond: 2e7 }

/** The most bytes that a job stores: far less than a node has, so that throughput alone decides. */
export const CAPACITY_BYTES = 48 * MIB
