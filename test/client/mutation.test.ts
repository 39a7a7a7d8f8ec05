import { expect, test } from 'vitest'
import type { Deadline } from '../../client/routing/deadline.ts'
import { Lanes } from '../../client/routing/lanes.ts'
import { Mutation } from '../../client/routing/mutation.ts'
import { MayflyError } from '../../protocol/errors.ts'
import { REPEAT_MS_MAX } from '../../protocol/limits.ts'
import { dataOperations } from '../../protocol/operations/data-operations.ts'
import type { Caller } from '../../protocol/transport/caller.ts'
import { SESSION_KEEP_MS } from '../../storage-node/limits.ts'
import { VirtualClock } from '../controller/support/virtual-clock.ts'

const owner = { id: 'n-1', address: '127.0.0.1:1' }

test('I9: a mutation is repeated for a time that counts from when it was first sent, since the node forgets', async () => {
  const clock = new VirtualClock()
  const sentMs = clock.monotonicMs()
  const reached: Deadline[] = []
  const mutation = new Mutation({
    operation: dataOperations.delete,
    call: {
      request: (sent) => ({ ...sent, bucket: 0, key: Buffer.from('k') }),
      deadlineMs: sentMs + 10 * REPEAT_MS_MAX,
    },
    caller: { closed: true, beginMutation: () => undefined } as Caller,
    owner,
    epoch: 1,
    sequencer: new Lanes(clock),
    clock,
    tell: () => undefined,
    reach: async (_, bounds) => {
      reached.push(bounds)
      throw new MayflyError('UNAVAILABLE', 'Nobody is there')
    },
  })
  await clock.advance(REPEAT_MS_MAX - 1)
  const lost = new MayflyError('CONNECTION_LOST', 'The connection broke')
  await expect(mutation.recover(lost)).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' })
  expect(reached.map(({ deadlineMs }) => deadlineMs - sentMs)).toEqual([REPEAT_MS_MAX])
  expect(REPEAT_MS_MAX).toBeLessThan(SESSION_KEEP_MS)
})
