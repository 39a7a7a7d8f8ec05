import { MayflyError } from '../../../protocol/errors.ts'
import type {
  CapacityAnswer,
  CapacityRequest,
  MetadataReport,
  NodeReport,
  NodeReportAnswer,
} from '../../../protocol/operations/reports.ts'
import type { Cluster } from './cluster.ts'
import type { Host } from './host.ts'

/** Receives the reports of storage nodes and metadata servers; rejects with `UNAVAILABLE` if nobody answers. */
export interface Reporting {
  node(from: Host, id: string, report: NodeReport): Promise<NodeReportAnswer>
  capacity(from: Host, id: string, request: CapacityRequest): Promise<CapacityAnswer>
  metadata(from: Host, id: string, report: MetadataReport): Promise<unknown>
}

/** Replaces the controller: it knows the metadata servers and grants no capacity. */
export function scriptedReporting(cluster: Cluster): Reporting {
  const answer = <Answer>(from: Host, what: Answer): Promise<Answer> =>
    new Promise((resolve, reject) => {
      from.after(2, () => {
        if (cluster.controllerHears) resolve(what)
        else reject(new MayflyError('UNAVAILABLE', 'The controller does not answer'))
      })
    })
  return {
    node: (from) => answer(from, { metadata: cluster.metadata.addresses }),
    capacity: (from, _, { jobs }) => answer(from, { limited: jobs.map(({ id }) => id) }),
    metadata: (from) => answer(from, {}),
  }
}
