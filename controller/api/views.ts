import type { Tier } from '../../protocol/operations/data-operations.ts'
import type { Keys } from '../access/keys.ts'
import type { Admission } from '../jobs/admission.ts'
import type { Registrations } from '../jobs/registrations.ts'
import { sumOfTier, type Usage } from '../jobs/usage.ts'
import type { Ledger } from '../ledger/ledger.ts'
import type { MetadataServers } from '../metadata/servers.ts'
import type { FleetCapacity } from '../nodes/capacity.ts'
import type { NodeRegistry } from '../nodes/registry.ts'
import type { Job } from '../records/job.ts'
import { largestOf, livingStates, reservedBy } from '../records/job.ts'
import { capacityOf, isAlive, isOpen, loadOf, type Node, nodeStates } from '../records/node.ts'
import type { Quota } from '../records/quota.ts'
import {
  bytesOf,
  type NodeClass,
  nothing,
  type ResourceVector,
  subtract,
  sum,
  type TierBytes,
} from '../sizing/node-class.ts'
import type { ClusterView, JobView, NodeView } from './schemas.ts'

export interface ViewsOptions {
  readonly clock: { monotonicMs(): number; wallMs(): number }
  readonly ledger: Ledger
  readonly nodes: NodeRegistry
  readonly fleetCapacity: FleetCapacity
  readonly metadata: MetadataServers
  readonly classes: readonly NodeClass[]
  readonly warmNodes: number
  readonly admission: Admission
  readonly registrations: Registrations
  readonly usage: Usage
  readonly quota: Quota
  readonly keys: Pick<Keys, 'all'>
}

/** Converts the cluster's state to the bodies of the HTTP API. */
export class Views {
  readonly #options: ViewsOptions

  constructor(options: ViewsOptions) {
    this.#options = options
  }

  job(job: Job): JobView {
    const { clock, ledger, admission } = this.#options
    const idleMs = clock.monotonicMs() - ledger.usedMs(job.id)
    const leaseEndsAtMs = job.endedAtMs ?? clock.wallMs() - idleMs + job.leaseSeconds * 1000
    const { mixes, ...reasons } = job.reasons
    const reserved = reservedBy(job)
    return {
      id: job.id,
      name: job.name,
      owner: job.owner,
      state: job.state,
      hints: job.hints,
      sizing: {
        latencyClass: reasons.latencyClass,
        bytes: { asked: bytesOf(job.demand), ...reasons.bytes },
        bytesPerSecond: { asked: job.demand.bytesPerSecond, ...reasons.bytesPerSecond },
        mixes: mixes.map((mix) => ({ ...mix, nodeClasses: [...mix.nodeClasses] })),
      },
      reservation: {
        latencyClass: job.demand.latencyClass,
        bytes: tierBytes(reserved),
        bytesPerSecond: reserved.bytesPerSecond,
        nodes: job.shares.map((share) => ({
          node: share.node,
          bytes: tierBytes(share),
          bytesPerSecond: share.bytesPerSecond,
        })),
      },
      metadata: job.metadata,
      pricePerHour: admission.priceOf(job),
      usage: this.#usage(job),
      peak: mapValues({ ...ledger.peakOf(job) }, Math.round),
      leaseSeconds: job.leaseSeconds,
      leaseExpiresAt: new Date(leaseEndsAtMs).toISOString(),
      createdAt: new Date(job.createdAtMs).toISOString(),
      ...(job.endReason !== null && { endReason: job.endReason }),
    }
  }

  /** The living jobs with most bytes reserved, up to `max`, and what they use. */
  largest(max: number): (Pick<JobView, 'id' | 'name' | 'usage'> & { reserved: TierBytes })[] {
    return largestOf(this.#options.ledger.living(), max).map((job) => ({
      id: job.id,
      name: job.name,
      usage: this.#usage(job),
      reserved: tierBytes(reservedBy(job)),
    }))
  }

  #node(node: Node, reserved: ReadonlyMap<string, ResourceVector>): NodeView {
    const { record } = node
    const capacity = capacityOf(node, this.#options.fleetCapacity.served)
    const held = reserved.get(record.id) ?? nothing
    const used = usedOn(node)
    const load = loadOf(node)
    return {
      id: record.id,
      class: record.class,
      state: record.state,
      address: record.address ?? '',
      ...(record.pid !== null && { pid: record.pid }),
      tiers: tiersOf(node, { capacity, held }),
      bytesPerSecond: {
        capacity: capacity.bytesPerSecond,
        reserved: held.bytesPerSecond,
        used: used.bytesPerSecond,
      },
      cores: { capacity: node.class.cores, used: isAlive(node) ? (node.report?.cpuCores ?? 0) : 0 },
      ...(record.state === 'draining' && load !== null && { left: load }),
    }
  }

  /** A node with the reservations on it. */
  nodeNow(node: Node): NodeView {
    return this.#node(node, this.#options.ledger.reserved())
  }

  /** Nodes, with what is reserved on them now. */
  nodesNow(nodes: readonly Node[]): NodeView[] {
    const reserved = this.#options.ledger.reserved()
    return nodes.map((node) => this.#node(node, reserved))
  }

  cluster(): ClusterView {
    const { clock, ledger, nodes, metadata, admission, registrations, classes } = this.#options
    const { warmNodes, quota, keys } = this.#options
    const all = nodes.all()
    const open = all.filter(isOpen)
    const living = ledger.living()
    const { served, limit } = this.#options.fleetCapacity
    const capacity = sum(open.map((node) => capacityOf(node, served)))
    const reserved = sum(living.flatMap(({ shares }) => shares))
    const totals = {
      limit,
      capacity,
      asked: sum(living.map(({ demand }) => demand)),
      reserved,
      used: sum(all.map(usedOn)),
      free: subtract(capacity, reserved),
    }
    return {
      nodeClasses: classes.map((nodeClass) => ({
        ...nodeClass,
        nodes: open.filter((node) => node.record.class === nodeClass.name).length,
      })),
      warmNodes,
      totals: {
        bytes: {
          ram: mapValues(totals, ({ ramBytes }) => ramBytes),
          ssd: mapValues(totals, ({ ssdBytes }) => ssdBytes),
        },
        bytesPerSecond: mapValues(totals, ({ bytesPerSecond }) => bytesPerSecond),
      },
      metadata: metadata.all().map(({ id, address, busy, heardMs }) => ({
        id,
        address,
        jobs: living.filter((job) => job.metadata === id).length,
        busy,
        silentMs: Math.round(clock.monotonicMs() - heardMs),
      })),
      waiting: registrations.waiting,
      limits: quota,
      apiKeys: keys.all().map(({ name, role, limits }) => ({
        name,
        role,
        limits,
        spent: admission.spent(name),
      })),
      jobs: countBy(living, livingStates),
      nodes: countBy(
        all.map(({ record }) => record),
        nodeStates,
      ),
    }
  }

  #usage(job: Job): JobView['usage'] {
    const { objects, bytes, bytesPerSecond, tiers } = this.#options.usage.useOf(
      job.state === 'ended' ? '' : job.id,
    )
    return {
      objects,
      bytes: mapValues(bytes, Math.round),
      bytesPerSecond: Math.round(bytesPerSecond),
      tiers,
    }
  }
}

/** Until its first report, a starting node is shown with the tiers of its class. */
function tiersOf(
  node: Node,
  { capacity, held }: { capacity: ResourceVector; held: ResourceVector },
): NodeView['tiers'] {
  const { ramBytes, ssdBytes } = capacity
  const reported = node.report?.tiers ?? {
    ram: { capacityBytes: ramBytes, usedBytes: 0 },
    ...(ssdBytes > 0 && { ssd: { capacityBytes: ssdBytes, usedBytes: 0 } }),
  }
  const reserved: Readonly<Record<string, number>> = tierBytes(held)
  const alive = isAlive(node)
  return Object.fromEntries(
    Object.entries(reported).map(([tier, { capacityBytes, usedBytes }]) => {
      const reservedBytes = reserved[tier] ?? 0
      const activity = sumOfTier(tier as Tier, node.report?.jobs ?? [])
      const sizes = { capacityBytes, reservedBytes, usedBytes: alive ? Math.round(usedBytes) : 0 }
      return [tier, { ...sizes, ...activity, objects: alive ? activity.objects : 0 }]
    }),
  )
}

/** A lost node uses nothing. */
function usedOn(node: Node): ResourceVector {
  const { report } = node
  if (report === null || !isAlive(node)) return nothing
  return {
    ramBytes: Math.round(report.tiers.ram?.usedBytes ?? 0),
    ssdBytes: Math.round(report.tiers.ssd?.usedBytes ?? 0),
    s3Bytes: Math.round(report.tiers.s3?.usedBytes ?? 0),
    bytesPerSecond: Math.round(report.bytesPerSecond),
  }
}

function tierBytes({ ramBytes, ssdBytes, s3Bytes }: ResourceVector): TierBytes {
  return { ram: ramBytes, ssd: ssdBytes, s3: s3Bytes }
}

function mapValues<Key extends string, From, To>(
  values: Readonly<Record<Key, From>>,
  change: (value: From) => To,
): Record<Key, To> {
  const entries = Object.entries<From>(values).map(([key, value]) => [key, change(value)])
  return Object.fromEntries(entries) as Record<Key, To>
}

function countBy(
  items: readonly { readonly state: string }[],
  states: readonly string[],
): Record<string, number> {
  return Object.fromEntries(
    states.map((state) => [state, items.filter((item) => item.state === state).length]),
  )
}
