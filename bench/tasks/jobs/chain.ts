import type { Client } from '../../clients/client.ts'
import { type Lanes, runLanes } from '../lanes.ts'
import type { Tallied } from '../tally.ts'
import { countLost, takeOne } from './lost.ts'

export interface LinkParams {
  /** Distinguishes the objects of this run from all others. */
  readonly run: string
  /** Of this function in the chain, from 0. */
  readonly position: number
}

export interface ChainParams extends Lanes {
  readonly run: string
  readonly functions: number
}

/** Ends the functions when it has passed all of them. */
const LAST = -1

/** One function of the chain: waits for the number of the one before and gives the next a number that is larger by one, for chain after chain. */
export function passOn(client: Client, { run, position }: LinkParams): Promise<number> {
  return countLost(async () => {
    for (let chain = 0; ; chain++) {
      const value = (await takeOne(client, keyOf(run, position, chain))).readDoubleLE(0)
      const next = value === LAST ? LAST : value + 1
      await client.give(keyOf(run, position + 1, chain), bytesOf(next))
      if (value === LAST) return
    }
  })
}

/** Runs chains one after the other: each from the start of the put for its first function to the answer of the last one. */
export async function runChains(client: Client, params: ChainParams): Promise<Tallied> {
  const { run, functions } = params
  let chains = 0
  const runChain = async (value: number): Promise<number> => {
    const chain = chains++
    await client.give(keyOf(run, 0, chain), bytesOf(value))
    return (await client.take(keyOf(run, functions, chain))).readDoubleLE(0)
  }
  const tallied = await runLanes(params, async () => {
    const first = 1_000 * chains
    const value = await runChain(first)
    if (value !== first + functions) throw new Error(`a chain from ${first} ended with ${value}`)
    return 0
  })
  await runChain(LAST)
  return tallied
}

/** Each function has a folder of its own, as a client of files watches folders. */
function keyOf(run: string, position: number, chain: number): string {
  return `chain/${run}/${position}/${chain}`
}

function bytesOf(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeDoubleLE(value, 0)
  return bytes
}
