import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import { connect } from '../../client/connect.ts'
import type { RetryEvent } from '../../client/options.ts'
import { apiKey, eventually, MIB, World } from '../controller/support/world.ts'
import { startLosing } from '../fixture/losing-proxy.ts'

const hints = { capacityBytes: 16 * MIB, peakBytesPerSecond: 1000 }

async function start() {
  const world = await World.start()
  return { world, mayfly: await connect(world.url, { apiKey }) }
}

test('another process finds the job by its id or its name, and does with it what its driver can', async () => {
  const { world, mayfly } = await start()
  const registered = await mayfly.registerJob('sort', hints)
  const other = await connect(world.url, { apiKey })
  for (const by of [registered.id, 'sort']) {
    const job = await other.job(by)
    expect(job).toMatchObject({ id: registered.id, name: 'sort', reservation: registered.reservation })
    expect(job.ticket).toMatch(/^mayfly2\./)
    await job.renew()
    expect(await job.issueTicket({ write: false })).toMatch(/^mayfly2\./)
    await job.close()
  }
  const job = await other.job('sort')
  const resized = await job.resize({ capacityBytes: 32 * MIB })
  expect(resized.bytes.ram).toBeGreaterThan(registered.reservation.bytes.ram)
  expect(job.reservation).toEqual(resized)
  expect(await job.info()).toMatchObject({ state: 'active', hints: { ...hints, capacityBytes: 32 * MIB } })
  await job.deregister()
  expect(await job.info()).toMatchObject({ state: 'ended', endReason: 'deregistered' })
  await expect(other.job(registered.id)).rejects.toMatchObject({ code: 'JOB_ENDED' })
  await expect(job.renew()).rejects.toMatchObject({ code: 'JOB_ENDED' })
})

test('jobs lists the living jobs, with times as dates', async () => {
  const { mayfly } = await start()
  expect(await mayfly.jobs()).toEqual([])
  const beforeMs = Date.now()
  const { id } = await mayfly.registerJob('a', hints, { leaseSeconds: 60 })
  const [job, ...others] = await mayfly.jobs()
  expect(others).toEqual([])
  expect(job).toMatchObject({ id, name: 'a', state: 'active', hints, leaseSeconds: 60, endReason: undefined })
  expect(job?.usage).toEqual({ objects: 0, bytes: { ram: 0, ssd: 0, s3: 0 }, bytesPerSecond: 0 })
  expect(job?.createdAt.getTime()).toBeGreaterThanOrEqual(beforeMs - 1)
  expect(job?.leaseExpiresAt.getTime()).toBeGreaterThan(Date.now())
})

test('a name that no job has, or several have, is an error that says so', async () => {
  const { mayfly } = await start()
  const [one, two] = [await mayfly.registerJob('twins', hints), await mayfly.registerJob('twins', hints)]
  await expect(mayfly.job('nobody')).rejects.toMatchObject({ code: 'JOB_NOT_FOUND' })
  const error = await mayfly.job('twins').catch((thrown) => thrown)
  expect(error).toMatchObject({ code: 'BAD_REQUEST' })
  for (const part of ["2 jobs are named 'twins'", one.id, two.id]) expect(error.message).toContain(part)
  await one.deregister()
  expect((await mayfly.job('twins')).id).toBe(two.id)
})

test('await using ends a job that was registered in the block, and only closes one that was not', async () => {
  const { mayfly } = await start()
  let id = ''
  {
    await using job = await mayfly.registerJob('scoped', hints)
    id = job.id
    await using same = await mayfly.job(job.id)
    expect(same.id).toBe(id)
    expect(await mayfly.jobs()).toHaveLength(1)
  }
  expect(await mayfly.jobs()).toEqual([])
  const other = await mayfly.registerJob('other', hints)
  {
    await using same = await mayfly.job('other')
    expect(same.id).toBe(other.id)
  }
  expect(await mayfly.jobs()).toMatchObject([{ id: other.id, state: 'active' }])
})

test('printing a registered job, or its JSON, shows neither ticket nor key', async () => {
  const { mayfly } = await start()
  const job = await mayfly.registerJob('secretive', hints)
  for (const text of [
    inspect(job, { depth: 10 }),
    JSON.stringify(job),
    inspect({ ...job }),
    inspect(mayfly),
  ]) {
    expect(text).not.toContain(job.ticket)
    expect(text).not.toContain(apiKey)
  }
  expect(JSON.parse(JSON.stringify(job))).toEqual({
    id: job.id,
    name: 'secretive',
    reservation: job.reservation,
  })
})

test('onRetry is told of a request to the controller that is repeated', async () => {
  const { world } = await start()
  const proxy = await startLosing(new URL(world.url).host)
  const told: RetryEvent[] = []
  const mayfly = await connect(`http://${proxy.address}`, {
    apiKey,
    onRetry: (retry) => void told.push(retry),
  })
  proxy.loseAnswer()
  await mayfly.registerJob('lost', hints)
  await eventually(() => expect(told).toHaveLength(1))
  expect(told[0]).toMatchObject({ attempt: 1, address: null, key: null })
})
