import type { Clock } from '../../protocol/runtime.ts'

/** CPU time that this process has taken since it started, in seconds. */
export function cpuSecondsOfProcess(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

/** How many cores this process keeps busy. */
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

  /** CPU seconds for each second since this was last asked. */
  takeCores(): number {
    const nowMs = this.#clock.monotonicMs()
    const cpuSeconds = this.#cpuSeconds()
    const cores = ((cpuSeconds - this.#takenCpuSeconds) * 1000) / Math.max(1, nowMs - this.#takenMs)
    this.#takenMs = nowMs
    this.#takenCpuSeconds = cpuSeconds
    return cores
  }
}
