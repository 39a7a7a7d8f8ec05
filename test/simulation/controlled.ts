import { checkAllEnded, checkEnds, checkSettled, trail } from './checker/controller-quiet.ts'
import { playTenants, type Tenancy } from './traffic/tenants.ts'
import type { Cluster, RunningNode } from './world/cluster.ts'
import type { PlacedJob } from './world/control.ts'
import { isPresent } from './world/inspection.ts'
import type { RealController } from './world/real-controller.ts'

export interface ControlledOptions {
  readonly cluster: Cluster
  readonly controller: RealController
  readonly jobs: ReadonlyMap<string, PlacedJob>
  readonly fail: (rule: string, what: string) => void
  /** Called when a node dies. */
  readonly nodeDies: (node: RunningNode) => void
  /** Whether no fault so far can silence a node. */
  readonly isAudible: () => boolean
  readonly note: (what: string) => void
}

/** Time in which tenants' leases lapse, nodes drain, jobs past their peak release capacity, and the load reaches its band. */
const SETTLE_MS = 150_000
/** After that nothing may happen for minutes. */
const IDLE_MS = 180_000
/** Time in which nodes without a job are told to stop, and stop. */
const STOP_MS = 10_000
/** Some nodes stay warm for minutes, for job names that are due. */
const STOP_MS_MAX = 400_000

/** What a run with the real controller has in addition to calls and faults: tenants, and rules about the controller's actions. */
export class Controlled {
  readonly #options: ControlledOptions
  #tenants: Promise<Tenancy[]> = Promise.resolve([])

  constructor(options: ControlledOptions) {
    this.#options = options
  }

  async begin(): Promise<void> {
    const { controller, note } = this.#options
    controller.onTold = ({ type, data }) => note(`${type} ${JSON.stringify(data).slice(0, 120)}`)
    controller.fleet.onStopping = (node) => this.#stopping(node)
    await controller.start()
  }

  playTenants(horizonMs: number): void {
    const { cluster, controller, fail } = this.#options
    this.#tenants = playTenants(cluster, controller, { horizonMs, violate: fail })
  }

  /** Resolves when the last tenant has finished. */
  async tenantsAreOver(): Promise<void> {
    await this.#tenants
  }

  /** At rest: everything that was begun ends, and then nothing more happens. */
  async checkQuiet(): Promise<void> {
    const { cluster, controller, jobs, fail } = this.#options
    await controller.sleep(SETTLE_MS)
    const living = [...jobs.values()].filter(({ endAskedMs }) => endAskedMs === null).map(({ id }) => id)
    for (const what of checkSettled(cluster, controller, living)) fail('the controller does not settle', what)
    const before = trail(cluster, controller)
    await controller.sleep(IDLE_MS)
    const after = trail(cluster, controller)
    if (before !== after) fail('something happens though all is quiet', describeChange(before, after))
  }

  /** Every job has ended. */
  async checkOver(): Promise<void> {
    const { cluster, controller, jobs, fail } = this.#options
    const tenancies = await this.#tenants
    const ours = [...jobs.values()].map(({ id }) => ({
      id,
      leaseSeconds: 3_600,
      usedMs: 0,
      unusedMs: 0,
      endAsked: true,
    }))
    for (const what of checkEnds(controller, [...tenancies, ...ours])) fail('a job ended', what)
    const lastLeaseMs = Math.max(0, ...tenancies.map(({ leaseSeconds }) => leaseSeconds * 1000))
    await controller.sleep(lastLeaseMs)
    const { fleet, warmNodes } = controller
    for (let waitedMs = 0; fleet.nodes.length !== warmNodes && waitedMs < STOP_MS_MAX; waitedMs += STOP_MS)
      await controller.sleep(STOP_MS)
    if (fleet.nodes.length !== warmNodes)
      fail('a node is left', `${fleet.nodes.length} nodes run, and ${warmNodes} are to be kept warm`)
    for (const what of await checkAllEnded(cluster, controller))
      fail('something of an ended job is left', what)
    // It would go on writing.
    controller.crash()
    await controller.disk.close()
  }

  /** A process may be told to stop only if it holds nothing, or if it never reported. */
  #stopping(node: RunningNode): void {
    const { jobs, fail, nodeDies, isAudible } = this.#options
    const { service } = node
    const living = [...jobs.values()].filter(({ endAskedMs }) => endAskedMs === null)
    const held = living.filter(({ id }) => service !== null && isPresent(service, id))
    if (held.length > 0 && isAudible())
      fail(
        'a process ended',
        `${node.id} is told to stop with ${held.map(({ id }) => id).join(' and ')} on it`,
      )
    nodeDies(node)
  }
}

function describeChange(before: string, after: string): string {
  const [was, is] = [before, after].map((text) => JSON.parse(text) as Record<string, unknown>)
  return Object.keys(was ?? {})
    .filter((name) => JSON.stringify(was?.[name]) !== JSON.stringify(is?.[name]))
    .map((name) => `${name}: ${name === 'records' ? 'they have changed' : JSON.stringify(is?.[name])}`)
    .join('\n  ')
}
