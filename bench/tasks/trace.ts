import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from '../clients/client.ts'
import { Samples } from '../probes/samples.ts'
import { type Lanes, runLanes } from './lanes.ts'
import type { Tallied } from './tally.ts'

export interface TraceParams extends Lanes {
  /** Distinguishes the objects of this run from all others. */
  readonly run: string
  /** Values at evenly spaced quantiles, from 0 to 1. */
  readonly objectBytes: readonly number[]
  readonly lifetimeMs: readonly number[]
}

interface Living {
  readonly key: string
  readonly number: number
  readonly bytes: number
}

/**
 * Objects with sizes and lifetimes drawn from a trace. Each is put, read once at the end of its lifetime, and deleted, which counts as one call. Outstanding
 * are only calls that put, or that read and delete; an object at rest is none.
 */
export async function trace(client: Client, params: TraceParams): Promise<Tallied> {
  const samples = new Samples(Math.ceil(params.objectBytes.at(-1) ?? 0))
  const due: Living[] = []
  let puts = 0
  const put = async (): Promise<number> => {
    const number = puts++
    const bytes = Math.round(draw(params.objectBytes))
    const key = `trace/${params.run}/${number}`
    await client.put(key, samples.of(number, bytes))
    setTimeout(() => due.push({ key, number, bytes }), draw(params.lifetimeMs))
    return bytes
  }
  const end = async ({ key, number, bytes }: Living): Promise<number> => {
    const wrong = samples.wrong(await client.get(key), number, bytes)
    if (wrong !== null) throw new Error(wrong)
    await client.delete(key)
    return bytes
  }
  const result = await runLanes(params, () => {
    const living = due.pop()
    return living === undefined ? put() : end(living)
  })
  await sleep(params.lifetimeMs.at(-1))
  await Promise.all(due.map(({ key }) => client.delete(key)))
  return result
}

/** Draws a value from a distribution by linear interpolation between its quantiles. */
function draw(quantiles: readonly number[]): number {
  const at = Math.random() * (quantiles.length - 1)
  const low = quantiles[Math.floor(at)] ?? 0
  const high = quantiles[Math.ceil(at)] ?? low
  return low + (high - low) * (at - Math.floor(at))
}
