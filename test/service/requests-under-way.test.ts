import { expect, test } from 'vitest'
import { RequestsUnderWay } from '../../service/server/requests-under-way.ts'

/** The error with which a parked request is told to end, if any. */
async function toldAfter(prepare: (requests: RequestsUnderWay) => void): Promise<string | null> {
  const requests = new RequestsUnderWay()
  requests.begin(7)
  prepare(requests)
  let told: string | null = null
  requests.park(7, ({ code }) => {
    told = code
  })
  await Promise.resolve()
  return told
}

test('I24: a request that parks after its connection is gone is told so: it never outlives it', async () => {
  expect(await toldAfter((requests) => requests.breakOff())).toBe('CONNECTION_LOST')
})

test('a request that was given up before it parks is told so then', async () => {
  expect(await toldAfter((requests) => void requests.cancel(7))).toBe('ABORTED')
  expect(await toldAfter((requests) => void requests.cancel(8))).toBeNull()
})

test('what was given up and answered is forgotten with its id', async () => {
  const told = await toldAfter((requests) => {
    requests.cancel(7)
    requests.end(7)
    requests.begin(7)
  })
  expect(told).toBeNull()
})
