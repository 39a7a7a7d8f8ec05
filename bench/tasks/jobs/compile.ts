import type { Client } from '../../clients/client.ts'
import { Samples } from '../../probes/samples.ts'
import { countLost, getAll, takeOne } from './lost.ts'

interface Sizes {
  /** Distinguishes the objects of this run from all others. */
  readonly run: string
  readonly headerBytes: readonly number[]
  /** Of the largest object. */
  readonly bytesMax: number
}

export interface UnitParams extends Sizes {
  readonly number: number
  readonly sourceBytes: number
  readonly objectBytes: number
}

export interface ProgramParams extends Sizes {
  readonly sourceBytes: readonly number[]
  readonly objectBytes: readonly number[]
}

/** Of an object file: what its function has computed, as a double. */
export const RESULT_BYTES = 8
/** Waits of the linker that are under way at a time. */
const LANES = 16
/** The samples of sources, headers and object files differ. */
const FIRST_HEADER = 1_000
const FIRST_OBJECT = 2_000

/** Puts all sources and headers. */
export async function compileInput(client: Client, params: ProgramParams): Promise<void> {
  const samples = samplesOf(params)
  for (const [number, bytes] of params.sourceBytes.entries())
    await client.put(keys.source(params.run, number), samples.of(number, bytes))
  for (const [number, bytes] of params.headerBytes.entries())
    await client.put(keys.header(params.run, number), samples.of(FIRST_HEADER + number, bytes))
}

/** Reads one source and all headers, gives an object file with the sum of their bytes, and deletes the source. */
export function compile(client: Client, params: UnitParams): Promise<number> {
  const { run, number, sourceBytes, objectBytes, headerBytes } = params
  return countLost(async () => {
    const samples = samplesOf(params)
    const headers = headerBytes.map((_, header) => keys.header(run, header))
    const [source, ...included] = await getAll(client, [keys.source(run, number), ...headers])
    expectSample(samples, source as Buffer, { number, bytes: sourceBytes })
    for (const [header, bytes] of headerBytes.entries())
      expectSample(samples, included[header] as Buffer, { number: FIRST_HEADER + header, bytes })
    const object = Buffer.from(samples.of(FIRST_OBJECT + number, objectBytes))
    object.writeDoubleLE(sumOfBytes([source as Buffer, ...included]), 0)
    await client.give(keys.object(run, number), object)
    await client.delete(keys.source(run, number))
  })
}

/** Takes every object file as soon as it is there, and sums what is in them. */
export async function link(
  client: Client,
  params: ProgramParams,
): Promise<{ lost: number; program: number }> {
  const samples = samplesOf(params)
  const { run, objectBytes } = params
  let next = 0
  let program = 0
  const lane = async (): Promise<void> => {
    while (next < objectBytes.length) {
      const number = next++
      const object = await takeOne(client, keys.object(run, number))
      program += object.readDoubleLE(0)
      const bytes = objectBytes[number] ?? 0
      samples.of(FIRST_OBJECT + number, bytes).copy(object, 0, 0, RESULT_BYTES)
      expectSample(samples, object, { number: FIRST_OBJECT + number, bytes })
    }
  }
  const lost = await Promise.all(Array.from({ length: LANES }, () => countLost(lane)))
  return { lost: lost.reduce((sum, each) => sum + each, 0), program }
}

/** What `link` has to find, computed without a store. */
export function programOf(params: ProgramParams): number {
  const samples = samplesOf(params)
  const { headerBytes, sourceBytes } = params
  const headers = sumOfBytes(headerBytes.map((bytes, number) => samples.of(FIRST_HEADER + number, bytes)))
  const sources = sumOfBytes(sourceBytes.map((bytes, number) => samples.of(number, bytes)))
  return sources + headers * sourceBytes.length
}

/** In place of the work of a compiler. */
function sumOfBytes(files: readonly Buffer[]): number {
  let sum = 0
  for (const file of files) for (let at = 0; at < file.length; at++) sum += file[at] ?? 0
  return sum
}

function expectSample(
  samples: Samples,
  object: Buffer,
  { number, bytes }: { number: number; bytes: number },
): void {
  const wrong = samples.wrong(object, number, bytes)
  if (wrong !== null) throw new Error(wrong)
}

let last: { bytesMax: number; samples: Samples } | null = null

/** Made once per process, before its first function is timed. */
function samplesOf({ bytesMax }: Sizes): Samples {
  if (last?.bytesMax !== bytesMax) last = { bytesMax, samples: new Samples(bytesMax) }
  return last.samples
}

const keys = {
  source: (run: string, number: number) => `compile/${run}/source/${number}`,
  header: (run: string, number: number) => `compile/${run}/header/${number}`,
  object: (run: string, number: number) => `compile/${run}/object/${number}`,
}
