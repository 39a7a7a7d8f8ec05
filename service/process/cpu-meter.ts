import type { Clock } from '../../protocol/runtime.ts'

/** CPU seconds that this process has used since its start. */
export function cpuSecondsOfProcess(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

/** Measures how many cores this process uses. */
export class CpuMeter {
  readonly #clock: Clock
  readonly #cpuSeconds: () => number
  #takenMs: number
  #takenCpuSeconds: number

  constructor(clock: Clock, cpuSeconds: () => number) {
    this.#clock = clock
    this.#cpuSeconds = cpuSeconds
    this.#takenMs = clock.monotonicMs()
    this.#takenCpuSeconds = cpuSeconds()
  }

  /** Average cores used since the last call. */
  takeCores(): number {
    const nowMs = this.#clock.monotonicMs()
    const cpuSeconds = this.#cpuSeconds()
    const cores = ((cpuSeconds - this.#takenCpuSeconds) * 1000) / Math.max(1, nowMs - this.#takenMs)
    this.#takenMs = nowMs
    this.#takenCpuSeconds = cpuSeconds
    return cores
  }
}
