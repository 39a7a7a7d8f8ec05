/** Properties of a tier besides its size. Prices are in the currency of the node classes. */
export interface TierTraits {
  readonly ram: { readonly p99Ms: number }
  readonly ssd: { readonly p99Ms: number }
  readonly s3: {
    readonly p99Ms: number
    readonly pricePerGibHour: number
    /** The price of requests, one per MiB. */
    readonly pricePerGibWritten: number
    readonly pricePerGibRead: number
  }
}

/**
 * `p99Ms` is the 99th percentile of a get of 1 KiB, at a client:
 * - RAM: 0.73 ms with 64 gets outstanding over loopback (bench/README.md); the rest is for a network.
 * - SSD: the same and 5.7 ms, which `read` of 1 KiB took at random of a file that was not in memory, with 16 outstanding,
 *   on the virtual disk of the same machine. A local NVMe disk does better: set what yours does.
 * - S3: Amazon's guide to S3 performance gives 100 to 200 ms for small objects.
 *
 * The prices are those of S3 Standard in us-east-1: 0.023 per GB and month of 730 hours; 0.005 for 1,000 writes and
 * 0.0004 for 1,000 reads, 1,024 requests to the GiB. An own MinIO costs what its disks cost, and nothing for requests.
 */
export const defaultTraits: TierTraits = {
  ram: { p99Ms: 1 },
  ssd: { p99Ms: 7 },
  s3: {
    p99Ms: 200,
    pricePerGibHour: 0.000034,
    pricePerGibWritten: 0.00512,
    pricePerGibRead: 0.00041,
  },
}
