import { expect, test } from 'vitest'
import { Cluster, configFile } from '../fixture/mayfly-up.ts'
import { sharedPostgres } from '../fixture/postgres.ts'

const database = sharedPostgres()

test('`mayfly up` with a database keeps its decisions there: it survives kills of controller and metadata, and the next start knows them', async (context) => {
  const { url } = await database(context)
  const config = await configFile({ database: url })
  const cluster = await Cluster.start(['--config', config])
  const job = await (await cluster.connect()).registerJob('kept', { capacityBytes: 2 ** 20 })
  await job.put('key', 'value')
  await cluster.kill('controller')
  await cluster.killMetadata('m-1')
  await job.createBucket('after')
  await job.put('key', 'other', { bucket: 'after' })
  expect((await job.get('key')).toString()).toBe('value')
  await expect
    .poll(() => cluster.api<{ state: string }>(`/v1/jobs/${job.id}`).catch(() => null))
    .toMatchObject({ state: 'active' })
  const [node] = await cluster.nodesOf(job)
  process.kill(node?.pid ?? 0, 'SIGKILL')
  // Its exit is seen, so nobody waits for its lease.
  await cluster.event('node.lost', node?.id ?? '')
  await expect(job.get('key')).rejects.toMatchObject({ code: 'OBJECT_LOST' })
  await job.put('key', 'again')
  await job.close()
  const known = await cluster.mayfly('jobs')
  expect(known).toContain('kept')
})
