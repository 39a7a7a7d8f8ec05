import { AggregatorRegistry, type Registry } from 'prom-client'
import { type PlaneName, processRegistry } from './process-metrics.ts'

/** The registry of a worker, which answers the process that collects from all workers. */
export function workerRegistry(plane: PlaneName): Registry {
  const registry = processRegistry(plane)
  AggregatorRegistry.setRegistries(registry)
  void new AggregatorRegistry()
  return registry
}

/** The metrics of all workers of this process, as one process would have them. */
export function workersMetrics(): () => Promise<string> {
  const aggregator = new AggregatorRegistry()
  return () => aggregator.clusterMetrics()
}
