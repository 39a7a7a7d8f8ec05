import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { processTree } from '../../bench/probes/process-stat.ts'
import { isRunning } from '../fixture/mayfly-up.ts'
import { tempDir } from '../fixture/temp-dir.ts'

const command = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

test('a cluster whose terminal is gone goes on, and its messages raise no errors', async () => {
  const dir = await tempDir()
  const raised = join(dir, 'raised')
  const count = `import { appendFileSync } from 'node:fs'
    process.on('uncaughtExceptionMonitor', (error) => appendFileSync(${JSON.stringify(raised)}, error + '\\n'))`
  const up = spawn(process.execPath, [command, 'up', '--port', '0', '--dir', join(dir, 'state'), '--json'], {
    env: { ...process.env, NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(count)}` },
  })
  try {
    const [line] = await once(createInterface({ input: up.stdout }), 'line')
    const { url } = JSON.parse(line) as { url: string }
    up.stdout.destroy()
    up.stderr.destroy()
    const servers = (await processTree(up.pid as number)).filter((pid) => pid !== up.pid)
    for (const pid of servers) process.kill(pid, 'SIGKILL')
    const isServed = (): Promise<boolean> =>
      fetch(`${url}/healthz`)
        .then(({ ok }) => ok)
        .catch(() => false)
    await expect.poll(isServed, { timeout: 60_000 }).toBe(true)
    expect(existsSync(raised)).toBe(false)
  } finally {
    const pids = await processTree(up.pid as number)
    up.kill('SIGKILL')
    // Its servers end by themselves, and write into the folder until then.
    await expect.poll(() => pids.filter(isRunning)).toEqual([])
  }
})
