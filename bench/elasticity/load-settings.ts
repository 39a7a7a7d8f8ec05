/** Calls of 64 KiB, of which a function that is busy has several under way. */
export const loadShape = { lanes: 16, objects: 128, objectBytes: 65_536 }

const MIB = 2 ** 20

/** A node moves 20 MB/s: a fiftieth of what Pocket's do, so that a dozen of them and their clients fit on two cores. */
export const nodeClass = { ramBytes: 128 * MIB, bytesPerSecond: 2e7 }

/** What a job holds at most: far less than a node has, so that throughput alone decides. */
export const CAPACITY_BYTES = 48 * MIB
