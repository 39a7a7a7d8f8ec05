import { Job } from '../../../client/job.ts'
import type { Dial } from '../../../protocol/transport/link.ts'
import type { Host } from '../world/host.ts'

/** The SDK in a process on `host`. */
export function openSimulated(host: Host, ticket: string, dial: Dial): Job {
  return new Job(ticket, { runtime: host.runtime, dial })
}
