/** The map function: reads its pieces of the input, counts their words, and puts one partition for each reducer. Its only input is a ticket. */
import { openJob } from 'mayfly'
import { claim } from './claim.ts'
import { type InputFile, keys, type MapTask, REDUCERS, reducerOf, type WordEntry, wordsOf } from './plan.ts'
import { Tally } from './tally.ts'

const job = await openJob(process.env.MAYFLY_TICKET ?? '')

// Claim one of the tasks that the driver put under task/map/.
const task = await claim(job, 'task/map/')
if (task === null) throw new Error('There is no map task left')
const { mapper, pieces } = JSON.parse(task) as MapTask

const tally = new Tally()
const input = Array.from({ length: pieces }, (_, piece) => keys.input(mapper, piece))
for (const key of input) {
  const files = JSON.parse((await job.get(key)).toString()) as InputFile[]
  for (const { file, text } of files) {
    for (const word of wordsOf(text)) tally.add(word, 1, [file])
  }
}

// A partition may be larger than one message: the SDK splits it into chunks, and readers see all of it or nothing.
const partitions: WordEntry[][] = Array.from({ length: REDUCERS }, () => [])
for (const entry of tally.entries()) partitions[reducerOf(entry[0])]?.push(entry)
await Promise.all(
  partitions.map((partition, reducer) => {
    return job.put(keys.partition(mapper, reducer), JSON.stringify(partition))
  }),
)
// Until here the function can be run again. Now its input is free for the next stage.
await job.deleteMany(input)
await job.close()
