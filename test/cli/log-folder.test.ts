import {
  appendFileSync,
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { FAILED_LOGS_MAX, LOG_BYTES_MAX, LOG_LOOK_MS, LogFolder } from '../../cli/up/log-folder.ts'
import { VirtualClock } from '../controller/support/virtual-clock.ts'
import { tempDir } from '../fixture/temp-dir.ts'

test('a log that has grown too large is copied and emptied, and its process goes on in the same file', async () => {
  const clock = new VirtualClock()
  const logs = new LogFolder(await tempDir(), clock)
  logs.watch()
  const path = logs.open('n-1')
  const fd = openSync(path, 'a', 0o600)
  writeSync(fd, Buffer.alloc(LOG_BYTES_MAX, 'a'))
  await clock.advance(LOG_LOOK_MS)
  expect(existsSync(`${path}.1`)).toBe(false)
  writeSync(fd, 'b')
  await clock.advance(LOG_LOOK_MS)
  expect(statSync(`${path}.1`).size).toBe(LOG_BYTES_MAX + 1)
  writeSync(fd, 'after')
  closeSync(fd)
  expect(readFileSync(path, 'utf8')).toBe('after')
  logs.stop()
})

test('logs of nodes that failed stay, of the newest ones alone; those of nodes that stopped as asked go', async () => {
  const dir = await tempDir()
  const logs = new LogFolder(dir, new VirtualClock())
  for (let node = 0; node <= FAILED_LOGS_MAX; node++) {
    appendFileSync(logs.open(`n-${node}`), 'why')
    logs.ended(`n-${node}`, { failed: true })
  }
  expect(existsSync(join(dir, 'n-0.log'))).toBe(false)
  expect(existsSync(join(dir, 'n-1.log'))).toBe(true)
  writeFileSync(logs.open('n-stopped'), 'x')
  logs.ended('n-stopped', { failed: false })
  expect(existsSync(join(dir, 'n-stopped.log'))).toBe(false)
})
