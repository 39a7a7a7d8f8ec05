/**
 * Counts the words of every text file under node_modules, and lists the files that contain each word: an inverted index, by map and reduce. Start here, then
 * read mapper.ts and reducer.ts.
 * It needs a cluster: `mayfly demo` starts one for it; for a running one, set MAYFLY_URL and MAYFLY_API_KEY.
 */
import { connect, MayflyError, type RegisteredJob } from 'mayfly'
import { findDifference } from './check.ts'
import { findFolder, readTextFiles } from './corpus.ts'
import { inputsOf, putInput } from './input.ts'
import { keys, MAPPERS, mapTask, numbers, patient, REDUCERS, reduceTask, type WordEntry } from './plan.ts'
import { formatReport } from './report.ts'
import { runStage, type StageReport } from './stage.ts'
import { countBytesLeft, watchStored } from './stored.ts'

const folder = findFolder('node_modules', import.meta.dirname)
const files = readTextFiles(folder)
const inputBytes = files.reduce((sum, { bytes }) => sum + bytes, 0)
console.log(`${files.length} text files, ${(inputBytes / 2 ** 20).toFixed(1)} MiB, under ${folder}`)

/** Each loss of a node costs one more at most. */
const ROUNDS_MAX = 5
const map = { name: 'map', program: 'mapper.js', reads: 'input/', writes: 'map/' }
const reduce = { name: 'reduce', program: 'reducer.js', reads: 'map/', writes: 'result/' }

// Register the job. The hints tell Mayfly how much capacity to reserve. Every function deletes its input when it is done, so the data of a stage is freed while that of
// the next one is written: twice the input is ample. If this process dies, the job is no longer used, and its lease lapses, which frees its data.
const mayfly = await connect()
const job = await mayfly.registerJob(
  'word-count',
  {
    latencySensitive: true,
    maxFunctions: MAPPERS,
    capacityBytes: 2 * inputBytes,
    peakBytesPerSecond: 200_000_000,
  },
  { leaseSeconds: 180 },
)
const stages: StageReport[] = []
const { result, most } = await watchStored(mapAndReduce(job)).finally(() => job.deregister(patient))
const bytesLeft = await countBytesLeft()

const difference = findDifference(files, result)
console.log(formatReport(stages, most, bytesLeft))
console.log(
  difference === null
    ? `${result.length} words: a single process counts the same, word for word`
    : `THE RESULT IS WRONG: ${difference}`,
)
process.exitCode = difference === null && bytesLeft === 0 ? 0 : 1

/**
 * What is lost with a node is made again: in each round the mappers run whose partitions are missing. When none is, the reducers run whose results are missing.
 * Without a loss each stage runs once.
 */
async function mapAndReduce(job: RegisteredJob): Promise<WordEntry[]> {
  const inputs = inputsOf(files)
  const results = new Map<number, WordEntry[]>()
  for (let round = 1; results.size < REDUCERS; round++) {
    if (round > ROUNDS_MAX) throw new Error(`After ${ROUNDS_MAX} rounds results are still missing`)
    const reducers = numbers(REDUCERS).filter((reducer) => !results.has(reducer))
    const mappers = await mappersMissing(job, reducers)
    if (round > 1) console.log(`run again: ${mappers.length} mappers, ${reducers.length} reducers`)
    if (mappers.length > 0) {
      stages.push(await putInput(job, inputs, mappers))
      const tasks = mappers.map((mapper) => mapTask(mapper, inputs[mapper]?.length ?? 0))
      stages.push(await runStage(job, { ...map, tasks }))
      if ((await mappersMissing(job, reducers)).length > 0) continue
    }
    stages.push(await runStage(job, { ...reduce, tasks: reducers.map(reduceTask) }))
    for (const reducer of reducers) {
      const bytes = await job.get(keys.result(reducer), patient).catch(unlessThere)
      if (bytes !== null) results.set(reducer, JSON.parse(bytes.toString()) as WordEntry[])
    }
  }
  return [...results.values()].flat()
}

/** Those of which a partition for one of the reducers is missing. */
async function mappersMissing(job: RegisteredJob, reducers: readonly number[]): Promise<number[]> {
  const isThere = (key: string): Promise<boolean> => job.exists(key, patient).catch(() => false)
  const found = await Promise.all(
    numbers(MAPPERS).map((mapper) =>
      Promise.all(reducers.map((reducer) => isThere(keys.partition(mapper, reducer)))),
    ),
  )
  return numbers(MAPPERS).filter((mapper) => found[mapper]?.includes(false))
}

/** Null for what can be made again. */
function unlessThere(error: unknown): null {
  if (error instanceof MayflyError) return null
  throw error
}
