import { assert } from '../../protocol/assert.ts'
import { MayflyError } from '../../protocol/errors.ts'
import {
  LANE_OVERHEAD_BYTES,
  REPEAT_MS_MAX,
  SESSION_KEEP_MS,
  SESSION_OVERHEAD_BYTES,
} from '../../protocol/limits.ts'
import { hashKey } from '../../protocol/model/hash.ts'
import type { Clock } from '../../protocol/runtime.ts'
import { violation } from '../../protocol/wire/reader.ts'
import type { ClientSessions, Peer, Resume } from '../../service/server/peer.ts'
import type { NodeJob } from '../job/job.ts'
import type { PinnedReply } from '../memory/pinned-reply.ts'
import { type Lane, unknownOutcome } from './lane.ts'
import { Session } from './session.ts'
import { SessionAccount } from './session-account.ts'

/** Names a mutation among those of its session. */
interface Sequenced {
  readonly lane: number
  readonly sequence: number
}

/** What a mutation asks for, and for whom. */
interface MutationInfo {
  readonly peer: Peer
  /** The space on this node that its bytes are held against. */
  readonly job: NodeJob
  /** The operation's number. */
  readonly operation: number
  /** A hash of its keys. */
  readonly keys: number
  /** What its answer takes beside its lane; 0 where that is a few numbers. */
  readonly answerBytes: number
}

type Answer<Head> = PinnedReply<Head> | Promise<PinnedReply<Head>>

/**
 * Answers of mutations that their clients may repeat because a connection broke. A repetition is given the answer
 * that is here before anything else is looked at: what was done is not done twice, wherever its slot is by now.
 *
 * A session has one connection at a time, and is known by that one's challenge: a client that names it goes on with the session
 * over another connection, which ends the one before. Of two clients with one memory the first that comes back has the session;
 * the other one names a challenge by which nothing is known any more, and begins anew.
 */
export class Sessions implements ClientSessions {
  readonly #clock: Clock
  /** By the challenge of their last connection. */
  readonly #sessions = new Map<string, Session>()
  /** By job. */
  readonly #accounts = new Map<string, SessionAccount>()
  readonly #holding = new Set<Session>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  join(peer: Peer, resume: Resume): string {
    const { job } = peer.claims
    const { nonce } = resume
    if (job === '') return nonce
    const session = this.#known(job, resume) ?? this.#begin(job, nonce)
    const before = session.peer
    this.#sessions.delete(session.nonce)
    this.#sessions.set(nonce, session)
    session.nonce = nonce
    session.peer = peer
    session.connection++
    peer.session = session
    this.#account(job).connected(session)
    before?.end()
    return session.name
  }

  leave(peer: Peer): void {
    const session = peer.session as Session | null
    if (session === null || session.peer !== peer) return
    session.peer = null
    this.#markIdle(session)
  }

  /** Carries a mutation out, once. */
  run<Head>(
    info: MutationInfo,
    { lane: number, sequence }: Sequenced,
    execute: () => Answer<Head>,
  ): Answer<Head> {
    const session = info.peer.session as Session
    if (session.job !== info.job) this.#rebind(session, info.job)
    const lane = session.lanes[number] ?? this.#open(session, number)
    if (sequence <= lane.sequence) return replayOf({ session, lane }, sequence, info) as Answer<Head>
    session.releaseLane(lane)
    lane.sequence = sequence
    lane.operation = info.operation
    lane.keys = info.keys
    lane.connection = session.connection
    session.mutations++
    if (lane.answerBytes !== info.answerBytes) this.#count(session, lane, info)
    return this.#execute(session, lane, execute)
  }

  /** Forgets the answers of these lanes up to their sequences. */
  settle(peer: Peer, settled: readonly Sequenced[]): void {
    const session = peer.session as Session | null
    if (session === null) return
    for (const { lane: number, sequence } of settled) {
      const lane = session.lanes[number]
      if (lane === undefined || sequence < lane.sequence) continue
      session.releaseLane(lane)
      lane.sequence = sequence
    }
  }

  /** Frees consumed bytes that were kept long enough, and forgets sessions that have been silent. */
  sweep(): void {
    const now = this.#clock.monotonicMs()
    for (const account of this.#accounts.values())
      for (const session of account.idleSince(now - SESSION_KEEP_MS)) this.#forget(session)
    for (const session of this.#holding) {
      for (const lane of session.holding) if (now - lane.atMs > REPEAT_MS_MAX) session.releaseLane(lane)
      if (session.holding.size === 0) this.#holding.delete(session)
    }
  }

  /** The space frees every byte of its job: nothing may be held against it any more. */
  dropJob(job: NodeJob): void {
    for (const session of [...(this.#accounts.get(job.id)?.sessions ?? [])]) {
      if (session.job !== job) continue
      if (session.peer === null) this.#forget(session)
      else this.#rebind(session, null)
    }
  }

  /** Null also where the session has seen more than the client knows of, whose memory is older. */
  #known(job: string, { resume, mutations }: Resume): Session | null {
    for (const nonce of resume) {
      const session = this.#sessions.get(nonce)
      if (session?.jobId === job && session.mutations <= mutations) return session
    }
    return null
  }

  #begin(job: string, name: string): Session {
    const session = new Session(job, name)
    this.#makeRoom(job, SESSION_OVERHEAD_BYTES)
    this.#account(job).add(session)
    return session
  }

  /** Of two lanes with one number only one is ever here. Throws `TOO_MANY_REQUESTS` where the job has too many of them. */
  #open(session: Session, number: number): Lane {
    if (!this.#makeRoom(session.jobId, LANE_OVERHEAD_BYTES)) {
      const what =
        'Too many mutations of the job are under way at this node, or have been within the last minute'
      throw new MayflyError('TOO_MANY_REQUESTS', what)
    }
    const lane = session.open(number)
    this.#account(session.jobId).bytes += LANE_OVERHEAD_BYTES
    return lane
  }

  /** False where the job has no room even without the sessions that nobody is connected to. */
  #makeRoom(job: string, bytes: number): boolean {
    const account = this.#account(job)
    if (account.hasRoomFor(bytes)) return true
    for (const session of account.evictionsFor(bytes)) this.#forget(session)
    return this.#account(job).hasRoomFor(bytes)
  }

  #count(session: Session, lane: Lane, { answerBytes }: MutationInfo): void {
    const more = answerBytes - lane.answerBytes
    lane.answerBytes = answerBytes
    session.bytes += more
    this.#account(session.jobId).bytes += more
  }

  /** What the session holds belongs to a space that has ended. */
  #rebind(session: Session, space: NodeJob | null): void {
    session.releaseAll()
    session.job = space
  }

  #forget(session: Session): void {
    const account = this.#account(session.jobId)
    session.releaseAll()
    this.#holding.delete(session)
    this.#sessions.delete(session.nonce)
    account.remove(session)
    if (account.sessions.size === 0) this.#accounts.delete(session.jobId)
  }

  #account(job: string): SessionAccount {
    let account = this.#accounts.get(job)
    if (account === undefined) {
      account = new SessionAccount()
      this.#accounts.set(job, account)
    }
    return account
  }

  #markIdle(session: Session): void {
    session.idleSinceMs = this.#clock.monotonicMs()
    this.#account(session.jobId).disconnected(session)
  }

  #execute<Head>(session: Session, lane: Lane, execute: () => Answer<Head>): Answer<Head> {
    let reply: Answer<Head>
    try {
      reply = execute()
    } catch (error) {
      session.fail(lane, error)
      throw error
    }
    if (!(reply instanceof Promise)) {
      this.#store(session, lane, reply)
      return reply
    }
    session.underWay++
    const outcome: Promise<PinnedReply<Head>> = reply.then(
      (value) => {
        this.#done(session)
        if (lane.isPending(outcome)) this.#store(session, lane, value)
        return value
      },
      (error: unknown) => {
        this.#done(session)
        if (lane.isPending(outcome)) session.fail(lane, error)
        throw error
      },
    )
    lane.begin(outcome)
    return outcome
  }

  /** A session without a connection is kept from here on as long as if it had lost it now. */
  #done(session: Session): void {
    session.underWay--
    if (session.peer === null && this.#sessions.get(session.nonce) === session) this.#markIdle(session)
  }

  #store(session: Session, lane: Lane, reply: PinnedReply<unknown>): void {
    assert(session.job !== null, 'a session that waits for an answer has a space')
    lane.store(session.job, reply)
    if (!lane.holdsMemory) return
    session.holding.add(lane)
    this.#holding.add(session)
    lane.atMs = this.#clock.monotonicMs()
  }
}

/** Per key of an answer about many: its result, and its version. */
const RESULT_BYTES = 16

interface MutationRequest<Request> {
  readonly peer: Peer
  readonly job: NodeJob
  readonly request: Request
}

/** A mutation of one key. */
export function keyMutation(
  operation: { readonly number: number },
  { peer, job, request }: MutationRequest<{ readonly bucket: number; readonly key: Uint8Array }>,
): MutationInfo {
  return {
    peer,
    job,
    operation: operation.number,
    keys: hashKey(request.key, request.bucket),
    answerBytes: 0,
  }
}

/** A mutation of many keys. */
export function keysMutation(
  operation: { readonly number: number },
  { peer, job, request }: MutationRequest<{ readonly bucket: number; readonly keys: readonly Uint8Array[] }>,
): MutationInfo {
  const { bucket, keys } = request
  let hash = bucket
  for (const key of keys) hash = hashKey(key, hash)
  const answerBytes = keys.length * RESULT_BYTES
  return { peer, job, operation: operation.number, keys: hash, answerBytes }
}

/** What came before under this sequence. Throws `PROTOCOL_VIOLATION` if it was something else, or comes twice over one connection. */
function replayOf(
  { session, lane }: { session: Session; lane: Lane },
  sequence: number,
  { operation, keys }: MutationInfo,
): Answer<unknown> {
  if (sequence < lane.sequence) throw unknownOutcome()
  if (operation !== lane.operation || keys !== lane.keys)
    throw violation('a mutation has lane and sequence of another one')
  if (lane.underWay && lane.connection === session.connection)
    throw violation('a mutation that is under way came again')
  lane.connection = session.connection
  return lane.replay()
}
