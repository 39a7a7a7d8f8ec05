import { MAPPERS, REDUCERS } from '../../examples/word-count/plan.ts'
import type { Entrant } from '../load/entrant.ts'
import { readCorpus } from '../tasks/jobs/word-count.ts'
import { measureMapReduce, type Outcome, runStage, sumOf, WORKERS } from './measure.ts'

/** Of the first `files` text files under node_modules. */
export function corpusBytes(files: number): number {
  return sumOf(readCorpus(files).map(({ bytes }) => bytes))
}

/** The word count of `examples/word-count`. A process of its own has the files: it puts the input and checks the results. */
export async function runWordCount(functions: Entrant, run: string, files: number): Promise<Outcome> {
  const { pieces, bytes } = await functions.run('countInput', { run, files }, WORKERS)
  const measured = await measureMapReduce(functions, {
    map: () =>
      runStage(functions, 'countMap', {
        count: MAPPERS,
        paramsOf: (number) => ({ run, number, pieces: pieces[number] ?? 0 }),
      }),
    reduce: () =>
      runStage(functions, 'countReduce', { count: REDUCERS, paramsOf: (number) => ({ run, number }) }),
    inputBytes: bytes,
  })
  const fault = measured.lost > 0 ? null : await functions.run('countCheck', { run }, WORKERS)
  return { ...measured, failures: fault === null ? [] : [fault] }
}
