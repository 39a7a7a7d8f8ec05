/**
 * Counts the words of every text file under node_modules, and lists the files that contain each word: an inverted index, by map and reduce. Start here, then
 * read mapper.ts and reducer.ts.
 * It needs a cluster: `mayfly demo` starts one for it; for a running one, set MAYFLY_URL and MAYFLY_API_KEY.
 */
import { connect, type RegisteredJob } from 'mayfly'
import { findDifference } from './check.ts'
import { findFolder, readTextFiles } from './corpus.ts'
import { putInput } from './input.ts'
import { keys, MAPPERS, REDUCERS, type WordEntry } from './plan.ts'
import { formatReport } from './report.ts'
import { runStage, type StageReport } from './stage.ts'
import { countBytesLeft, watchStored } from './stored.ts'

const folder = findFolder('node_modules', import.meta.dirname)
const files = readTextFiles(folder)
const inputBytes = files.reduce((sum, { bytes }) => sum + bytes, 0)
console.log(`${files.length} text files, ${(inputBytes / 2 ** 20).toFixed(1)} MiB, under ${folder}`)

// Register the job. The hints tell Mayfly how much capacity to reserve. Every stage consumes its input, so the data of a stage is freed while that of the next
// one is written: twice the input is ample. If this process dies, the job is no longer used, and its lease of a minute lapses, which frees its data.
const mayfly = await connect()
const job = await mayfly.registerJob(
  'word-count',
  {
    latencySensitive: true,
    maxFunctions: MAPPERS,
    capacityBytes: 2 * inputBytes,
    peakBytesPerSecond: 200_000_000,
  },
  { leaseSeconds: 60 },
)
const stages: StageReport[] = []
const { result, most } = await watchStored(mapAndReduce(job)).finally(() => job.deregister())
const bytesLeft = await countBytesLeft()

const difference = findDifference(files, result)
console.log(formatReport(stages, most, bytesLeft))
console.log(
  difference === null
    ? `${result.length} words: a single process counts the same, word for word`
    : `THE RESULT IS WRONG: ${difference}`,
)
process.exitCode = difference === null && bytesLeft === 0 ? 0 : 1

async function mapAndReduce(job: RegisteredJob): Promise<WordEntry[]> {
  // Put the input, and one task for each function to claim.
  stages.push(await putInput(job, files))
  for (let i = 0; i < MAPPERS; i++) await job.put(keys.mapTask(i), String(i))
  for (let i = 0; i < REDUCERS; i++) await job.put(keys.reduceTask(i), String(i))

  stages.push(
    await runStage(job, {
      name: 'map',
      program: 'mapper.js',
      processes: MAPPERS,
      reads: 'input/',
      writes: 'map/',
    }),
  )
  stages.push(
    await runStage(job, {
      name: 'reduce',
      program: 'reducer.js',
      processes: REDUCERS,
      reads: 'map/',
      writes: 'result/',
    }),
  )

  const results = await Promise.all(Array.from({ length: REDUCERS }, (_, i) => job.get(keys.result(i))))
  return results.flatMap((bytes) => JSON.parse(bytes.toString()) as WordEntry[])
}
