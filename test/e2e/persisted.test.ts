import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Kept } from '../../client/index.ts'
import { Cluster, configFile } from '../fixture/mayfly-up.ts'
import { runProgram } from '../fixture/run-program.ts'
import { sharedS3 } from '../fixture/s3.ts'
import { tempDir } from '../fixture/temp-dir.ts'

const startS3 = sharedS3()
const command = new URL('../../dist/cli/main.js', import.meta.url).pathname

async function keysOf(kept: Kept, prefix = ''): Promise<string[]> {
  const keys = []
  for await (const { key } of kept.list({ prefix })) keys.push(key)
  return keys
}

test.for(['a folder', 'S3'])(
  'objects kept in %s come back after the death of their node, and outlive their job and the whole cluster',
  async (where, context) => {
    const s3 = where === 'S3' ? await startS3(context) : undefined
    const args = ['--config', await configFile({ ...(s3 && { s3 }) })]
    const dir = await tempDir()
    const first = await Cluster.start(args, { dir })
    const mayfly = await first.connect()
    const job = await mayfly.registerJob('keeps')
    const large = randomBytes(5 * 1024 * 1024 + 7)
    await job.createBucket('out')
    await job.put('results/large', large, { bucket: 'out', persist: true })
    await job.put('small', 'stays', { persist: true, metadata: { of: 'small' } })
    await job.put('gone', 'is gone with its node')
    for (const { pid } of await first.nodesOf(job)) process.kill(pid, 'SIGKILL')
    expect((await job.get('results/large', { bucket: 'out' })).equals(large)).toBe(true)
    expect(await job.stat('small')).toMatchObject({ persist: true, metadata: { of: 'small' } })
    expect((await job.get('small')).toString()).toBe('stays')
    await expect(job.get('gone')).rejects.toMatchObject({ code: 'OBJECT_LOST' })
    expect(await keysOf(mayfly.kept, `${job.id}/`)).toEqual(['small', 'results/large'])
    await job.deregister()
    await first.stop('SIGKILL')

    const second = await Cluster.start(args, { dir })
    const { kept } = await second.connect()
    expect(await keysOf(kept)).toEqual(['small', 'results/large'])
    expect((await kept.get({ job: job.id, bucket: 'out', key: 'results/large' })).equals(large)).toBe(true)
    expect((await kept.get({ job: job.id, key: 'small' })).toString()).toBe('stays')
    await expect(kept.get({ job: job.id, key: 'gone' })).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(await kept.delete({ job: job.id, key: 'small' })).toBe(true)
    expect(await kept.delete({ job: job.id, key: 'small' })).toBe(false)
    await expect(kept.get({ job: '../..', key: 'small' })).rejects.toMatchObject({ code: 'BAD_REQUEST' })
    await second.stop()
  },
)

test('the command lists, reads and removes what is kept', async () => {
  const cluster = await Cluster.start()
  const job = await (await cluster.connect()).registerJob('keeps')
  await job.put('a/b', 'bytes', { persist: true, ttlSeconds: 3600 })
  await job.deregister()
  const name = `${job.id}/default/a/b`
  expect(await cluster.mayfly('kept', 'ls')).toMatch(new RegExp(`5 B +${name} +until 20`))
  expect(JSON.parse(await cluster.mayfly('kept', 'ls', job.id, '--json'))).toMatchObject([
    { job: job.id, bucket: 'default', key: 'a/b', bytes: 5 },
  ])
  const file = join(await tempDir(), 'out')
  await cluster.mayfly('kept', 'get', name, file)
  expect(await readFile(file, 'utf8')).toBe('bytes')
  expect(await cluster.mayfly('kept', 'rm', name)).toBe('removed 1 of 1\n')
  expect(await cluster.mayfly('kept', 'ls')).toBe('')
  await expect(cluster.mayfly('kept', 'rm', name)).rejects.toMatchObject({ code: 3 })
})

test.for([
  ['a bucket that is missing', { bucket: 'not-there' }, /'not-there' .*does not exist/],
  ['wrong credentials', { secretAccessKey: 'wrong-wrong' }, /refuses accessKeyId and secretAccessKey/],
  ['an endpoint where nothing listens', { endpoint: 'http://127.0.0.1:1' }, /cannot be reached/],
] as const)(
  'a cluster with %s says so in one line and does not start',
  async ([, wrong, message], context) => {
    const s3 = { ...(await startS3(context)), ...wrong }
    const args = ['up', '--port', '0', '--dir', await tempDir(), '--config', await configFile({ s3 })]
    const failed = await runProgram([command, ...args]).catch((error: unknown) => error)
    expect(failed).toMatchObject({ code: 1, stderr: expect.stringMatching(message) })
    expect((failed as { stderr: string }).stderr.trimEnd().split('\n')).toHaveLength(1)
  },
)
