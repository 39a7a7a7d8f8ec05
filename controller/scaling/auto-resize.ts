import { isError, type MayflyError } from '../../protocol/errors.ts'
import type { Tier } from '../../protocol/operations/data-operations.ts'
import type { JobLifecycle, JobLifecycleOptions } from '../jobs/job-lifecycle.ts'
import { peakOf, type Usage } from '../jobs/usage.ts'
import { GROWTH_RETRY_ROUNDS } from '../limits.ts'
import type { FleetCapacity } from '../nodes/capacity.ts'
import { type Job, reservedBy, type Share } from '../records/job.ts'
import { capacityOf, isOpen } from '../records/node.ts'
import { bytesOf, nothing, subtract, sum } from '../sizing/node-class.ts'
import { type Demand, type Hints, s3PriceOfDemand } from '../sizing/rightsizing.ts'
import type { TierTraits } from '../sizing/tier-traits.ts'
import type { Reconciler } from './reconciler.ts'
import { decideResize, type JobLoad, type JobMemory, newJob, type Resized, stepsUp } from './resize-policy.ts'

export interface AutoResizeOptions extends Omit<JobLifecycleOptions, 'runtime'> {
  readonly jobs: JobLifecycle
  readonly usage: Usage
  readonly fleetCapacity: FleetCapacity
  readonly reconciler: Reconciler
  /** The tiers that a job with such hints may use. */
  readonly allowedTiers: (hints: Hints) => ReadonlySet<Tier>
  readonly traits: TierTraits
}

/** A resize that was refused. */
interface Refusal {
  /** Rounds until the next try. */
  readonly rounds: number
  /** A node's request was refused. A round tries less than a request, which may place the rest below RAM: its refusal refuses no request. */
  readonly ofRequest: boolean
}

/** Resizes reservations that no hint fixes to follow usage. */
export class AutoResize {
  readonly #options: AutoResizeOptions
  readonly #memories = new Map<string, JobMemory>()
  readonly #refused = new Map<string, Refusal>()

  constructor(options: AutoResizeOptions) {
    this.#options = options
  }

  /** To be called every `HEARTBEAT_MS`, but not while a resize is under way. */
  round(): void {
    const { ledger } = this.#options
    const living = ledger.living()
    for (const job of living) if (job.state === 'active') this.#evaluate(job)
    if (this.#memories.size <= living.length) return
    for (const id of this.#memories.keys()) if (ledger.get(id)?.state !== 'active') this.#forget(id)
  }

  /** A node requests capacity for a job that fills up or whose puts wait. False if the job gets no more. */
  request(id: string, waitingBytes: number): boolean {
    const { ledger, reconciler, jobs, allowedTiers, fleetCapacity, traits } = this.#options
    const job = ledger.get(id)
    if (job === undefined || job.state === 'ending' || job.state === 'ended') return false
    if (job.hints.capacityBytes !== undefined || this.#refused.get(id)?.ofRequest === true) return false
    // The last decision takes effect before the next one is made.
    if (job.state === 'registering' || reconciler.isPending(id) || jobs.isResizing) return true
    const allowed = allowedTiers(job.hints)
    const hasSsd = allowed.has('ssd') && fleetCapacity.limit.ssdBytes > 0
    const below = [...(hasSsd ? ['ssd' as const] : []), ...(allowed.has('s3') ? ['s3' as const] : [])]
    const s3PriceOf = (demand: Demand): number => s3PriceOfDemand(demand, traits)
    const steps = stepsUp(this.#loadOf(job), { waitingBytes, below, s3PriceOf })
    if (steps.length === 0) return true
    this.#memories.set(id, newJob)
    return this.#resize(job, steps, { ofRequest: true })
  }

  #evaluate(job: Job): void {
    const { reconciler } = this.#options
    if (reconciler.isPending(job.id)) return
    const refusal = this.#refused.get(job.id)
    if (refusal !== undefined && refusal.rounds > 1)
      return void this.#refused.set(job.id, { ...refusal, rounds: refusal.rounds - 1 })
    this.#refused.delete(job.id)
    const { memory, resized } = decideResize(this.#memories.get(job.id) ?? newJob, this.#loadOf(job))
    this.#memories.set(job.id, memory)
    if (resized !== null) this.#resize(job, [resized], { ofRequest: false })
  }

  #loadOf(job: Job): JobLoad {
    const { ledger, usage } = this.#options
    return {
      ...job,
      reserved: reservedBy(job),
      use: peakOf(usage.useOf(job.id)),
      bytesPerSecondMax: () => this.#rateWithin(job),
      peak: ledger.peakOf(job),
    }
  }

  /** Resizes to the first step that fits. False if none fits. */
  #resize(job: Job, steps: readonly Resized[], { ofRequest }: { ofRequest: boolean }): boolean {
    const { admission, ledger, reconciler, background } = this.#options
    let refusal: MayflyError | null = null
    for (const to of steps) {
      let shares: readonly Share[]
      try {
        shares = admission.resize(job, to.demand)
      } catch (error) {
        if (!isError(error, 'RESERVATION_REFUSED')) throw error
        refusal ??= error
        continue
      }
      // No further decision until metadata has confirmed this one.
      reconciler.markPending(job.id)
      void background
        .once(['writeShares', job.id], () => ledger.change(job.id, { ...to, shares }))
        .finally(() => reconciler.reconcile(job.id))
      this.#report(job, to)
      return true
    }
    this.#refused.set(job.id, { rounds: GROWTH_RETRY_ROUNDS, ofRequest })
    const { reason } = refusal ?? {}
    this.#options.log.warn({ job: job.id, reason }, 'a job has outgrown its reservation and may not grow')
    return false
  }

  #report(job: Job, to: Resized): void {
    const { events, log } = this.#options
    const { ramBytes, ssdBytes, bytesPerSecond } = to.demand
    const grows = bytesOf(to.demand) > bytesOf(job.demand) || bytesPerSecond > job.demand.bytesPerSecond
    const because = [to.reasons.bytes.because, to.reasons.bytesPerSecond.because]
    const what = { job: job.id, ramBytes, ssdBytes, bytesPerSecond }
    if (grows) log.info({ ...what, because }, 'a job has outgrown its reservation and grows')
    else log.info({ ...what, because }, 'a job is past its peak and shrinks')
    events.emit('job.scaled', { ...what, grows, because })
  }

  /** The throughput that the job's nodes could give it. No node is started for throughput alone, as it may be borrowed. */
  #rateWithin({ shares }: Job): number {
    const { nodes, ledger, fleetCapacity } = this.#options
    const spares = shares.flatMap(({ node: id, bytesPerSecond }) => {
      const node = nodes.get(id)
      if (node === undefined || !isOpen(node)) return []
      const spare = subtract(capacityOf(node, fleetCapacity.served), ledger.reservedOn(id))
      return [{ ...nothing, bytesPerSecond: bytesPerSecond + spare.bytesPerSecond }]
    })
    return sum(spares).bytesPerSecond
  }

  #forget(id: string): void {
    this.#memories.delete(id)
    this.#refused.delete(id)
  }
}
