import { expect, test } from 'vitest'
import { MayflyError } from '../../../protocol/errors.ts'
import type { Peer } from '../../../service/server/peer.ts'
import type { NodeJob } from '../../../storage-node/job/job.ts'
import { SESSION_KEEP_MS, SESSIONS_BYTES_MAX } from '../../../storage-node/limits.ts'
import type { PinnedReply } from '../../../storage-node/memory/pinned-reply.ts'
import { Sessions } from '../../../storage-node/sessions/sessions.ts'
import { VirtualClock } from '../../controller/support/virtual-clock.ts'

const job = { id: 'j-1', charge: () => undefined } as unknown as NodeJob
const OPERATION = 27

function start() {
  const clock = new VirtualClock()
  const sessions = new Sessions(clock)
  let nonces = 0
  const connect = (resume: readonly string[] = [], mutations = 1_000_000) => {
    const nonce = (++nonces).toString(16).padStart(32, '0')
    const peer: Peer = {
      claims: { version: 1, job: 'j-1', read: true, write: true, expiresSeconds: 0, prefix: Buffer.alloc(0) },
      session: null,
      sessionName: nonce,
      whenGone: () => () => undefined,
      expects: () => () => undefined,
      end: () => undefined,
    }
    const name = sessions.join(peer, { nonce, resume, mutations })
    const run = (
      lane: number,
      sequence: number,
      execute: () => PinnedReply<number> | Promise<PinnedReply<number>>,
    ) =>
      sessions.run(
        { operation: { number: OPERATION }, keysOf: () => 1, answerBytesOf: () => 0, execute },
        { peer, job, request: { lane, sequence } },
      )
    return { peer, nonce, name, run }
  }
  const passMs = async (ms: number) => {
    for (let left = ms; left > 0; left -= 1_000) {
      await clock.advance(1_000)
      sessions.sweep()
    }
  }
  return { sessions, connect, passMs }
}

const never = () => {
  throw new Error('it is carried out twice')
}

test('a mutation that is under way for longer than sessions are kept is answered, and once more where the answer was lost', async () => {
  const { sessions, connect, passMs } = start()
  const first = connect()
  let finish: (reply: PinnedReply<number>) => void = () => undefined
  const answer = first.run(
    0,
    1,
    () =>
      new Promise((resolve) => {
        finish = resolve
      }),
  )
  await passMs(2 * SESSION_KEEP_MS)
  sessions.leave(first.peer)
  await passMs(2 * SESSION_KEEP_MS)
  finish({ head: 42 })
  expect(await answer).toEqual({ head: 42 })
  await passMs(SESSION_KEEP_MS - 2_000)
  const second = connect([first.nonce])
  expect(second.name).toBe(first.name)
  expect(second.run(0, 1, never)).toEqual({ head: 42 })
})

test('a session that only waits, with its connection open, is kept', async () => {
  const { connect, passMs } = start()
  const first = connect()
  first.run(0, 1, () => ({ head: 1 }))
  await passMs(3 * SESSION_KEEP_MS)
  expect(first.run(0, 1, never)).toEqual({ head: 1 })
})

test('a session without a connection is forgotten after its time, and its client learns that', async () => {
  const { sessions, connect, passMs } = start()
  const first = connect()
  first.run(0, 1, () => ({ head: 1 }))
  sessions.leave(first.peer)
  await passMs(SESSION_KEEP_MS + 2_000)
  expect(connect([first.nonce]).name).not.toBe(first.name)
})

test('an error that is kept for its repetition is its code and reason, without the error that was thrown', () => {
  const { connect } = start()
  const first = connect()
  const thrown = new MayflyError('CAPACITY_EXCEEDED', 'The job is full')
  const fail = () => {
    throw thrown
  }
  expect(() => first.run(0, 1, fail)).toThrow(thrown)
  let again: unknown
  try {
    first.run(0, 1, never)
  } catch (error) {
    again = error
  }
  expect(again).toMatchObject({ code: 'CAPACITY_EXCEEDED', reason: 'The job is full' })
  expect(again).not.toBe(thrown)
})

test('I22: what the sessions of a job take is bounded: those without a connection go first, then lanes are refused', () => {
  const { sessions, connect } = start()
  const gone = connect()
  gone.run(0, 1, () => ({ head: 1 }))
  sessions.leave(gone.peer)
  const living = Array.from({ length: 4 }, () => connect())
  const lanesMax = SESSIONS_BYTES_MAX / 256
  let opened = 0
  try {
    for (; opened < lanesMax; opened++) {
      living[opened % 4]?.run(Math.floor(opened / 4), 1, () => ({ head: 1 }))
    }
  } catch (error) {
    expect(error).toMatchObject({ code: 'TOO_MANY_REQUESTS' })
  }
  expect(opened).toBeGreaterThan(65_536)
  expect(opened).toBeLessThan(lanesMax)
  expect(connect([gone.nonce]).name).not.toBe(gone.name)
  // Open lanes continue.
  expect(living[0]?.run(0, 2, () => ({ head: 2 }))).toEqual({ head: 2 })
})
