import { expect, test } from 'vitest'
import type { Deadline } from '../../client/routing/deadline.ts'
import { Lanes } from '../../client/routing/lanes.ts'
import { Mutation } from '../../client/routing/mutation.ts'
import { MayflyError } from '../../protocol/errors.ts'
import { REPEAT_MS_MAX } from '../../protocol/limits.ts'
import { dataOperations } from '../../protocol/operations/data-operations.ts'
import { neverSent, tooLate } from '../../protocol/transport/call.ts'
import type { Caller } from '../../protocol/transport/caller.ts'
import { SESSION_KEEP_MS } from '../../storage-node/limits.ts'
import { VirtualClock } from '../controller/support/virtual-clock.ts'

const owner = { id: 'n-1', address: '127.0.0.1:1' }

function mutationOf(clock: VirtualClock, reach: (bounds: Deadline) => Promise<Caller>) {
  return new Mutation({
    operation: dataOperations.delete,
    call: {
      request: (sent) => ({ ...sent, bucket: 0, key: Buffer.from('k') }),
      deadlineMs: clock.monotonicMs() + 10 * REPEAT_MS_MAX,
    },
    caller: { closed: true, beginMutation: () => undefined } as Caller,
    owner,
    epoch: 1,
    sequencer: new Lanes(clock),
    clock,
    tell: () => undefined,
    reach: (_, bounds) => reach(bounds),
  })
}

test('I9: a mutation is repeated for a time that counts from each loss of its connection, within its deadline', async () => {
  const clock = new VirtualClock()
  const deadlineMs = 10 * REPEAT_MS_MAX
  const reached: number[] = []
  const lost = new MayflyError('CONNECTION_LOST', 'The connection broke')
  const passMs = [5 * REPEAT_MS_MAX, REPEAT_MS_MAX * 1.5]
  const again = {
    session: undefined,
    call: async () => {
      clock.jump(passMs.shift() ?? 0)
      throw lost
    },
  } as unknown as Caller
  const mutation = mutationOf(clock, async (bounds) => {
    reached.push(bounds.deadlineMs)
    if (passMs.length > 0) return again
    throw new MayflyError('UNAVAILABLE', 'Nobody is there')
  })
  clock.jump(3 * REPEAT_MS_MAX)
  await expect(mutation.recover(lost)).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' })
  expect(reached).toEqual([4 * REPEAT_MS_MAX, 9 * REPEAT_MS_MAX, deadlineMs])
  expect(REPEAT_MS_MAX).toBeLessThan(SESSION_KEEP_MS)
})

test('I9: a mutation whose deadline passed before it was sent was not carried out, unless it is a repetition', async () => {
  const clock = new VirtualClock()
  const never = () => Promise.reject(new Error('it is not repeated'))
  await expect(mutationOf(clock, never).recover(neverSent())).rejects.toMatchObject({
    code: 'DEADLINE_EXCEEDED',
  })
  await expect(mutationOf(clock, never).recover(tooLate())).rejects.toMatchObject({
    code: 'OUTCOME_UNKNOWN',
  })
  const again = { session: undefined, call: () => Promise.reject(neverSent()) } as unknown as Caller
  const lost = new MayflyError('CONNECTION_LOST', 'The connection broke')
  await expect(mutationOf(clock, async () => again).recover(lost)).rejects.toMatchObject({
    code: 'OUTCOME_UNKNOWN',
  })
})
