import { isError } from '../../protocol/errors.ts'
import type { Peer } from '../../service/server/peer.ts'
import type { NodeJob } from '../job/job.ts'
import { LANE_OVERHEAD_BYTES, SESSION_OVERHEAD_BYTES } from '../limits.ts'
import { Lane } from './lane.ts'

/** The mutations of one client across its connections, of which one is open at a time. */
export class Session {
  /** The challenge of its first connection. */
  readonly name: string
  readonly jobId: string
  /** The challenge of its latest connection. */
  nonce = ''
  /** Null while it has no connection. */
  peer: Peer | null = null
  /** Number of connections so far. */
  connection = 0
  /** Mutations received, each counted once. */
  mutations = 0
  /** The job that its answers are charged to; null before the first mutation. */
  job: NodeJob | null = null
  readonly lanes: (Lane | undefined)[] = []
  /** Lanes whose answers hold memory of the job. */
  readonly holding = new Set<Lane>()
  /** Mutations without an outcome yet. */
  underWay = 0
  /** Since when it has had neither a connection nor a running mutation, monotonic ms. */
  idleSinceMs = 0
  /** Bytes charged for it. */
  bytes = SESSION_OVERHEAD_BYTES

  constructor(job: string, name: string) {
    this.jobId = job
    this.name = name
  }

  /** Opens a lane and charges it. */
  open(number: number): Lane {
    const lane = new Lane()
    this.lanes[number] = lane
    this.bytes += LANE_OVERHEAD_BYTES
    return lane
  }

  /** A parked get that was given up has done nothing; any other error is an answer. */
  fail(lane: Lane, error: unknown): void {
    if (!isError(error, 'CONNECTION_LOST', 'ABORTED')) return lane.fail(error)
    this.mutations--
    lane.reset()
  }

  /** Forgets the lane's answer. */
  releaseLane(lane: Lane): void {
    this.holding.delete(lane)
    if (this.job !== null) lane.release(this.job)
  }

  /** Forgets every answer but not the sequences: repetitions are refused. */
  releaseAll(): void {
    for (const lane of this.lanes) if (lane !== undefined) this.releaseLane(lane)
  }
}
