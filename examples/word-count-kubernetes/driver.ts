/**
 * The word count of ../word-count, whose functions are the pods of a Kubernetes Job. This program runs in a pod as well: it registers the job, puts input and
 * tasks, and hands the ticket over in a Secret, for which the pods of the functions wait. It needs MAYFLY_URL and MAYFLY_API_KEY.
 */
import { connect } from 'mayfly'
import { findDifference } from '../word-count/check.ts'
import { findFolder, readTextFiles } from '../word-count/corpus.ts'
import { inputsOf, putInput } from '../word-count/input.ts'
import { keys, MAPPERS, mapTask, numbers, REDUCERS, reduceTask, type WordEntry } from '../word-count/plan.ts'
import { createSecret } from './secret.ts'

const RESULT_SECONDS_MAX = 600

const files = readTextFiles(findFolder('node_modules', import.meta.dirname))
const inputBytes = files.reduce((sum, { bytes }) => sum + bytes, 0)
console.log(`${files.length} text files, ${(inputBytes / 2 ** 20).toFixed(1)} MiB`)

const mayfly = await connect()
const hints = { maxFunctions: MAPPERS + REDUCERS, capacityBytes: 2 * inputBytes }
const job = await mayfly.registerJob('word-count', hints, { leaseSeconds: 60 })
try {
  const inputs = inputsOf(files)
  await putInput(job, inputs, numbers(MAPPERS))
  const mapTasks = inputs.map((pieces, mapper) => mapTask(mapper, pieces.length))
  const reduceTasks = numbers(REDUCERS).map(reduceTask)
  for (const { key, content } of [...mapTasks, ...reduceTasks]) await job.put(key, content)
  await createSecret('word-count-ticket', { MAYFLY_TICKET: job.ticket })
  console.log(`the ticket is in the Secret word-count-ticket; ${MAPPERS + REDUCERS} functions may start`)

  const result: WordEntry[] = []
  for (let i = 0; i < REDUCERS; i++) {
    const entries = await job.get(keys.result(i), { waitSeconds: RESULT_SECONDS_MAX })
    result.push(...(JSON.parse(entries.toString()) as WordEntry[]))
  }
  const difference = findDifference(files, result)
  if (difference !== null) throw new Error(`THE RESULT IS WRONG: ${difference}`)
  console.log(`${result.length} words: a single process counts the same, word for word`)
} finally {
  await job.deregister()
}
