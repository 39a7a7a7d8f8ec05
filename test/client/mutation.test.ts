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

test('I9: a mutation is repeated for a time that counts from when it was first sent, since the node forgets', async () => {
  const clock = new VirtualClock()
  const sentMs = clock.monotonicMs()
  const reached: Deadline[] = []
  const mutation = mutationOf(clock, async (bounds) => {
    reached.push(bounds)
    throw new MayflyError('UNAVAILABLE', 'Nobody is there')
  })
  await clock.advance(REPEAT_MS_MAX - 1)
  const lost = new MayflyError('CONNECTION_LOST', 'The connection broke')
  await expect(mutation.recover(lost)).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' })
  expect(reached.map(({ deadlineMs }) => deadlineMs - sentMs)).toEqual([REPEAT_MS_MAX])
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
