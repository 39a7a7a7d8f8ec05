import { expect, test } from 'vitest'
import { MayflyError } from '../../../protocol/errors.ts'
import { CircuitBreaker } from '../../../service/s3/circuit-breaker.ts'
import { S3_FAILURES_MAX, S3_OPEN_MS } from '../../../service/s3/s3-limits.ts'
import { VirtualClock } from '../../controller/support/virtual-clock.ts'

const fail = (code: 'UNAVAILABLE' | 'NOT_FOUND') => async (): Promise<never> => {
  throw new MayflyError(code, 'as the test wants it')
}
const succeed = async (): Promise<string> => 'answer'

/** How many of the calls reached the endpoint. */
async function reached(breaker: CircuitBreaker, calls: number): Promise<number> {
  let count = 0
  for (let call = 0; call < calls; call++) {
    const outcome = breaker.run(async () => {
      count++
      throw new MayflyError('UNAVAILABLE', 'down')
    })
    await expect(outcome).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  }
  return count
}

test('calls go through until enough have failed in a row; then none does', async () => {
  const breaker = new CircuitBreaker('the endpoint', new VirtualClock())
  expect(await reached(breaker, S3_FAILURES_MAX + 10)).toBe(S3_FAILURES_MAX)
  expect(breaker.open).toBe(true)
})

test('an answer, also a refusal, ends the row of failures', async () => {
  const breaker = new CircuitBreaker('the endpoint', new VirtualClock())
  await reached(breaker, S3_FAILURES_MAX - 1)
  await expect(breaker.run(fail('NOT_FOUND'))).rejects.toMatchObject({ code: 'NOT_FOUND' })
  expect(await reached(breaker, S3_FAILURES_MAX - 1)).toBe(S3_FAILURES_MAX - 1)
  expect(breaker.open).toBe(false)
})

test('after a while one call is let through, and only one', async () => {
  const clock = new VirtualClock()
  const breaker = new CircuitBreaker('the endpoint', clock)
  await reached(breaker, S3_FAILURES_MAX)
  clock.jump(S3_OPEN_MS)
  let answer: (text: string) => void = () => undefined
  const probe = breaker.run(() => new Promise<string>((resolve) => (answer = resolve)))
  await expect(breaker.run(succeed)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  answer('up again')
  expect(await probe).toBe('up again')
  expect(await breaker.run(succeed)).toBe('answer')
})

test('a probe that fails shuts the way again', async () => {
  const clock = new VirtualClock()
  const breaker = new CircuitBreaker('the endpoint', clock)
  await reached(breaker, S3_FAILURES_MAX)
  clock.jump(S3_OPEN_MS)
  await expect(breaker.run(fail('UNAVAILABLE'))).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  expect(await reached(breaker, 3)).toBe(0)
  clock.jump(S3_OPEN_MS)
  expect(await breaker.run(succeed)).toBe('answer')
})
