import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { expect, test } from 'vitest'
import { tempDir } from '../fixture/temp-dir.ts'

const command = new URL('../../dist/cli/main.js', import.meta.url).pathname

test('the demo counts right with far less RAM than data, has most of it on SSD meanwhile, and leaves neither bytes nor files', async () => {
  const dir = await tempDir()
  const child = spawn(process.execPath, [command, 'demo', '--ram-mib', '32'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, TMPDIR: dir },
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (piece: string) => {
    output += piece
  })
  expect(await once(child, 'close')).toEqual([0, null])
  expect(output).toContain('a single process counts the same, word for word')
  expect(output).toContain('bytes left after clean-up: 0')
  const [, ram, ssd] = /at a time: ([\d.]+) MiB in ram, ([\d.]+) MiB in ssd/.exec(output) ?? []
  expect(Number(ram)).toBeLessThanOrEqual(32)
  expect(Number(ssd)).toBeGreaterThan(48)
  expect(readdirSync(dir)).toEqual([])
}, 240_000)
