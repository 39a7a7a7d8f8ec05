import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from '../clients/client.ts'
import { samplesOf } from './calls.ts'
import { type Tallied, Tally } from './tally.ts'

export interface HandoverParams {
  /** Distinguishes the handovers of this run from all others. */
  readonly run: string
  readonly handovers: number
  /** Number of consumers that wait at a time. */
  readonly waiting: number
  readonly objectBytes: number
  /** Interval between two puts: long enough that the consumer of the next key already waits. */
  readonly everyMs: number
}

/** Time for consumers to begin their first wait. */
const AHEAD_MS = 300
const NS_PER_MS = 1e6

/**
 * Takes one object after the other in each of `waiting` lanes. The latency of a call counts from the start of the producer's put, which is written in the
 * object, to the answer here: Linux has one monotonic clock for all processes.
 */
export async function takeAll(client: Client, params: HandoverParams): Promise<Tallied> {
  const { handovers, waiting, objectBytes } = params
  const tally = new Tally()
  const samples = samplesOf(objectBytes)
  const began = process.hrtime.bigint()
  const lane = async (first: number): Promise<void> => {
    for (let number = first; number < handovers; number += waiting) {
      const object = await client.take(keyOf(params, number))
      const ms = Number(process.hrtime.bigint() - object.readBigUInt64LE(0)) / NS_PER_MS
      tally.add(ms, object.length)
      samples.of(number, objectBytes).copy(object, 0, 0, 8)
      const wrong = samples.wrong(object, number, objectBytes)
      if (wrong !== null) tally.fail(wrong)
    }
  }
  await Promise.all(Array.from({ length: waiting }, (_, index) => lane(index)))
  return tally.result(Number(process.hrtime.bigint() - began) / 1e9)
}

/** Puts one object after the other, each with the time at which its put starts. */
export async function giveAll(client: Client, params: HandoverParams): Promise<void> {
  const { handovers, objectBytes, everyMs } = params
  const samples = samplesOf(objectBytes)
  await sleep(AHEAD_MS)
  for (let number = 0; number < handovers; number++) {
    const object = Buffer.from(samples.of(number, objectBytes))
    object.writeBigUInt64LE(process.hrtime.bigint(), 0)
    await client.give(keyOf(params, number), object)
    await sleep(everyMs)
  }
}

function keyOf({ run }: HandoverParams, number: number): string {
  return `handover/${run}/${number}`
}
