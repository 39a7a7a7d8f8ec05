import { availableParallelism } from 'node:os'
import type { RegisteredJob } from 'mayfly'
import { runFunctions } from './functions.ts'
import { Progress } from './progress.ts'

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
  readonly processes: number
  /** Prefix of the keys that it consumes. */
  readonly reads: string
  /** Prefix of the keys that it puts. */
  readonly writes: string
}

/** Runs the processes of one stage and waits for them. Their progress is measured by the input that they have not consumed yet. */
export async function runStage(job: RegisteredJob, stage: Stage): Promise<StageReport> {
  const { name, program, processes, reads, writes } = stage
  const startedMs = performance.now()
  const input = await measure(job, reads)
  const progress = new Progress(name, input.objects)
  await runFunctions({
    program,
    processes,
    // Each process uses one core; more at a time would only use memory.
    atOnce: Math.min(processes, availableParallelism()),
    ticket: job.ticket,
    watch: async () => progress.show(input.objects - (await measure(job, reads)).objects),
  })
  progress.show(input.objects)
  const output = await measure(job, writes)
  return {
    name,
    processes,
    objects: input.objects + output.objects,
    bytes: input.bytes + output.bytes,
    ms: performance.now() - startedMs,
  }
}

async function measure(job: RegisteredJob, prefix: string): Promise<{ objects: number; bytes: number }> {
  let objects = 0
  let sum = 0
  for await (const { bytes } of job.list({ prefix })) {
    objects++
    sum += bytes
  }
  return { objects, bytes: sum }
}
