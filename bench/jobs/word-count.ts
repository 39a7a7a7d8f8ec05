import { MAPPERS, REDUCERS } from '../../examples/word-count/plan.ts'
import type { Entrant } from '../load/entrant.ts'
import { readCorpus } from '../tasks/jobs/word-count.ts'
import { INPUT_MB, JOB_MS, MAP_MS, type Outcome, REDUCE_MS, runStage, sumOf, WORKERS } from './measure.ts'

/** Of the first `files` text files under node_modules. */
export function corpusBytes(files: number): number {
  return sumOf(readCorpus(files).map(({ bytes }) => bytes))
}

/** The word count of `examples/word-count`. A process of its own has the files: it puts the input and checks the results. */
export async function runWordCount(functions: Entrant, run: string, files: number): Promise<Outcome> {
  const { pieces, bytes } = await functions.run('countInput', { run, files }, WORKERS)
  const { value, cost } = await functions.costOf(async () => {
    const beganMs = performance.now()
    const mapped = await runStage(functions, 'countMap', {
      count: MAPPERS,
      paramsOf: (number) => ({ run, number, pieces: pieces[number] ?? 0 }),
    })
    const mapMs = performance.now() - beganMs
    const reduced =
      sumOf(mapped) === 0
        ? await runStage(functions, 'countReduce', {
            count: REDUCERS,
            paramsOf: (number) => ({ run, number }),
          })
        : []
    return { ms: performance.now() - beganMs, mapMs, lost: sumOf([...mapped, ...reduced]) }
  })
  const { ms, mapMs, lost } = value
  const figures = {
    [JOB_MS]: ms,
    [MAP_MS]: mapMs,
    [REDUCE_MS]: ms - mapMs,
    [INPUT_MB]: bytes / 1e6,
  }
  const fault = lost > 0 ? null : await functions.run('countCheck', { run }, WORKERS)
  return { ...cost, figures, lost, failures: fault === null ? [] : [fault] }
}
