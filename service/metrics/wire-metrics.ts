import type { Registry } from 'prom-client'
import type { Service } from '../process/lifecycle.ts'
import type { CallCounts } from './call-counts.ts'
import { addCallMetrics } from './call-metrics.ts'
import { serveMetrics } from './metrics-server.ts'
import { type PlaneName, processRegistry } from './process-metrics.ts'

/** What a server of the wire counts. */
export interface Counting extends Service {
  readonly calls: CallCounts
  readonly connections: { readonly count: number }
}

/**
 * Runs a server of the wire with its `/metrics`, on a free port of `host`. `start` gets that address, which the server reports to the
 * controller; `add` registers what the plane has besides.
 */
export async function withMetrics<Running extends Counting>(
  of: { readonly plane: PlaneName; readonly host: string },
  start: (metricsAddress: string) => Promise<Running>,
  add: (registry: Registry, running: Running) => void = () => undefined,
): Promise<Service> {
  const registry = processRegistry(of.plane)
  const metrics = await serveMetrics(registry, of.host)
  const running = await start(metrics.address)
  addCallMetrics(registry, running)
  add(registry, running)
  return {
    address: running.address,
    stop: async () => {
      await running.stop()
      await metrics.close()
    },
  }
}
