import type { Job } from '../../../client/job.ts'
import type { ObjectStat } from '../../../client/objects/stat.ts'
import { asMayflyError } from '../../../protocol/errors.ts'
import type { Action, Outcome, PutRule } from './history.ts'
import { type Home, makeValue, readValue, type ValueName } from './values.ts'

/** Bytes that belong elsewhere: never allowed, whatever else happened. */
export class WrongBytes extends Error {}

/** Performs one action through the SDK. Rejects only with `WrongBytes`. */
export async function perform(
  job: Job,
  call: { home: Home; action: Action; deadlineMs: number; signal?: AbortSignal },
): Promise<Outcome> {
  try {
    return await act(job, call)
  } catch (error) {
    if (error instanceof WrongBytes) throw error
    const { code, message, stack, cause } = asMayflyError(error)
    const bug = code === 'INTERNAL' ? ` ${cause instanceof Error ? cause.stack : stack}` : ''
    return { kind: 'error', code, message: message + bug }
  }
}

async function act(
  job: Job,
  {
    home,
    action,
    deadlineMs,
    signal,
  }: { home: Home; action: Action; deadlineMs: number; signal?: AbortSignal },
): Promise<Outcome> {
  const { bucket, key } = home
  const options = { bucket, deadlineMs, ...(signal ? { signal } : {}) }
  switch (action.kind) {
    case 'put': {
      const ttl = action.ttlSeconds > 0 ? { ttlSeconds: action.ttlSeconds } : {}
      const rule = ruleOf(action.condition)
      const { persist } = action
      const bytes = bytesFor(home, action.value)
      const { version } = await job.put(key, bytes, { ...options, ...ttl, ...rule, persist })
      return { kind: 'version', version }
    }
    case 'get': {
      const bytes = await job.get(key, {
        ...options,
        consume: action.consume,
        waitSeconds: action.waitSeconds,
      })
      const read = readValue(home, bytes)
      if ('wrong' in read) throw new WrongBytes(`${home.job}/${bucket}/${key}: ${read.wrong}`)
      return { kind: 'value', value: read.name }
    }
    case 'stat':
      return statOutcome(await job.stat(key, options))
    case 'delete':
      return { kind: 'existed', existed: await job.delete(key, options) }
    case 'list': {
      const { prefix, acceptHoles } = action
      const entries = []
      for await (const { key, bytes } of job.list({ ...options, prefix, acceptHoles })) {
        entries.push({ key, bytes })
      }
      return { kind: 'entries', entries }
    }
    case 'append':
      return { kind: 'length', bytes: await job.append(key, bytesFor(home, action.value), options) }
    case 'createBucket':
      await job.createBucket(bucket, { deadlineMs })
      return { kind: 'done' }
    case 'deleteBucket':
      await job.deleteBucket(bucket, { deadlineMs })
      return { kind: 'done' }
    case 'deleteMany':
      return { kind: 'count', count: await job.deleteMany(action.keys, options) }
  }
}

export function ruleOf(rule: PutRule): { ifAbsent?: true; ifVersion?: number } {
  if (rule === 'absent') return { ifAbsent: true }
  return rule === 'always' ? {} : { ifVersion: rule }
}

export function bytesFor(home: Home, value: ValueName): Buffer {
  const [id, bytes] = value.split(':')
  return makeValue(home, Number(id), Number(bytes))
}

export function statOutcome(stat: ObjectStat | null): Outcome {
  if (stat === null) return { kind: 'stat', stat }
  const { bytes, version, expiresAt, persist } = stat
  return { kind: 'stat', stat: { bytes, version, expires: expiresAt !== null, persist } }
}
