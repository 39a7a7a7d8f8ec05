import { quantileDraw } from '../eviction/trace.ts'
import type { Entrant } from '../load/entrant.ts'
import { randomOf } from '../load/random.ts'
import { type ProgramParams, programOf, RESULT_BYTES } from '../tasks/jobs/compile.ts'
import { INPUT_MB, JOB_MS, type Outcome, runStage, sumOf, WORKERS } from './measure.ts'

export interface CompileSettings {
  /** Source files, each of which a function compiles. */
  readonly units: number
  /** Files that every function reads. */
  readonly headers: number
}

const SEED = 1
/** Headers are not larger than this: each is read by every function, and the trace has objects of 50 MiB. */
const HEADER_BYTES_MAX = 64 * 1024

/** The same in every run: sizes that are drawn from the trace of a compile job. */
export function compileSizes({ units, headers }: CompileSettings): Omit<ProgramParams, 'run'> {
  const draw = quantileDraw('compile_object_bytes.csv', randomOf(SEED))
  const bytes = (): number => Math.max(RESULT_BYTES, Math.round(draw()))
  const sourceBytes = Array.from({ length: units }, bytes)
  const objectBytes = Array.from({ length: units }, bytes)
  const headerBytes = Array.from({ length: headers }, () => Math.min(HEADER_BYTES_MAX, bytes()))
  const bytesMax = Math.max(...sourceBytes, ...objectBytes, ...headerBytes)
  return { sourceBytes, objectBytes, headerBytes, bytesMax }
}

/** Sources, headers and all object files, if the linker is late. */
export function compileCapacity({
  sourceBytes,
  objectBytes,
  headerBytes,
}: Omit<ProgramParams, 'run'>): number {
  return sumOf(sourceBytes) + sumOf(objectBytes) + sumOf(headerBytes)
}

/** A function compiles each source; the linker, which runs from the start, takes every object file as soon as it is there. */
export async function runCompile(
  functions: Entrant,
  run: string,
  sizes: Omit<ProgramParams, 'run'>,
): Promise<Outcome> {
  const { sourceBytes, objectBytes, headerBytes, bytesMax } = sizes
  await functions.run('compileInput', { ...sizes, run })
  const { value, cost } = await functions.costOf(async () => {
    const beganMs = performance.now()
    const [linked, compiled] = await Promise.all([
      functions.run('link', { ...sizes, run }, WORKERS),
      runStage(functions, 'compile', {
        count: sourceBytes.length,
        paramsOf: (number) => ({
          ...{ run, number, headerBytes, bytesMax },
          sourceBytes: sourceBytes[number] ?? 0,
          objectBytes: objectBytes[number] ?? 0,
        }),
      }),
    ])
    return { ms: performance.now() - beganMs, lost: linked.lost + sumOf(compiled), program: linked.program }
  })
  const { ms, lost, program } = value
  const wanted = programOf({ ...sizes, run })
  const figures = { [JOB_MS]: ms, [INPUT_MB]: (sumOf(sourceBytes) + sumOf(headerBytes)) / 1e6 }
  const isWrong = lost === 0 && program !== wanted
  return { ...cost, figures, lost, failures: isWrong ? [`the program is ${program}, not ${wanted}`] : [] }
}
