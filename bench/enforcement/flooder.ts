import { type Job, MayflyError, openJob } from 'mayfly'
import type { FlooderOptions, FloodKind, FromFlooder } from './floods.ts'
import { putManyRuns } from './many-runs.ts'

const KEYS = Array.from({ length: 1_000 }, (_, number) => `flood-key-${number}`)
const ENTRIES = KEYS.map((key) => ({ key, bytes: Buffer.alloc(64) }))
/** Nearly as many as an object may have, in about 6 KB of the 8 KB. */
const NAMES = 1_000
/** An object is full after 256 of them, and has been copied to a larger place each time that it had grown out of one. */
const APPENDED = Buffer.alloc(64 * 1024)

/** What each flood puts first, and one call of it. */
const floods: Readonly<
  Record<FloodKind, { prepare: (job: Job) => Promise<unknown>; call: (job: Job) => Promise<unknown> }>
> = {
  get: { prepare: putSmall, call: (job) => job.get('flood') },
  put: { prepare: putSmall, call: (job) => job.put('flood', Buffer.alloc(1_024)) },
  append: { prepare: (job) => job.delete('flood'), call: appendOrBegin },
  stat: {
    prepare: (job) => {
      const metadata = Object.fromEntries(Array.from({ length: NAMES }, (_, name) => [`n${name}`, 'v']))
      return job.put('flood', 'value', { metadata })
    },
    call: (job) => job.stat('flood'),
  },
  statOfRuns: {
    prepare: (job) => putManyRuns(ticket, 'flood-runs').then(() => job.stat('flood-runs')),
    call: (job) => job.stat('flood-runs'),
  },
  getMany: { prepare: putEntries, call: (job) => job.getMany(KEYS) },
  putMany: { prepare: putEntries, call: putEntries },
  deleteMany: { prepare: putSmall, call: (job) => job.deleteMany(KEYS) },
  list: {
    prepare: putEntries,
    call: async (job) => {
      for await (const entry of job.list()) if (entry.key === '') return
    },
  },
}

function putSmall(job: Job): Promise<unknown> {
  return job.put('flood', Buffer.alloc(1_024))
}

function putEntries(job: Job): Promise<unknown> {
  return job.putMany(ENTRIES)
}

async function appendOrBegin(job: Job): Promise<unknown> {
  try {
    return await job.append('flood', APPENDED)
  } catch (error) {
    if (error instanceof MayflyError && error.code === 'OBJECT_TOO_LARGE') return await job.delete('flood')
    throw error
  }
}

/** One process that sends as many requests as it can until it is killed or its parent has exited. */
const { ticket, kind, lanes } = JSON.parse(process.argv[2] ?? '') as FlooderOptions
process.on('disconnect', () => process.exit(0))
const job = await openJob(ticket)
const { prepare, call } = floods[kind]
await prepare(job)
let failure: string | null = null
const lane = async (): Promise<void> => {
  while (failure === null) {
    try {
      await call(job)
    } catch (error) {
      failure = String(error)
    }
  }
}
process.send?.({ type: 'ready' } satisfies FromFlooder)
await Promise.all(Array.from({ length: lanes }, lane))
process.send?.({ type: 'failed', reason: failure ?? '' } satisfies FromFlooder)
