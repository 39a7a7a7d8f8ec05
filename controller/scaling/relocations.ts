import type { NodeReport } from '../../protocol/operations/reports.ts'
import { DRAIN_EMPTY_REPORTS, RELOCATION_REPORTS_MAX } from '../limits.ts'
import { type Job, mergeShares, remainderOf, type Share, scaleShares } from '../records/job.ts'
import { bytesOf, fits, most, type ResourceVector, subtract, sum, vectorOf } from '../sizing/node-class.ts'
import type { Move } from './rebalance.ts'
import type { Reconciler, ReconcilerOptions } from './reconciler.ts'
import { removeShare } from './remove-share.ts'

export interface RelocationsOptions extends ReconcilerOptions {
  readonly reconciler: Reconciler
}

/** Progress of a share that moves away: reports so far, and consecutive reports by which its bytes had left. */
interface Progress {
  readonly reports: number
  readonly settledReports: number
}

/**
 * Moves parts of shares between nodes of a job. Progress is stored as `leaving` of the share: metadata gives the node fewer slots, and once
 * the bytes have left, the part no longer counts there. A restarted controller resumes from the store.
 */
export class Relocations {
  readonly #options: RelocationsOptions
  readonly #progress = new Map<string, Progress>()
  readonly #removing = new Set<string>()

  constructor(options: RelocationsOptions) {
    this.#options = options
  }

  /** Enters moves into the ledger at once; the bytes follow. New target nodes must have been started. */
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

  /** Applies a report of a node: releases parts whose bytes have left. */
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
        log.warn({ job: job.id, node }, 'a share of a job does not leave its node; the node keeps it')
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

  /** Ends a move. The other nodes keep their shares, reduced by what this node keeps beyond the plan. */
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
      .attempt(['relocate', job], () => removeShare({ job, node }, this.#options))
      .finally(() => this.#removing.delete(key))
  }

  /** The shares count at once; the reconciler sends them to metadata until confirmed. */
  #enter(job: Job, shares: readonly Share[]): void {
    const { ledger, reconciler, background } = this.#options
    void background
      .once(['writeShares', job.id], () => ledger.change(job.id, { shares }))
      .finally(() => reconciler.reconcile(job.id))
  }
}

function leavingShare(job: Job, node: string): Share | undefined {
  return job.shares.find((share) => share.node === node && share.leaving !== undefined)
}

/**
 * A whole share has left when the node no longer reports the job; a part, when the remaining share has room for what is held. Bytes count
 * over all tiers, since a smaller fast tier demotes to the slower ones.
 */
function hasLeft(share: Share, held: NodeReport['jobs'][number]['bytes'] | undefined): boolean {
  if (share.leaving === 1) return held === undefined
  const { ram = 0, ssd = 0, s3 = 0 } = held ?? {}
  return ram + ssd + s3 <= bytesOf(remainderOf(share))
}

/** The departing part; with the remaining part it adds up to the share exactly. */
function leftOf(share: Share, part: number): Omit<Share, 'node'> {
  const remaining = remainderOf({ ...share, leaving: part })
  return {
    ramBytes: share.ramBytes - remaining.ramBytes,
    ssdBytes: share.ssdBytes - remaining.ssdBytes,
    s3Bytes: share.s3Bytes - remaining.s3Bytes,
    bytesPerSecond: share.bytesPerSecond - remaining.bytesPerSecond,
  }
}
