import type { Client } from '../clients/client.ts'
import { Samples } from '../probes/samples.ts'
import { type Lanes, runLanes } from './lanes.ts'
import type { Tallied } from './tally.ts'

export type Operation = 'put' | 'get' | 'mixed'

export interface CallsParams extends Lanes {
  readonly operation: Operation
  readonly objects: number
  readonly objectBytes: number
}

export interface FillParams {
  readonly objects: number
  readonly objectBytes: number
  readonly outstanding: number
}

/** Puts, gets, or both in equal parts, of random objects that `fill` has put. */
export async function calls(client: Client, params: CallsParams): Promise<Tallied> {
  const { operation, objects, objectBytes } = params
  const samples = samplesOf(objectBytes)
  return await runLanes(params, async () => {
    const number = Math.floor(Math.random() * objects)
    const isPut = operation === 'put' || (operation === 'mixed' && Math.random() < 0.5)
    if (isPut) await client.put(keyOf(objectBytes, number), samples.of(number, objectBytes))
    else await getAndCheck(client, samples, { number, objectBytes })
    return objectBytes
  })
}

/** Puts every object once. */
export async function fill(client: Client, params: FillParams): Promise<void> {
  const { objects, objectBytes, outstanding } = params
  const samples = samplesOf(objectBytes)
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < objects) {
      const number = next++
      await client.put(keyOf(objectBytes, number), samples.of(number, objectBytes))
    }
  }
  await Promise.all(Array.from({ length: outstanding }, lane))
}

/** Rejects if the value differs from what `fill` has put. */
export async function getAndCheck(
  client: Client,
  samples: Samples,
  { number, objectBytes }: { number: number; objectBytes: number },
): Promise<void> {
  const wrong = samples.wrong(await client.get(keyOf(objectBytes, number)), number, objectBytes)
  if (wrong !== null) throw new Error(wrong)
}

export function keyOf(objectBytes: number, number: number): string {
  return `${objectBytes}/${number}`
}

let last = { objectBytes: -1, samples: new Samples(0) }

/** Made once per size, because the caller's clock is already running. */
export function samplesOf(objectBytes: number): Samples {
  if (last.objectBytes !== objectBytes) last = { objectBytes, samples: new Samples(objectBytes) }
  return last.samples
}
