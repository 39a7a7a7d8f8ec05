import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'

/**
 * Preloaded into a watched process. A timer of one millisecond measures its own delay. On SIGUSR2 the longest delay since the last report, in ms, is written to
 * a file named after the process id.
 */
const RESOLUTION_MS = 1
const NS_PER_MS = 1e6
const dir = process.env.MAYFLY_BENCH_STALLS ?? ''

const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
delay.enable()

process.on('SIGUSR2', () => {
  const ms = Math.max(0, delay.max / NS_PER_MS - RESOLUTION_MS)
  delay.reset()
  const file = join(dir, String(process.pid))
  writeFileSync(`${file}.new`, String(ms))
  renameSync(`${file}.new`, file)
})
