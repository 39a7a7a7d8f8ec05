import { assert } from '../../protocol/assert.ts'
import { MayflyError } from '../../protocol/errors.ts'
import { REPEAT_MS_MAX } from '../../protocol/limits.ts'
import { hashKey, hashRange } from '../../protocol/model/hash.ts'
import type { Clock } from '../../protocol/runtime.ts'
import { ByteColumn, type ByteStrings } from '../../protocol/wire/columns.ts'
import { violation } from '../../protocol/wire/reader.ts'
import type { ClientSessions, Peer, Resume } from '../../service/server/peer.ts'
import type { NodeJob } from '../job/job.ts'
import { LANE_OVERHEAD_BYTES, SESSION_KEEP_MS, SESSION_OVERHEAD_BYTES } from '../limits.ts'
import type { PinnedReply } from '../memory/pinned-reply.ts'
import { type Lane, unknownOutcome } from './lane.ts'
import { Session } from './session.ts'
import { SessionAccount } from './session-account.ts'

/** Identifies a mutation within its session. */
export interface Sequenced {
  readonly lane: number
  readonly sequence: number
}

/** A mutation that a peer asks for. */
export interface MutationRequest<Request> {
  readonly peer: Peer
  /** The job that its bytes are charged to. */
  readonly job: NodeJob
  readonly request: Request
}

type Answer<Head> = PinnedReply<Head> | Promise<PinnedReply<Head>>

/** A kind of mutation. */
export interface Mutation<Call extends MutationRequest<unknown>, Head> {
  readonly operation: { readonly number: number }
  /** A hash of the keys of a request. */
  readonly keysOf: (request: Call['request']) => number
  /** Bytes of the answer to a request besides its lane; 0 if the answer is a few numbers. */
  readonly answerBytesOf: (request: Call['request']) => number
  readonly execute: (call: Call) => Answer<Head>
}

/**
 * Stores answers of mutations, so that clients may repeat them after a broken connection. A repetition gets
 * the stored answer before anything else is checked: nothing is done twice, wherever the slot is by now.
 *
 * A session has one connection at a time and is identified by that connection's challenge. A client that
 * names the challenge resumes the session on a new connection, which closes the old one. Of two clients with
 * the same memory the first to reconnect gets the session; the other's challenge is unknown, and it starts a
 * new session.
 */
export class Sessions implements ClientSessions {
  readonly #clock: Clock
  /** By the challenge of their latest connection. */
  readonly #sessions = new Map<string, Session>()
  /** By job. */
  readonly #accounts = new Map<string, SessionAccount>()
  readonly #holding = new Set<Session>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Sessions that are known, with a connection or without. */
  get count(): number {
    return this.#sessions.size
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

  /** Runs a mutation at most once. */
  run<Call extends MutationRequest<Sequenced>, Head>(
    mutation: Mutation<Call, Head>,
    call: Call,
  ): Answer<Head> {
    const { request } = call
    const { sequence } = request
    const session = call.peer.session as Session
    if (session.job !== call.job) this.#rebind(session, call.job)
    const lane = session.lanes[request.lane] ?? this.#open(session, request.lane)
    const operation = mutation.operation.number
    const keys = mutation.keysOf(request)
    if (sequence <= lane.sequence)
      return replayOf({ session, lane }, { sequence, operation, keys }) as Answer<Head>
    session.releaseLane(lane)
    lane.sequence = sequence
    lane.operation = operation
    lane.keys = keys
    lane.connection = session.connection
    session.mutations++
    const answerBytes = mutation.answerBytesOf(request)
    if (lane.answerBytes !== answerBytes) this.#count(session, lane, answerBytes)
    return this.#execute(session, lane, mutation, call)
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

  /** Frees consumed bytes after their retention time and forgets idle sessions. */
  sweep(): void {
    const now = this.#clock.monotonicMs()
    for (const account of this.#accounts.values())
      for (const session of account.idleSince(now - SESSION_KEEP_MS)) this.#forget(session)
    for (const session of this.#holding) {
      for (const lane of session.holding) if (now - lane.atMs > REPEAT_MS_MAX) session.releaseLane(lane)
      if (session.holding.size === 0) this.#holding.delete(session)
    }
  }

  /** Drops everything that is charged to a job that ends here. */
  dropJob(job: NodeJob): void {
    for (const session of [...(this.#accounts.get(job.id)?.sessions ?? [])]) {
      if (session.job !== job) continue
      if (session.peer === null) this.#forget(session)
      else this.#rebind(session, null)
    }
  }

  /** Null also if the session has more mutations than the client knows of: the client's memory is older. */
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

  /** Opens a lane. Throws `TOO_MANY_REQUESTS` if the job has too many. */
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

  /** False if the job has no room even after evicting disconnected sessions. */
  #makeRoom(job: string, bytes: number): boolean {
    const account = this.#account(job)
    if (account.hasRoomFor(bytes)) return true
    for (const session of account.evictionsFor(bytes)) this.#forget(session)
    return this.#account(job).hasRoomFor(bytes)
  }

  #count(session: Session, lane: Lane, answerBytes: number): void {
    const more = answerBytes - lane.answerBytes
    lane.answerBytes = answerBytes
    session.bytes += more
    this.#account(session.jobId).bytes += more
  }

  /** Releases answers that are charged to a job that has ended here. */
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

  #execute<Call extends MutationRequest<Sequenced>, Head>(
    session: Session,
    lane: Lane,
    mutation: Mutation<Call, Head>,
    call: Call,
  ): Answer<Head> {
    let reply: Answer<Head>
    try {
      reply = mutation.execute(call)
    } catch (error) {
      session.fail(lane, error)
      throw error
    }
    if (!(reply instanceof Promise)) {
      this.#store(session, lane, reply)
      return reply
    }
    return this.#await(session, lane, reply)
  }

  #await<Head>(session: Session, lane: Lane, reply: Promise<PinnedReply<Head>>): Answer<Head> {
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

  /** A session without a connection is retained from here on as if it had just disconnected. */
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

/** Bytes per key of a batch's answer: result and version. */
const RESULT_BYTES = 16

/** The request of a mutation of one key. */
interface KeyRequest {
  readonly bucket: number
  readonly key: Uint8Array
}

/** The request of a mutation of many keys. */
interface KeysRequest {
  readonly bucket: number
  readonly keys: ByteStrings
}

export const oneKey = {
  keysOf: ({ key, bucket }: KeyRequest): number => hashKey(key, bucket),
  answerBytesOf: (): number => 0,
}

export const manyKeys = {
  keysOf: ({ bucket, keys }: KeysRequest): number => {
    if (keys instanceof ByteColumn) return hashRange(keys.memory, keys.begin, keys.end - keys.begin, bucket)
    let hash = bucket
    for (const key of keys) hash = hashKey(key, hash)
    return hash
  },
  answerBytesOf: ({ keys }: KeysRequest): number => keys.length * RESULT_BYTES,
}

/**
 * The stored answer. Throws `PROTOCOL_VIOLATION` if the sequence belonged to another mutation, or arrives
 * twice on one connection.
 */
function replayOf(
  { session, lane }: { session: Session; lane: Lane },
  { sequence, operation, keys }: { sequence: number; operation: number; keys: number },
): Answer<unknown> {
  if (sequence < lane.sequence) throw unknownOutcome()
  if (operation !== lane.operation || keys !== lane.keys)
    throw violation('a mutation has lane and sequence of another one')
  if (lane.underWay && lane.connection === session.connection)
    throw violation('a mutation that is under way came again')
  lane.connection = session.connection
  return lane.replay()
}
