import { expect, test } from 'vitest'
import { type Cluster, sharedCluster } from '../fixture/mayfly-up.ts'

const shared = sharedCluster()

interface Line {
  readonly name: string
  readonly msg: string
  readonly request: string
  readonly job?: string
}

/** What `mayfly logs` shows about one request, in the order of the alphabet. */
async function linesOf(cluster: Cluster, request: string): Promise<string[]> {
  const text = await cluster.mayfly('logs', '--dir', cluster.dir, '--request', request, '--json')
  const lines = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const { name, msg, request: id } = JSON.parse(line) as Line
      expect(id).toBe(request)
      return `${name}: ${msg}`
    })
  return [...new Set(lines)].sort()
}

test('the id of a request is in the lines of all processes that it reaches, and mayfly logs finds them by it', async () => {
  const cluster = await shared()
  const ask = async (request: string, path: string, method: string, body?: unknown): Promise<unknown> => {
    const headers = { authorization: `Bearer ${cluster.apiKey}`, 'x-request-id': request }
    const content = { 'content-type': 'application/json' }
    const answer = await fetch(new URL(path, cluster.url), {
      method,
      ...(body === undefined
        ? { headers }
        : { headers: { ...headers, ...content }, body: JSON.stringify(body) }),
    })
    expect(answer.headers.get('x-request-id')).toBe(request)
    expect(answer.ok).toBe(true)
    return await answer.json()
  }
  const { id } = (await ask('registered-1', '/v1/jobs', 'POST', { name: 'traced' })) as { id: string }
  await ask('resized-1', `/v1/jobs/${id}`, 'PATCH', { hints: { capacityBytes: 200_000_000 } })
  await ask('ended-1', `/v1/jobs/${id}`, 'DELETE')
  expect(await linesOf(cluster, 'registered-1')).toEqual([
    'controller: a job is registered',
    'metadata: a job is placed',
    'storage-node: the share of a job is set',
  ])
  expect(await linesOf(cluster, 'resized-1')).toEqual([
    'controller: a job is resized',
    'metadata: a job has new shares',
    'storage-node: the share of a job is set',
  ])
  expect(await linesOf(cluster, 'ended-1')).toEqual([
    'controller: a job has ended',
    'metadata: the placement of a job is removed',
    'storage-node: the bytes of a job that has ended are freed',
  ])
})

test('a decision of the control loop has an id as well, in the lines of all processes', async () => {
  const cluster = await shared()
  const job = await (await cluster.connect()).registerJob('brief', {}, { leaseSeconds: 1 })
  await job.close()
  const endedLine = async (): Promise<Line | undefined> => {
    const text = await cluster.mayfly('logs', '--dir', cluster.dir, '--process', 'controller', '--json')
    const lines = text.split('\n').filter((line) => line !== '')
    return lines
      .map((line) => JSON.parse(line) as Line)
      .find(({ msg, job: ended }) => msg === 'a job has ended' && ended === job.id)
  }
  await expect.poll(endedLine, { timeout: 30_000 }).toBeDefined()
  const request = (await endedLine())?.request ?? ''
  expect(request).toMatch(/^leases-\w+$/)
  expect(await linesOf(cluster, request)).toContain(
    'storage-node: the bytes of a job that has ended are freed',
  )
})
