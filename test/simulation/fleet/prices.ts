/**
 * Prices per hour, as in Table 4 of Pocket (OSDI'18; AWS, April 2018). Redis pays whole machines. Pocket pays what it reserves of its nodes. Its figures follow
 * from cores at 0.027 and flash at 0.000048 per GB, on as many nodes as Redis has machines. With the same price of a core, the rest of an r4.2xlarge is the
 * price of its 61 GB of RAM.
 */
const CORE_PRICE = 0.027
const FLASH_GB_PRICE = 0.000048
export const REDIS_MACHINE = { cores: 8, ramGb: 61, bytesPerSecond: 1e9, price: 0.532 }
const RAM_GB_PRICE = (REDIS_MACHINE.price - REDIS_MACHINE.cores * CORE_PRICE) / REDIS_MACHINE.ramGb
/** i3.2xlarge. */
export const POCKET_NODE = { cores: 8, ramGb: 60, flashGb: 1960, bytesPerSecond: 1e9, price: 0.624 }
/** S3 Standard: price of a request, and of a GB stored for an hour. */
export const S3_PUT_PRICE = 0.005 / 1000
export const S3_GET_PRICE = 0.0004 / 1000
export const S3_GB_PRICE = 0.023 / 730

export function redisPrice(machines: number): number {
  return machines * REDIS_MACHINE.price
}

/** The price of what is reserved on nodes: the cores in proportion to the throughput, and bytes. */
export function pricePerHour(reserved: {
  readonly nodes: number
  readonly ramGb?: number
  readonly flashGb?: number
}): number {
  const { nodes, ramGb = 0, flashGb = 0 } = reserved
  return nodes * POCKET_NODE.cores * CORE_PRICE + ramGb * RAM_GB_PRICE + flashGb * FLASH_GB_PRICE
}
