import { unreachable } from '../../../protocol/assert.ts'
import { MayflyError } from '../../../protocol/errors.ts'
import { CONTROL_CALL_MS, NODE_START_MS_MAX } from '../../../protocol/limits.ts'
import type { Clock, Timer } from '../../../protocol/runtime.ts'
import type { FromChild, ToController } from '../../../service/process/supervision.ts'
import type { Fleet, FleetNode, FleetWatcher } from './fleet.ts'

/** The channel to the supervisor: Node's IPC in production. */
export interface SupervisorChannel {
  tell(message: FromChild): void
  /** Calls `handler` for every message from now on. */
  listen(handler: (message: ToController) => void): void
}

interface Listing {
  readonly timer: Timer
  resolve(nodes: readonly FleetNode[]): void
}

/** Nodes as local processes. They are children of the supervisor, which outlives the controller. */
export class ProcessFleet implements Fleet {
  readonly isFixed = false
  readonly seesExits = true
  readonly startMsMax = NODE_START_MS_MAX
  readonly capacityMsMax = NODE_START_MS_MAX
  readonly #channel: SupervisorChannel
  readonly #clock: Clock
  readonly #listings = new Set<Listing>()

  constructor(channel: SupervisorChannel, clock: Clock) {
    this.#channel = channel
    this.#clock = clock
  }

  watch(watcher: FleetWatcher): void {
    this.#channel.listen((message) => {
      switch (message.type) {
        case 'nodeStarted':
          return watcher.started(message)
        case 'nodeExited':
          return watcher.exited(message.node, message.reason)
        case 'nodes':
          return this.#answerListings(message.nodes)
        default:
          return unreachable(message)
      }
    })
  }

  start(node: string, nodeClass: string): void {
    this.#channel.tell({ type: 'startNode', node, class: nodeClass })
  }

  stop(node: string): void {
    this.#channel.tell({ type: 'stopNode', node })
  }

  startMetadata(metadata: string): void {
    this.#channel.tell({ type: 'startMetadata', metadata })
  }

  list(): Promise<readonly FleetNode[]> {
    return new Promise((resolve, reject) => {
      const listing = {
        resolve,
        timer: this.#clock.after(CONTROL_CALL_MS, () => {
          this.#listings.delete(listing)
          reject(new MayflyError('UNAVAILABLE', 'The supervisor did not say which storage nodes run'))
        }),
      }
      this.#listings.add(listing)
      this.#channel.tell({ type: 'listNodes' })
    })
  }

  close(): void {
    // The supervisor has no more to say to a controller that ends.
  }

  #answerListings(nodes: readonly FleetNode[]): void {
    for (const listing of this.#listings) {
      listing.timer.cancel()
      listing.resolve(nodes)
    }
    this.#listings.clear()
  }
}
