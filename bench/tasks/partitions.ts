import type { Client } from '../clients/client.ts'
import { samplesOf } from './calls.ts'

export interface PartitionsParams {
  readonly mappers: number
  readonly reducers: number
  /** The functions that this process runs one after the other. */
  readonly own: readonly number[]
  readonly objectBytes: number
}

/** Each mapper puts one object for every reducer. */
export async function map(client: Client, { own, reducers, objectBytes }: PartitionsParams): Promise<void> {
  const samples = samplesOf(objectBytes)
  for (const mapper of own) {
    const entries = Array.from({ length: reducers }, (_, reducer) => ({
      key: keyOf(mapper, reducer),
      bytes: samples.of(numberOf(mapper, reducer), objectBytes),
    }))
    await client.putMany(entries)
  }
}

/** Each reducer gets one object from every mapper. */
export async function reduce(client: Client, { own, mappers, objectBytes }: PartitionsParams): Promise<void> {
  const samples = samplesOf(objectBytes)
  for (const reducer of own) {
    const keys = Array.from({ length: mappers }, (_, mapper) => keyOf(mapper, reducer))
    const objects = await client.getMany(keys)
    if (objects.length !== mappers) throw new Error(`${objects.length} objects came for ${mappers} keys`)
    for (const [mapper, object] of objects.entries()) {
      const wrong = samples.wrong(object, numberOf(mapper, reducer), objectBytes)
      if (wrong !== null) throw new Error(wrong)
    }
  }
}

function keyOf(mapper: number, reducer: number): string {
  return `shuffle/${mapper}/${reducer}`
}

/** The sample for this pair. Multiplication by a prime makes neighbours differ. */
function numberOf(mapper: number, reducer: number): number {
  return mapper * 1_009 + reducer
}
