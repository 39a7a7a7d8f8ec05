import { Gauge, type Registry } from 'prom-client'
import { tiersOf } from './membership/heartbeats.ts'
import type { StorageNode } from './node.ts'

/** Registers what a storage node has. It names no job: those are in the metrics of the controller. */
export function addNodeMetrics(registry: Registry, node: StorageNode): void {
  const registers = [registry]
  const tierGauge = (name: string, help: string, of: 'capacityBytes' | 'usedBytes'): void => {
    new Gauge({
      ...{ name, help, registers },
      labelNames: ['tier'],
      collect() {
        for (const [tier, sizes] of Object.entries(tiersOf(node))) this.set({ tier }, sizes[of])
      },
    })
  }
  tierGauge('mayfly_node_capacity_bytes', 'Bytes that the node can hold by tier; 0 for S3', 'capacityBytes')
  tierGauge('mayfly_node_used_bytes', 'Bytes that the node holds by tier, with overhead', 'usedBytes')
  new Gauge({
    name: 'mayfly_node_jobs',
    help: 'Jobs that the node serves',
    registers,
    collect() {
      this.set(node.jobs.size)
    },
  })
}
