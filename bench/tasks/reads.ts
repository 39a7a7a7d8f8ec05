import { type Client, NotThere } from '../clients/client.ts'
import { getAndCheck, samplesOf } from './calls.ts'

export interface ReadsParams {
  /** All that `fill` has put. */
  readonly objects: number
  readonly objectBytes: number
  /** The working set: the first so many of them. */
  readonly hot: number
  /** Which part of the reads is of the working set; the others are of any object. */
  readonly hotShare: number
  readonly reads: number
  readonly outstanding: number
}

export interface ReadsResult {
  readonly ms: number
  /** Reads of objects that the system has thrown away. */
  readonly lost: number
}

/** Reads most from a working set, and checks every answer. Rejects where one is wrong. */
export async function reads(client: Client, params: ReadsParams): Promise<ReadsResult> {
  const { objects, objectBytes, hot, hotShare, outstanding } = params
  const samples = samplesOf(objectBytes)
  let left = params.reads
  let lost = 0
  const lane = async (): Promise<void> => {
    while (left-- > 0) {
      const number = Math.floor(Math.random() * (Math.random() < hotShare ? hot : objects))
      try {
        await getAndCheck(client, samples, { number, objectBytes })
      } catch (error) {
        if (!(error instanceof NotThere)) throw error
        lost++
      }
    }
  }
  const beganMs = performance.now()
  await Promise.all(Array.from({ length: outstanding }, lane))
  return { ms: performance.now() - beganMs, lost }
}
