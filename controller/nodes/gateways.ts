import { HEARTBEAT_MS } from '../../protocol/limits.ts'
import type { GatewayReport } from '../../protocol/operations/reports.ts'
import type { Clock } from '../../protocol/runtime.ts'

interface Gateway extends GatewayReport {
  readonly id: string
  readonly heardMs: number
}

/** A gateway that was silent for longer is no longer named to users. */
const SILENT_MS = 5 * HEARTBEAT_MS
/** Gateways of one cluster; of more, the ones that reported longest ago are forgotten. */
const GATEWAYS_MAX = 1_000

/** The S3 gateways that report. They have no state: one that is gone is simply no longer named. */
export class Gateways {
  readonly #clock: Clock
  /** The latest heard last. */
  readonly #gateways = new Map<string, Gateway>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  onReport(id: string, report: GatewayReport): void {
    this.#gateways.delete(id)
    this.#gateways.set(id, { ...report, id, heardMs: this.#clock.monotonicMs() })
    const [oldest] = this.#gateways.keys()
    if (this.#gateways.size > GATEWAYS_MAX && oldest !== undefined) this.#gateways.delete(oldest)
  }

  /** Those that were heard lately, in the order of their ids. */
  heard(): Gateway[] {
    const sinceMs = this.#clock.monotonicMs() - SILENT_MS
    const heard = [...this.#gateways.values()].filter(({ heardMs }) => heardMs >= sinceMs)
    return heard.sort((a, b) => (a.id < b.id ? -1 : 1))
  }
}
