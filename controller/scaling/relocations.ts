import { DRAIN_EMPTY_REPORTS, RELOCATION_REPORTS_MAX } from '../../protocol/limits.ts'
import type { NodeReport } from '../../protocol/operations/reports.ts'
import { type Job, mergeShares, remainderOf, type Share, scaleShares } from '../records/job.ts'
import { bytesOf, fits, most, type ResourceVector, subtract, sum, vectorOf } from '../sizing/node-class.ts'
import type { Move } from './rebalance.ts'
import type { Reconciler, ReconcilerOptions } from './reconciler.ts'
import { removeShare } from './remove-share.ts'

export interface RelocationsOptions extends ReconcilerOptions {
  readonly reconciler: Reconciler
}

/** Of a share that leaves: reports since, and how many in a row showed that what leaves has left. */
interface Progress {
  readonly reports: number
  readonly settledReports: number
}

/**
 * Parts of shares that move from one node of a job to another. What a move has come to is in the store alone, as
 * `leaving` of its share: metadata gives the node fewer slots, and once its bytes have left, what left is no longer
 * counted there. A controller that starts again goes on from there.
 */
export class Relocations {
  readonly #options: RelocationsOptions
  readonly #progress = new Map<string, Progress>()
  readonly #removing = new Set<string>()

  constructor(options: RelocationsOptions) {
    this.#options = options
  }

  /** Enters moves at once; the bytes follow. Nodes that are missing must have been started. */
  begin(moves: readonly Move[]): void {
    for (const move of moves) {
      const job = this.#options.ledger.get(move.job)
      const from = job?.shares.find(({ node }) => node === move.from)
      if (job?.state !== 'active' || from === undefined || from.leaving !== undefined) continue
      const part = { node: move.to, ...leftOf(from, move.part) }
      const others = job.shares.filter((share) => share !== from)
      this.#enter(job, [{ ...from, leaving: move.part }, ...mergeShares([...others, part])])
    }
  }

  /** Takes a report of a node: what has left it is given back. */
  onReport(node: string, report: NodeReport): void {
    const { ledger, reconciler, log } = this.#options
    const relocating = ledger.relocating()
    if (relocating.length === 0) return this.#progress.clear()
    for (const job of relocating) {
      const share = leavingShare(job, node)
      const key = `${job.id} ${node}`
      if (share === undefined) this.#progress.delete(key)
      if (share === undefined || job.state !== 'active' || reconciler.isPending(job.id)) continue
      const used = report.jobs.find(({ id }) => id === job.id)
      const before = this.#progress.get(key) ?? { reports: 0, settledReports: 0 }
      const isSettled = hasLeft(share, used?.bytes)
      const now = {
        reports: before.reports + 1,
        settledReports: isSettled ? before.settledReports + 1 : 0,
      }
      this.#progress.set(key, now)
      if (now.settledReports >= DRAIN_EMPTY_REPORTS) {
        if (share.leaving === 1) this.#removeShare(job.id, node)
        else this.#settle(job, share, remainderOf(share))
      } else if (now.reports >= RELOCATION_REPORTS_MAX && share.leaving !== 1) {
        log.warn(
          { job: job.id, node },
          'a part of a job does not leave its node; the node keeps what it holds',
        )
        const { ram = 0, ssd = 0, s3 = 0 } = used?.bytes ?? {}
        const held = {
          ...share,
          ramBytes: Math.min(share.ramBytes, ram),
          ssdBytes: Math.min(share.ssdBytes, ssd),
          s3Bytes: Math.min(share.s3Bytes, s3),
        }
        this.#settle(job, share, most(remainderOf(share), held))
      }
    }
  }

  /** The job's other nodes keep what they have; where this one keeps more than it was to, as much less. */
  #settle(job: Job, share: Share, to: ResourceVector): void {
    this.#progress.delete(`${job.id} ${share.node}`)
    const settled = { node: share.node, ...vectorOf(to) }
    const others = job.shares.filter((each) => each !== share)
    const rest = subtract(job.demand, settled)
    const isUsual = fits(sum(others), rest) || others.some(({ leaving }) => leaving !== undefined)
    this.#enter(job, [settled, ...(isUsual ? others : scaleShares(others, rest))])
  }

  #removeShare(job: string, node: string): void {
    const key = `${job} ${node}`
    if (this.#removing.has(key)) return
    this.#removing.add(key)
    void this.#options.background
      .attempt(['relocate', key], () => removeShare({ job, node }, this.#options))
      .finally(() => this.#removing.delete(key))
  }

  /** The shares count at once; metadata is told by a repair, which is tried until it is done. */
  #enter(job: Job, shares: readonly Share[]): void {
    const { ledger, reconciler, background } = this.#options
    void background.once(['writeShares', job.id], async () => {
      await ledger.change(job.id, { shares })
      reconciler.reconcile(job.id)
    })
  }
}

function leavingShare(job: Job, node: string): Share | undefined {
  return job.shares.find((share) => share.node === node && share.leaving !== undefined)
}

/**
 * A whole share has left when the node names its job no more, a part when the rest has room for what is held. That counts
 * over all tiers: what fills the faster ones leaves them for the slower ones once they are smaller.
 */
function hasLeft(share: Share, held: NodeReport['jobs'][number]['bytes'] | undefined): boolean {
  if (share.leaving === 1) return held === undefined
  const { ram = 0, ssd = 0, s3 = 0 } = held ?? {}
  return ram + ssd + s3 <= bytesOf(remainderOf(share))
}

/** What leaves, so that with what is kept it comes to the whole. */
function leftOf(share: Share, part: number): Omit<Share, 'node'> {
  const kept = remainderOf({ ...share, leaving: part })
  return {
    ramBytes: share.ramBytes - kept.ramBytes,
    ssdBytes: share.ssdBytes - kept.ssdBytes,
    s3Bytes: share.s3Bytes - kept.s3Bytes,
    bytesPerSecond: share.bytesPerSecond - kept.bytesPerSecond,
  }
}
