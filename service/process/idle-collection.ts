import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Clock } from '../../protocol/runtime.ts'
import { CpuMeter, cpuSecondsOfProcess } from './cpu-meter.ts'

const LOOK_MS = 2_000
/** A process that used less of a core since the last look is idle. Heartbeats take about 0.5 %. */
const IDLE_CORES_MAX = 0.03
/** A process that used less than this allocates so slowly that V8 does not collect for minutes. */
const QUIET_CORES_MAX = 0.2
/** A process with less memory is not looked at. */
const USED_BYTES_MIN = 64 * 1024 * 1024
/** A collection that frees less was not worth it. */
const FREED_BYTES_MIN = 16 * 1024 * 1024
/** Growth since the last collection for which a process that is not idle is interrupted. */
const QUIET_GROWTH_BYTES_MIN = 64 * 1024 * 1024
/** Pause after a collection, doubled after each that frees too little. */
const PAUSE_MS_MIN = 30_000
const PAUSE_MS_MAX = 15 * 60_000

/**
 * Collects garbage while the process is idle. V8 collects only when a process allocates, so a process that was busy before would retain its
 * garbage, such as buffers of disconnected clients. A collection takes tens of milliseconds.
 */
export function collectWhenIdle(clock: Clock, cpuSecondsUsed = cpuSecondsOfProcess): void {
  const cpu = new CpuMeter(clock, cpuSecondsUsed)
  let collect: (() => void) | null = null
  let leastBytes = 0
  let pauseMs = PAUSE_MS_MIN
  let notBeforeMs = 0
  /** Bytes in use before the last collection; null once a later look has compared them, because another thread frees buffers after the collection. */
  let usedBefore: number | null = null
  const look = (): void => {
    const cores = cpu.takeCores()
    const bytes = usedBytes()
    const nowMs = clock.monotonicMs()
    if (usedBefore !== null) {
      leastBytes = bytes
      pauseMs = usedBefore - bytes < FREED_BYTES_MIN ? Math.min(2 * pauseMs, PAUSE_MS_MAX) : PAUSE_MS_MIN
      notBeforeMs = nowMs + pauseMs
      usedBefore = null
    }
    const mayBeWorthIt = bytes >= leastBytes + FREED_BYTES_MIN || nowMs >= notBeforeMs
    const isQuietAndGrown = cores < QUIET_CORES_MAX && bytes >= leastBytes + QUIET_GROWTH_BYTES_MIN
    const isDue = (cores < IDLE_CORES_MAX && mayBeWorthIt) || isQuietAndGrown
    if (isDue && bytes >= USED_BYTES_MIN) {
      collect ??= exposedCollection()
      collect()
      usedBefore = bytes
      // The time of the collection itself does not count.
      cpu.takeCores()
    }
    clock.after(LOOK_MS, look).unref()
  }
  clock.after(LOOK_MS, look).unref()
}

function usedBytes(): number {
  const { used_heap_size: heapBytes, external_memory: externalBytes } = getHeapStatistics()
  return heapBytes + externalBytes
}

/** V8's full garbage collection, which `--expose-gc` would expose too. */
function exposedCollection(): () => void {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc')
}
