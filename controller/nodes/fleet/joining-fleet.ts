import { NODE_START_MS_MAX } from '../../../protocol/limits.ts'
import type { Fleet, FleetWatcher } from './fleet.ts'

/**
 * Nodes that others start: a person, systemd, a script. They join with their first report. Nobody sees their processes exit, so only their
 * lease proves their death. A node that is to stop learns it from the answer to its report (`NodeLifecycle.endsWith`).
 */
export class JoiningFleet implements Fleet {
  readonly isFixed = true
  readonly seesExits = false
  readonly startMsMax = NODE_START_MS_MAX
  readonly capacityMsMax = NODE_START_MS_MAX
  #watcher: FleetWatcher | null = null

  watch(watcher: FleetWatcher): void {
    this.#watcher = watcher
  }

  /** There is no room for nodes to start (`FleetCapacity`), so only a mistake leads here. */
  start(node: string): void {
    this.#watcher?.exited(node, 'nodes of this cluster are started by others')
  }

  stop(): void {
    // It reports, and is answered.
  }

  startMetadata(): void {
    // There are as many as others have started.
  }

  async list(): Promise<null> {
    return null
  }

  close(): void {
    // It has no events.
  }
}
