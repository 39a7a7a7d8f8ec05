import type { Clock } from '../../../protocol/runtime.ts'
import type { Admission } from '../../jobs/admission.ts'
import type { Registrations } from '../../jobs/registrations.ts'
import { peakOf, type Usage } from '../../jobs/usage.ts'
import type { Ledger } from '../../ledger/ledger.ts'
import { PAGE_JOB_SAMPLE_EVERY, PAGE_JOBS_MAX, PAGE_NODES_MAX, PAGE_SAMPLES_KEPT } from '../../limits.ts'
import type { FleetCapacity } from '../../nodes/capacity.ts'
import type { NodeRegistry } from '../../nodes/registry.ts'
import { type Job, largestOf, reservedBy } from '../../records/job.ts'
import { isAlive, type Node } from '../../records/node.ts'
import { bytesOf, type NodeClass } from '../../sizing/node-class.ts'
import type { NodeView } from '../schemas.ts'
import type { Views } from '../views.ts'
import { costOf } from './cost.ts'
import { Rates } from './rates.ts'
import type { Amounts, JobPoint, JobShown, NodeShown, Sample, Snapshot } from './snapshot.ts'

export interface SnapshotsOptions {
  readonly clock: Clock
  readonly views: Views
  readonly nodes: NodeRegistry
  readonly ledger: Ledger
  readonly usage: Usage
  readonly admission: Admission
  readonly registrations: Registrations
  readonly fleetCapacity: FleetCapacity
  readonly classes: readonly NodeClass[]
}

/** Jobs of a node that are named on the page. */
const JOBS_OF_NODE = 3

/** The data that the page shows: the current snapshot, and the last `PAGE_SAMPLES_KEPT` samples for the plots. */
export class Snapshots {
  readonly #options: SnapshotsOptions
  readonly #rates: Rates
  readonly #samples: Sample[] = []
  readonly #jobs = new Map<string, JobPoint[]>()
  #taken = 0

  constructor(options: SnapshotsOptions) {
    this.#options = options
    this.#rates = new Rates(options.clock)
  }

  get samples(): readonly Sample[] {
    return this.#samples
  }

  get jobs(): Readonly<Record<string, readonly JobPoint[]>> {
    return Object.fromEntries(this.#jobs)
  }

  /** Takes a sample; called every `PAGE_SAMPLE_MS`. */
  take(): void {
    const { nodes, ledger } = this.#options
    const living = ledger.living()
    this.#keep(this.#sample(nodes.all(), living), living)
  }

  /** The current snapshot; null before the first sample. It is computed only while the page has readers. */
  now(): Snapshot | null {
    const sample = this.#samples.at(-1)
    if (sample === undefined) return null
    const { nodes, ledger, registrations, views } = this.#options
    const alive = nodes.all().filter(isAlive)
    const living = ledger.living()
    const shown = fullestFirst(alive).slice(0, PAGE_NODES_MAX)
    const nodeViews = views.nodesNow(shown)
    return {
      sample,
      nodes: shown.flatMap((node, index) => {
        const view = nodeViews[index]
        return view === undefined ? [] : [this.#node(node, view)]
      }),
      nodesTotal: alive.length,
      jobs: largestOf(living, PAGE_JOBS_MAX).map((job) => this.#job(job)),
      jobsTotal: living.length,
      waiting: registrations.waiting,
    }
  }

  #keep(sample: Sample, living: readonly Job[]): void {
    this.#samples.push(sample)
    if (this.#samples.length > PAGE_SAMPLES_KEPT) this.#samples.shift()
    if (this.#taken++ % PAGE_JOB_SAMPLE_EVERY !== 0) return
    const jobs = largestOf(living, PAGE_JOBS_MAX).map((job) => this.#job(job))
    const shown = new Set(jobs.map(({ id }) => id))
    for (const id of this.#jobs.keys()) if (!shown.has(id)) this.#jobs.delete(id)
    for (const { id, used, reserved } of jobs) {
      const points = this.#jobs.get(id) ?? []
      points.push([sample.atMs, used, reserved])
      if (points.length > PAGE_SAMPLES_KEPT / PAGE_JOB_SAMPLE_EVERY) points.shift()
      this.#jobs.set(id, points)
    }
  }

  #sample(nodes: readonly Node[], living: readonly Job[]): Sample {
    const { clock, views, classes, fleetCapacity } = this.#options
    const { totals } = views.cluster()
    return {
      ...this.#rates.take(nodes.filter(isAlive)),
      atMs: clock.wallMs(),
      ram: amounts(totals.bytes.ram),
      ssd: amounts(totals.bytes.ssd),
      s3Used: nodes.reduce(
        (sum, node) => sum + (isAlive(node) ? (node.report?.tiers.s3?.usedBytes ?? 0) : 0),
        0,
      ),
      bytesPerSecond: amounts(totals.bytesPerSecond),
      cost: costOf(living, { classes, fleet: fleetCapacity }),
    }
  }

  #job(job: Job): JobShown {
    const { usage, admission } = this.#options
    const use = usage.useOf(job.id)
    const reserved = reservedBy(job)
    return {
      ...{ id: job.id, name: job.name, owner: job.owner, state: job.state, objects: use.objects },
      used: Math.round(peakOf(use).bytes),
      reserved: bytesOf(reserved),
      bytesPerSecond: { used: Math.round(use.bytesPerSecond), reserved: reserved.bytesPerSecond },
      pricePerHour: admission.priceOf(job),
      nodes: job.shares.length,
    }
  }

  #node(node: Node, view: NodeView): NodeShown {
    const { id, class: name, state, bytesPerSecond, cores } = view
    const tiers = Object.entries(view.tiers).map(([tier, { usedBytes, reservedBytes, capacityBytes }]) => {
      const of: Amounts = { used: usedBytes, reserved: reservedBytes, capacity: capacityBytes }
      return [tier, of]
    })
    const largest = (node.report?.jobs ?? [])
      .map((job) => ({
        id: job.id,
        name: this.#options.ledger.get(job.id)?.name ?? '',
        bytes: Math.round(Object.values(job.bytes).reduce((sum, bytes) => sum + bytes, 0)),
      }))
      .sort((a, b) => b.bytes - a.bytes)
      .slice(0, JOBS_OF_NODE)
    return {
      ...{ id, class: name, state, bytesPerSecond, cores },
      tiers: Object.fromEntries(tiers),
      jobs: largest,
    }
  }
}

/** Nodes are ordered by their fullest tier in steps, so that they do not change places with every report. */
const FULLNESS_STEPS = 20

function fullestFirst(nodes: readonly Node[]): Node[] {
  const stepOf = ({ report }: Node): number => {
    const parts = Object.values(report?.tiers ?? {}).map(({ usedBytes, capacityBytes }) =>
      capacityBytes === 0 ? 0 : usedBytes / capacityBytes,
    )
    return Math.floor(FULLNESS_STEPS * Math.max(0, ...parts))
  }
  return nodes
    .map((node) => ({ node, step: stepOf(node) }))
    .sort((a, b) => b.step - a.step)
    .map(({ node }) => node)
}

function amounts({
  used,
  reserved,
  capacity,
}: {
  used: number
  reserved: number
  capacity: number
}): Amounts {
  return { used, reserved, capacity }
}
