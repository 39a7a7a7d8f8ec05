import { type Runtime, systemRuntime } from '../../protocol/runtime.ts'
import type { Dial } from '../../protocol/transport/link.ts'
import { dialTcp } from '../../protocol/transport/tcp.ts'

/** The clock, randomness and network; replaced by the simulation. */
export interface World {
  readonly runtime: Runtime
  readonly dial: Dial
}

export const realWorld: World = { runtime: systemRuntime, dial: dialTcp }
