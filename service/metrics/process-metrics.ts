import { readFileSync } from 'node:fs'
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import { codeOf } from '../process/system-error.ts'

/** The planes by their names in `build_info` and in the service discovery. */
export type PlaneName = 'controller' | 'metadata' | 'storage-node' | 'gateway'

/** The version of the package: from package.json beside the sources, or above dist/. */
function readVersion(): string {
  for (const path of ['../../package.json', '../../../package.json']) {
    try {
      return JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')).version
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error
    }
  }
  return 'unknown'
}

/** A registry with what every process has: `process_*`, `nodejs_*` with the delay of the event loop, and `mayfly_build_info`. */
export function processRegistry(plane: PlaneName): Registry {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  new Gauge({
    name: 'mayfly_build_info',
    help: 'Always 1; the labels say what runs',
    labelNames: ['plane', 'version', 'node_version'],
    aggregator: 'first',
    registers: [registry],
  }).set({ plane, version: readVersion(), node_version: process.version }, 1)
  return registry
}
