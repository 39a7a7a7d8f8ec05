import type { Registry } from 'prom-client'
import { scrapedGauge } from '../service/metrics/scraped.ts'
import { tiersOf } from './membership/heartbeats.ts'
import type { StorageNode } from './node.ts'

/** Registers the metrics of a storage node. They have no label for jobs; the controller's metrics do. */
export function addNodeMetrics(registry: Registry, node: Pick<StorageNode, 'jobs' | 'ram' | 'lower'>): void {
  const tierGauge = (name: string, help: string, of: 'capacityBytes' | 'usedBytes'): void =>
    scrapedGauge(registry, name, {
      help,
      labelNames: ['tier'],
      read: () => Object.entries(tiersOf(node)).map(([tier, sizes]) => [{ tier }, sizes[of]]),
    })
  tierGauge('mayfly_node_capacity_bytes', 'Bytes that the node can hold by tier; 0 for S3', 'capacityBytes')
  tierGauge('mayfly_node_used_bytes', 'Bytes that the node holds by tier, with overhead', 'usedBytes')
  scrapedGauge(registry, 'mayfly_node_jobs', {
    help: 'Jobs that the node serves',
    read: () => [[{}, node.jobs.size]],
  })
}
