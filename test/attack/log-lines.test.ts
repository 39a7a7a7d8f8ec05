import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { hello } from '../../protocol/operations/control-operations.ts'
import { LINES_BURST, LINES_PER_SECOND } from '../../service/process/log-limit.ts'
import { PlaneProcesses } from '../fixture/plane-processes.ts'
import { frameBytes, RawConnection } from '../fixture/raw-connection.ts'

const STRANGERS = 400

test('connections that are refused one after another are logged at a bounded rate, and the log says how many lines it left out', async () => {
  const planes = await PlaneProcesses.start()
  const metadata = await planes.startMetadata()
  const lines = () =>
    metadata
      .log()
      .split('\n')
      .filter((line) => line.includes('"msg":"connection refused"'))
      .map((line) => JSON.parse(line) as { suppressed?: number })
  const request = {
    protocol: 9_999,
    claims: Buffer.alloc(8),
    nonce: Buffer.alloc(16),
    resume: [],
    mutations: 0,
  }
  const frame = await frameBytes(1, hello, { ...request, proof: Buffer.alloc(32) })
  const come = async (): Promise<void> => {
    const stranger = await RawConnection.open(metadata.address)
    stranger.send(frame)
    await stranger.closed
  }
  const beganMs = performance.now()
  for (let index = 0; index < STRANGERS; index++) await come()
  // A place for the next line, which says how many were left out.
  await sleep(1_000 / LINES_PER_SECOND)
  await come()
  await expect.poll(() => lines().some(({ suppressed = 0 }) => suppressed > 0)).toBe(true)
  const most = LINES_BURST + 1 + ((performance.now() - beganMs) / 1_000) * LINES_PER_SECOND
  expect(lines().length).toBeGreaterThanOrEqual(LINES_BURST)
  expect(lines().length).toBeLessThanOrEqual(most)
})
