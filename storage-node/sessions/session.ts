import { isError } from '../../protocol/errors.ts'
import { LANE_OVERHEAD_BYTES, SESSION_OVERHEAD_BYTES } from '../../protocol/limits.ts'
import type { Peer } from '../../service/server/peer.ts'
import type { NodeJob } from '../job/job.ts'
import { Lane } from './lane.ts'

/** The mutations of one client, over its connections, of which it has one at a time. */
export class Session {
  /** The challenge of its first connection. */
  readonly name: string
  readonly jobId: string
  /** The challenge of its last connection. */
  nonce = ''
  /** Null while it has no connection. */
  peer: Peer | null = null
  /** How many connections it has had. */
  connection = 0
  /** That have come, each counted once. */
  mutations = 0
  /** What its mutations are held against; null before the first. */
  job: NodeJob | null = null
  readonly lanes: (Lane | undefined)[] = []
  /** Lanes whose answers hold memory of the job. */
  readonly holding = new Set<Lane>()
  /** Mutations that have no outcome yet. */
  underWay = 0
  /** Since when it has had neither a connection nor anything under way. */
  idleSinceMs = 0
  /** What it is counted for. */
  bytes = SESSION_OVERHEAD_BYTES

  constructor(job: string, name: string) {
    this.jobId = job
    this.name = name
  }

  /** The lane, which is opened where it is not yet; it then costs what is counted here. */
  open(number: number): Lane {
    const lane = new Lane()
    this.lanes[number] = lane
    this.bytes += LANE_OVERHEAD_BYTES
    return lane
  }

  /** A get that was parked and that nobody waits for any more has done nothing; any other error is an answer. */
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

  /** Forgets every answer, and not that it was given: a repetition is refused. */
  releaseAll(): void {
    for (const lane of this.lanes) if (lane !== undefined) this.releaseLane(lane)
  }
}
