import { type Client, NotThere } from '../clients/client.ts'
import { getAndCheck, samplesOf } from './calls.ts'

export interface ReadsParams {
  /** Number of objects that `fill` has put. */
  readonly objects: number
  readonly objectBytes: number
  /** The working set: the first `hot` objects. */
  readonly hot: number
  /** Fraction of the reads that go to the working set; the others go to any object. */
  readonly hotShare: number
  readonly reads: number
  readonly outstanding: number
}

export interface ReadsResult {
  readonly ms: number
  /** Reads of objects that the system has evicted. */
  readonly lost: number
}

/** Reads mostly from a working set and checks every answer. Rejects if one is wrong. */
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
