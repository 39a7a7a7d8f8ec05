import { availableParallelism } from 'node:os'
import type { RegisteredJob } from 'mayfly'
import { runFunctions } from './functions.ts'
import { patient } from './plan.ts'
import { Progress } from './progress.ts'
import { repeat } from './repeat.ts'

/** Bytes that a stage read from and wrote to Mayfly. */
export interface StageReport {
  readonly name: string
  readonly processes: number
  readonly objects: number
  readonly bytes: number
  readonly ms: number
}

interface Stage {
  readonly name: string
  /** The program of the function, a file in this folder. */
  readonly program: string
  /** A task for each process: a key, and what it claims there. */
  readonly tasks: readonly { readonly key: string; readonly content: string }[]
  /** Prefix of the keys that it reads, and deletes when it is done. */
  readonly reads: string
  /** Prefix of the keys that it puts. */
  readonly writes: string
}

/** Runs the processes of one stage and waits for them; some may fail. Their progress is measured by the input that they have not deleted yet. */
export async function runStage(job: RegisteredJob, stage: Stage): Promise<StageReport> {
  const { name, program, tasks, reads, writes } = stage
  const startedMs = performance.now()
  const [input, before] = [await measure(job, reads), await measure(job, writes)]
  const progress = new Progress(name, input.objects)
  for (const { key, content } of tasks) await repeat(() => job.put(key, content, patient))
  await runFunctions({
    program,
    processes: tasks.length,
    // Each process uses one core; more at a time would only use memory.
    atOnce: Math.min(tasks.length, availableParallelism()),
    ticket: job.ticket,
    watch: async () => progress.show(input.objects - (await measure(job, reads)).objects),
  })
  progress.show(input.objects)
  const output = await measure(job, writes)
  return {
    name,
    processes: tasks.length,
    objects: input.objects + output.objects - before.objects,
    bytes: input.bytes + output.bytes - before.bytes,
    ms: performance.now() - startedMs,
  }
}

/** What is there; what is lost with a node is not. */
async function measure(job: RegisteredJob, prefix: string): Promise<{ objects: number; bytes: number }> {
  let objects = 0
  let sum = 0
  for await (const { bytes } of job.list({ prefix, acceptHoles: true, ...patient })) {
    objects++
    sum += bytes
  }
  return { objects, bytes: sum }
}
