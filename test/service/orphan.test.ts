import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { tempDir } from '../fixture/temp-dir.ts'

const program = new URL('../../dist/metadata/main.js', import.meta.url).pathname

/** A metadata server that this process supervises. */
async function startSupervised(): Promise<ChildProcess> {
  const dir = await tempDir()
  const secret = join(dir, 'secret')
  await writeFile(secret, 'ab'.repeat(32), { mode: 0o600 })
  const child = fork(program, {
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    env: {
      MAYFLY_METADATA_ID: 'm-1',
      MAYFLY_DIR: dir,
      MAYFLY_CONTROLLER_URL: 'http://127.0.0.1:1',
      MAYFLY_SECRET_FILE: secret,
    },
  })
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  })
  return child
}

test('a plane that serves stops when its supervisor is gone', async () => {
  const child = await startSupervised()
  const exited = once(child, 'exit')
  await once(child, 'message')
  child.disconnect()
  expect(await exited).toEqual([0, null])
})

test.each([0, 50, 100, 150, 200, 300, 400])(
  'a plane whose supervisor is gone %i ms after it started it ends, wherever it was',
  async (ms) => {
    const child = await startSupervised()
    const exited = once(child, 'exit')
    await sleep(ms)
    child.disconnect()
    const [code, signal] = await exited
    expect([0, 1]).toContain(code)
    expect(signal).toBe(null)
  },
)
