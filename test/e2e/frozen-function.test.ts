import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { FunctionProcess } from '../fixture/function-process.ts'
import { open, Planes } from '../fixture/planes.ts'
import { startSwallowingProxy } from '../fixture/swallowing-proxy.ts'

/** From the thaw, or from the call if that is later. */
const RECOVERY_MS = 1_500

async function startFunction() {
  const planes = await Planes.start()
  const node = await planes.startNode()
  const ticket = await planes.createJob('j-1', [node])
  const ports = [node.address, planes.metadataAddress].map((address) => Number(address.split(':')[1]))
  const proxies = await Promise.all(ports.map((port) => startSwallowingProxy(port)))
  const redirects = Object.fromEntries(ports.map((port, index) => [port, proxies[index]?.port as number]))
  const frozen = await FunctionProcess.start(ticket, redirects)
  const swallow = (): void => proxies.forEach((proxy) => void proxy.swallow('requests', 'answers'))
  return { frozen, swallow, direct: await open(ticket) }
}

test('the calls of a function that was thawed, whose connections were forgotten meanwhile, succeed soon', async () => {
  const { frozen, swallow, direct } = await startFunction()
  await frozen.call('put', 'k', 'v')
  await frozen.call('append', 'log', 'a')
  for (const method of ['get', 'append', 'consume'] as const) {
    await frozen.freeze(2_000, swallow)
    const call = {
      get: () => frozen.call('get', 'k'),
      append: () => frozen.call('append', 'log', 'b'),
      consume: () => frozen.call('get', 'k', { consume: true }),
    }[method]
    const { result, ms } = await call()
    expect(result).toBe({ get: 'v', append: 2, consume: 'v' }[method])
    expect(ms).toBeLessThan(RECOVERY_MS)
  }
  expect((await direct.get('log')).toString()).toBe('ab')
  expect(await direct.exists('k')).toBe(false)
})

test('calls that were under way when a function was frozen and its connections forgotten are answered soon after the thaw, each applied once', async () => {
  const { frozen, swallow, direct } = await startFunction()
  await frozen.call('append', 'log', 'a')
  // The answer to the one call and the request of the other are lost.
  const waiting = frozen.call('get', 'late', { consume: true, waitSeconds: 60 })
  await sleep(200)
  await frozen.freeze(3_000, async () => {
    await direct.put('late', 'here')
    swallow()
  })
  const thawMs = performance.now()
  const append = frozen.call('append', 'log', 'b')
  expect((await waiting).result).toBe('here')
  expect((await append).result).toBe(2)
  expect(performance.now() - thawMs).toBeLessThan(RECOVERY_MS)
  expect((await direct.get('log')).toString()).toBe('ab')
  expect(await direct.exists('late')).toBe(false)
})

test('an answer that arrived while a function was frozen counts, though its deadline passed meanwhile as well', async () => {
  const { frozen, direct } = await startFunction()
  // On a busy machine the first connection takes longer than the pause before the freeze.
  await frozen.call('append', 'log', 'a')
  for (let round = 0; round < 6; round++) {
    const waiting = frozen.call('get', 'late', { consume: true, waitSeconds: 1.2, deadlineMs: 1 })
    await sleep(100)
    await frozen.freeze(1_400, () => direct.put('late', 'here'))
    expect(await waiting).toMatchObject({ result: 'here' })
  }
})
