import { placementCodec } from '../model/placement.ts'
import { array, bytes, flag, struct, text, u8, u16, u32, u64 } from '../wire/codec.ts'
import { operation } from './operation.ts'

/** Operations of clients, except for objects, and those that every connection has. */

const empty = struct<Record<never, never>>({})

/** Sent by the server as the first message of a connection: a request with id 0 and no answer. */
export const challenge = operation(3, { request: struct({ protocol: u16, nonce: bytes }), reply: empty })

/** The fields of a hello without its proof. */
export const helloFields = struct({
  protocol: u16,
  claims: bytes,
  nonce: bytes,
  resume: array(bytes),
  mutations: u64,
})
/** The fields of its answer without the proof. */
export const welcomeFields = struct({ server: text, session: bytes })

/** The client's first message, which answers the challenge. */
export const hello = operation(1, {
  /**
   * `claims` are the token without its MAC; `nonce` is the client's. `resume` lists challenges that the
   * client answered before at this address: the last confirmed one and those after it. `mutations` is the
   * number that it has sent in the session. `proof` shows that the client knows the MAC.
   */
  request: struct({
    protocol: u16,
    claims: bytes,
    nonce: bytes,
    resume: array(bytes),
    mutations: u64,
    proof: bytes,
  }),
  /**
   * `server` is the id of the process. `session` is the resumed or a new session. `proof` shows that the
   * server knows the MAC too.
   */
  reply: struct({ server: text, session: bytes, proof: bytes }),
})

/**
 * Continues the connection with another token of the same job. `proof` shows that the client knows its MAC.
 */
export const renew = operation(4, { request: struct({ claims: bytes, proof: bytes }), reply: empty })

/**
 * The client has given up request `id` of this connection. A parked request fails with `ABORTED` and has
 * changed nothing. `underWay`: it continues and will be answered; otherwise it was answered, or is with
 * `ABORTED` right after this.
 */
export const cancel = operation(2, {
  request: struct({ id: u32 }),
  reply: struct({ underWay: flag }),
})

/**
 * Checks that the peer is alive. Answered at once; by a server with `receipt` if the id is 0. A server may
 * send it too, with id 0, so its number is no error's.
 */
export const ping = operation(240, { request: empty, reply: empty })

/** Sent by a server, with id 0: the number of frames received on the connection. No answer. */
export const receipt = operation(241, { request: struct({ frames: u64 }), reply: empty })

/** Sent by clients, whose token names the job, and by nodes, which name it in `job`. */
export const metadataOperations = {
  /**
   * The job's placement. Held for up to `PLACEMENT_HOLD_MS` while it is not newer than `known`, or while
   * `slot` has no owner (65,535: any slot).
   */
  placement: operation(64, { request: struct({ job: text, known: u32, slot: u16 }), reply: placementCodec }),
  /** The node that owns a key's slot; `node` is empty if none does. */
  locate: operation(65, {
    request: struct({ bucket: text, key: bytes }),
    reply: struct({ epoch: u32, slot: u16, node: text, address: text, tier: u8 }),
  }),
  /** `request` is 16 random bytes, the same in repetitions, which get the first answer. */
  bucketCreate: operation(66, {
    request: struct({ name: text, request: bytes }),
    reply: struct({ id: u32 }),
  }),
  /**
   * Answered after every node of the job has dropped the bucket's objects. `request` as for `bucketCreate`.
   */
  bucketDelete: operation(67, { request: struct({ name: text, request: bytes }), reply: empty }),
  /** `job` as in `placement`. */
  buckets: operation(68, { request: struct({ job: text }), reply: array(struct({ id: u32, name: text })) }),
  /**
   * The metadata server that decides for the job: this one, or the one that it was transferred to. `job` as
   * in `placement`.
   */
  jobServer: operation(69, { request: struct({ job: text }), reply: struct({ metadata: text }) }),
} as const
