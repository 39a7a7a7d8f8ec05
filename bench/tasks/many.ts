import type { Client } from '../clients/client.ts'
import { keyOf, samplesOf } from './calls.ts'
import { type Lanes, runLanes } from './lanes.ts'
import type { Tallied } from './tally.ts'

export interface ManyParams extends Lanes {
  readonly operation: 'putMany' | 'getMany'
  /** Keys of one call. */
  readonly keys: number
  /** Number of groups of `keys` keys, all put by `fill`. */
  readonly groups: number
  readonly objectBytes: number
}

/** Calls that put or get many objects at once. */
export async function many(client: Client, params: ManyParams): Promise<Tallied> {
  const { operation, keys, groups, objectBytes } = params
  const samples = samplesOf(objectBytes)
  return await runLanes(params, async () => {
    const from = keys * Math.floor(Math.random() * groups)
    const numbers = Array.from({ length: keys }, (_, index) => from + index)
    if (operation === 'putMany') {
      const entries = numbers.map((number) => ({
        key: keyOf(objectBytes, number),
        bytes: samples.of(number, objectBytes),
      }))
      await client.putMany(entries)
    } else {
      const objects = await client.getMany(numbers.map((number) => keyOf(objectBytes, number)))
      if (objects.length !== keys) throw new Error(`${objects.length} objects came for ${keys} keys`)
      for (const [index, object] of objects.entries()) {
        const wrong = samples.wrong(object, from + index, objectBytes)
        if (wrong !== null) throw new Error(wrong)
      }
    }
    return keys * objectBytes
  })
}
