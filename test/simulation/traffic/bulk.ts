import type { Job } from '../../../client/job.ts'
import { PutManyError } from '../../../client/objects/put-many.ts'
import { asMayflyError, MayflyError } from '../../../protocol/errors.ts'
import { type Clock, sleep } from '../../../protocol/runtime.ts'
import { isTransient } from './buckets.ts'
import type { Action, Outcome, Put } from './history.ts'
import { bytesFor, ruleOf, statOutcome, WrongBytes } from './perform.ts'
import { type Home, readValue } from './values.ts'

/** A call about many keys, or of many messages. What it does to each key is recorded as a call of its own. */
export type Bulk =
  | {
      readonly kind: 'putMany'
      readonly puts: readonly { readonly home: Home; readonly action: Put }[]
    }
  | { readonly kind: 'getMany'; readonly homes: readonly Home[]; readonly waitSeconds: number }
  | { readonly kind: 'statMany'; readonly homes: readonly Home[] }
  | {
      readonly kind: 'stream'
      readonly home: Home
      /** After each of the first chunks. */
      readonly pausesMs: readonly number[]
      /** The reader never reads further, and never closes the stream. */
      readonly isAbandoned: boolean
    }
  | {
      readonly kind: 'putStream'
      readonly home: Home
      readonly put: Put
      readonly pieceBytes: number
      readonly pauseMsMax: number
      /** Its source stops before its last piece, and never ends. */
      readonly isAbandoned: boolean
    }

const bulkKinds: readonly string[] = [
  'putMany',
  'getMany',
  'statMany',
  'stream',
  'putStream',
] satisfies Bulk['kind'][]

export function isBulk(action: Action | Bulk): action is Bulk {
  return bulkKinds.includes(action.kind)
}

/** What is recorded of the call: one call for each key. */
export function partsOf(bulk: Bulk): readonly { readonly home: Home; readonly action: Action }[] {
  const read: Action = { kind: 'get', consume: false, waitSeconds: 0 }
  switch (bulk.kind) {
    case 'putMany':
      return bulk.puts
    case 'getMany':
      return bulk.homes.map((home) => ({ home, action: read }))
    case 'statMany':
      return bulk.homes.map((home) => ({ home, action: { kind: 'stat' } }))
    case 'stream':
      return [{ home: bulk.home, action: read }]
    case 'putStream':
      return [{ home: bulk.home, action: bulk.put }]
  }
}

/** Whether each of its messages has a deadline of its own. */
export function isStreamed({ kind }: Bulk): boolean {
  return kind === 'stream' || kind === 'putStream'
}

/** Performs the call; returns an outcome for each of its parts. Rejects only with `WrongBytes`. */
export async function performBulk(
  job: Job,
  bulk: Bulk,
  { clock, deadlineMs }: { clock: Clock; deadlineMs: number },
): Promise<Outcome[]> {
  try {
    switch (bulk.kind) {
      case 'putMany':
        return await putMany(job, bulk, deadlineMs)
      case 'getMany':
        return await getMany(job, bulk, deadlineMs)
      case 'statMany':
        return await statMany(job, bulk, deadlineMs)
      case 'stream':
        return [await stream(job, bulk, { clock, deadlineMs })]
      case 'putStream':
        return [await putStream(job, bulk, { clock, deadlineMs })]
    }
  } catch (error) {
    if (error instanceof WrongBytes) throw error
    return partsOf(bulk).map(() => failed(error))
  }
}

async function putMany(
  job: Job,
  { puts }: Extract<Bulk, { kind: 'putMany' }>,
  deadlineMs: number,
): Promise<Outcome[]> {
  const [first] = puts
  if (first === undefined) return []
  const entries = puts.map(({ home, action }) => ({
    key: home.key,
    bytes: bytesFor(home, action.value),
    ...ruleOf(action.condition),
    persist: action.persist,
  }))
  try {
    const stored = await job.putMany(entries, { bucket: first.home.bucket, deadlineMs })
    return stored.map(({ version }) => ({ kind: 'version', version }))
  } catch (error) {
    // If its bucket was deleted meanwhile, it is repeated in the next one of that name: an entry that fails there may have been in the one before.
    if (isTransient(first.home.bucket)) return puts.map(() => ({ kind: 'none' }))
    if (!(error instanceof PutManyError)) throw error
    return error.outcomes.map((outcome) =>
      outcome instanceof MayflyError ? failed(outcome) : { kind: 'version', version: outcome.version },
    )
  }
}

function getMany(
  job: Job,
  { homes, waitSeconds }: Extract<Bulk, { kind: 'getMany' }>,
  deadlineMs: number,
): Promise<Outcome[]> {
  return readMany(homes, {
    ask: (keys, bucket) => job.getMany(keys, { bucket, waitSeconds, deadlineMs }),
    outcomeOf: (bytes, home) => (bytes === null ? missing() : readingOf(home, bytes)),
  })
}

function statMany(
  job: Job,
  { homes }: Extract<Bulk, { kind: 'statMany' }>,
  deadlineMs: number,
): Promise<Outcome[]> {
  return readMany(homes, {
    ask: (keys, bucket) => job.statMany(keys, { bucket, deadlineMs }),
    outcomeOf: statOutcome,
  })
}

interface ReadMany<Answer> {
  readonly ask: (keys: readonly string[], bucket: string) => Promise<Answer[]>
  readonly outcomeOf: (answer: Answer, home: Home) => Outcome
}

async function readMany<Answer>(
  homes: readonly Home[],
  { ask, outcomeOf }: ReadMany<Answer>,
): Promise<Outcome[]> {
  const [first] = homes
  if (first === undefined) return []
  const keys = homes.map(({ key }) => key)
  try {
    const answers = await ask(keys, first.bucket)
    return answers.map((answer, index) => outcomeOf(answer, homes[index] as Home))
  } catch (error) {
    // One key of them is lost, and nothing is known of the others.
    if (asMayflyError(error).code === 'OBJECT_LOST') return homes.map(() => ({ kind: 'none' }))
    throw error
  }
}

async function stream(
  job: Job,
  { home, pausesMs, isAbandoned }: Extract<Bulk, { kind: 'stream' }>,
  { clock, deadlineMs }: { clock: Clock; deadlineMs: number },
): Promise<Outcome> {
  const chunks = job.getStream(home.key, { bucket: home.bucket, deadlineMs })[Symbol.asyncIterator]()
  const read: Buffer[] = []
  try {
    for (;;) {
      const pauseMs = pausesMs[read.length]
      if (isAbandoned && read.length > pausesMs.length) return { kind: 'none' }
      const { done, value } = await chunks.next()
      if (done) break
      read.push(value)
      if (pauseMs !== undefined) await sleep(clock, pauseMs)
    }
  } catch (error) {
    // The reader was slower than its lease, and the object was replaced.
    return asMayflyError(error).code === 'VERSION_MISMATCH' ? { kind: 'none' } : failed(error)
  }
  return readingOf(home, Buffer.concat(read))
}

async function putStream(
  job: Job,
  { home, put, pieceBytes, pauseMsMax, isAbandoned }: Extract<Bulk, { kind: 'putStream' }>,
  { clock, deadlineMs }: { clock: Clock; deadlineMs: number },
): Promise<Outcome> {
  const bytes = bytesFor(home, put.value)
  async function* source(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      await sleep(clock, pauseMsMax)
      if (isAbandoned && at + pieceBytes >= bytes.length) await new Promise(() => undefined)
      yield bytes.subarray(at, at + pieceBytes)
    }
  }
  const { bucket, key } = home
  const options = { bucket, deadlineMs, ...ruleOf(put.condition), persist: put.persist }
  const { version } = await job.putStream(key, source(), options)
  return { kind: 'version', version }
}

function readingOf(home: Home, bytes: Buffer): Outcome {
  const read = readValue(home, bytes)
  if ('wrong' in read) throw new WrongBytes(`${home.job}/${home.bucket}/${home.key}: ${read.wrong}`)
  return { kind: 'value', value: read.name }
}

function missing(): Outcome {
  return { kind: 'error', code: 'NOT_FOUND', message: 'not among the values' }
}

function failed(error: unknown): Outcome {
  const { code, message } = asMayflyError(error)
  return { kind: 'error', code, message }
}
