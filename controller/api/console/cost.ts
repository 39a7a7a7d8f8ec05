import type { FleetCapacity } from '../../nodes/capacity.ts'
import type { Job } from '../../records/job.ts'
import { bytesOf, type NodeClass } from '../../sizing/node-class.ts'
import type { Cost } from './snapshot.ts'

/**
 * The price per hour of the cluster, and of Redis on whole machines of one node class: each job gets its own machines, with RAM for all of its
 * bytes and for the throughput that it reserved. The cheapest class is taken.
 */
export function costOf(
  jobs: readonly Job[],
  { classes, fleet }: { classes: readonly NodeClass[]; fleet: FleetCapacity },
): Cost {
  const options = classes.map((nodeClass) => {
    const machines = jobs.reduce((sum, { demand }) => {
      const forBytes = Math.ceil(bytesOf(demand) / nodeClass.ramBytes)
      const forRate = Math.ceil(demand.bytesPerSecond / nodeClass.bytesPerSecond)
      return sum + Math.max(1, forBytes, forRate)
    }, 0)
    return { redis: machines * nodeClass.pricePerHour, redisNodes: machines, redisClass: nodeClass.name }
  })
  const [cheapest = { redis: 0, redisNodes: 0, redisClass: '' }] = options.sort((a, b) => a.redis - b.redis)
  return {
    nodes: fleet.pricePerHour,
    s3: jobs.reduce((sum, { demand }) => sum + demand.s3PricePerHour, 0),
    ...cheapest,
  }
}
