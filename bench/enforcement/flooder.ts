import { type Job, openJob } from 'mayfly'
import type { FlooderOptions, FloodKind, FromFlooder } from './floods.ts'

const KEYS = Array.from({ length: 1_000 }, (_, number) => `flood-key-${number}`)
const NAMES = 500

/** What each flood puts first, and one call of it. */
const floods: Readonly<
  Record<FloodKind, { prepare: (job: Job) => Promise<unknown>; call: (job: Job) => Promise<unknown> }>
> = {
  get: { prepare: putSmall, call: (job) => job.get('flood') },
  put: { prepare: putSmall, call: (job) => job.put('flood', Buffer.alloc(1_024)) },
  stat: {
    prepare: (job) => {
      const metadata = Object.fromEntries(Array.from({ length: NAMES }, (_, name) => [`name-${name}`, 'v']))
      return job.put('flood', 'value', { metadata })
    },
    call: (job) => job.stat('flood'),
  },
  getMany: {
    prepare: (job) => job.putMany(KEYS.map((key) => ({ key, bytes: Buffer.alloc(64) }))),
    call: (job) => job.getMany(KEYS),
  },
  deleteMany: { prepare: putSmall, call: (job) => job.deleteMany(KEYS) },
  list: {
    prepare: (job) => job.putMany(KEYS.map((key) => ({ key, bytes: Buffer.alloc(64) }))),
    call: async (job) => {
      for await (const entry of job.list()) if (entry.key === '') return
    },
  },
}

function putSmall(job: Job): Promise<unknown> {
  return job.put('flood', Buffer.alloc(1_024))
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
