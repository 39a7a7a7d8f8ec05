import { onTestFinished } from 'vitest'
import { type Job, openJob } from '../../../client/job.ts'
import type { RegisteredJob } from '../../../client/registration.ts'

/** Clients of a job, each with connections of its own, for the duration of the test. */
export async function openFunctions(ticket: string, count: number): Promise<Job[]> {
  const jobs = await Promise.all(Array.from({ length: count }, () => openJob(ticket)))
  onTestFinished(async () => void (await Promise.all(jobs.map((job) => job.close()))))
  return jobs
}

/** Stores enough objects that a handoff takes some time. */
export async function fill(job: RegisteredJob, objects: { count: number; bytes: number }): Promise<void> {
  const bytes = Buffer.alloc(objects.bytes, 'filling ')
  const keys = Array.from({ length: objects.count }, (_, index) => `fill/${index}`)
  await Promise.all(keys.map((key) => job.put(key, bytes)))
}
