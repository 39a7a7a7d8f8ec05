import { isError } from '../protocol/errors.ts'
import { GROWTH_RETRY_ROUNDS } from '../protocol/limits.ts'
import { type Job, reservedBy } from './job.ts'
import type { Jobs, JobsOptions } from './jobs.ts'
import { capacityOf, isOpen } from './node.ts'
import { bytesOf, nothing, subtract, sum } from './node-class.ts'
import { type JobMemory, newJob, outgrow } from './outgrowth.ts'
import type { Repair } from './repair.ts'
import { peakOf, type Usage } from './usage.ts'

export interface GrowthOptions extends Omit<JobsOptions, 'runtime' | 'onFreed' | 'onUnsure'> {
  readonly jobs: Jobs
  readonly usage: Usage
  readonly repair: Repair
}

/** Lets what jobs have reserved follow what they use, as far as nobody has hinted it. */
export class Growth {
  readonly #options: GrowthOptions
  readonly #memories = new Map<string, JobMemory>()
  /** Rounds until a job that was refused is tried again. */
  readonly #refused = new Map<string, number>()

  constructor(options: GrowthOptions) {
    this.#options = options
  }

  /** Once every `HEARTBEAT_MS`, and never while a resize is under way. */
  round(): void {
    const { ledger } = this.#options
    const living = ledger.living()
    for (const job of living) if (job.state === 'active') this.#look(job)
    if (this.#memories.size <= living.length) return
    for (const id of this.#memories.keys()) if (ledger.get(id)?.state !== 'active') this.#forget(id)
  }

  #look(job: Job): void {
    const { ledger, usage, repair } = this.#options
    if (repair.isWanted(job.id)) return
    const wait = this.#refused.get(job.id) ?? 0
    if (wait > 0) return void this.#refused.set(job.id, wait - 1)
    const { memory, resized } = outgrow(this.#memories.get(job.id) ?? newJob, {
      ...job,
      reserved: reservedBy(job),
      use: peakOf(usage.of(job.id)),
      bytesPerSecondMax: () => this.#rateWithin(job),
      peak: ledger.peakOf(job),
    })
    this.#memories.set(job.id, memory)
    if (resized !== null) this.#resize(job, resized)
  }

  #resize(job: Job, to: Pick<Job, 'demand' | 'reasons'>): void {
    const { admission, ledger, repair, events, log } = this.#options
    try {
      const shares = admission.resize(job, to.demand)
      ledger
        .change(job.id, { ...to, shares })
        .then(() => repair.want(job.id))
        .catch((err: unknown) =>
          log.warn({ err, job: job.id }, 'a change of a job could not be written down'),
        )
    } catch (error) {
      if (!isError(error, 'RESERVATION_REFUSED')) throw error
      this.#refused.set(job.id, GROWTH_RETRY_ROUNDS)
      log.warn({ job: job.id, reason: error.reason }, 'a job has outgrown its reservation, and may not grow')
      return
    }
    const { ramBytes, ssdBytes, bytesPerSecond } = to.demand
    const grows = bytesOf(to.demand) > bytesOf(job.demand) || bytesPerSecond > job.demand.bytesPerSecond
    const because = [to.reasons.bytes.because, to.reasons.bytesPerSecond.because]
    const what = { job: job.id, ramBytes, ssdBytes, bytesPerSecond }
    if (grows) log.info({ ...what, because }, 'a job has outgrown its reservation and grows')
    else log.info({ ...what, because }, 'a job is past its peak and gives back what it does not use')
    events.emit('job.scaled', what)
  }

  /** What the job's nodes could give it: no node is started so that it need not borrow. */
  #rateWithin({ shares }: Job): number {
    const { nodes, ledger } = this.#options
    const spares = shares.flatMap(({ node: id, bytesPerSecond }) => {
      const node = nodes.get(id)
      if (node === undefined || !isOpen(node)) return []
      const spare = subtract(capacityOf(node, nodes.served), ledger.reservedOn(id))
      return [{ ...nothing, bytesPerSecond: bytesPerSecond + spare.bytesPerSecond }]
    })
    return sum(spares).bytesPerSecond
  }

  #forget(id: string): void {
    this.#memories.delete(id)
    this.#refused.delete(id)
  }
}
