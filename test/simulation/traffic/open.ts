import { Job } from '../../../client/job.ts'
import type { Cluster } from '../world/cluster.ts'
import type { Host } from '../world/host.ts'

/** The SDK as a process on `host` has it. */
export function openSimulated(cluster: Cluster, host: Host, ticket: string): Job {
  return new Job(ticket, { runtime: host.runtime, dial: cluster.network.of(host).dial })
}
