import { mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { expect, test } from 'vitest'
import { newJobId } from '../../../controller/records/id.ts'
import { systemRuntime } from '../../../protocol/runtime.ts'
import { type Ask, MIB, World } from '../support/world.ts'

const driver = { name: 'driver', key: 'driver-key-0123456789', role: 'driver' as const, quota: {} }
const asDriver: Ask = { headers: { authorization: `Bearer ${driver.key}` } }

/** A cluster that persists in a folder with files of others around it. */
async function start(): Promise<World> {
  const world = await World.start({ apiKeys: [driver] })
  await mkdir(join(world.dir, 'kept', 'j-1', 'default'), { recursive: true })
  await writeFile(join(world.dir, 'kept', 'j-1', 'default', 'own%'), 'persisted')
  await mkdir(join(world.dir, 'secret-folder', 'default'), { recursive: true })
  for (const path of ['secret', 'secret-folder/default/secret%', 'secret-folder/default/secret.txt'])
    await writeFile(join(world.dir, path), 'of somebody else')
  // Reading it is an error, so that an answer shows whether it was read.
  await symlink('loop', join(world.dir, 'loop'))
  return world
}

const outside = [
  '../../',
  '../',
  '..',
  './../',
  '/',
  '/etc/',
  '../loop/',
  '../secret-folder/default/',
  'j-1/../../secret',
]

test.each(outside)('a prefix of persisted objects that is %j leads nowhere, whoever asks', async (prefix) => {
  const world = await start()
  const all = (await world.ask('/v1/kept')).body.objects
  expect(all).toMatchObject([{ job: 'j-1', bucket: 'default', key: 'own' }])
  for (const asked of [{}, asDriver]) {
    for (const query of [prefix, encodeURIComponent(prefix)]) {
      const reply = await world.ask(`/v1/kept?prefix=${query}`, asked)
      expect([reply.status, reply.body]).toEqual([200, { objects: [] }])
      const paged = await world.ask(`/v1/kept?prefix=${query}&after=${query}`, asked)
      expect([paged.status, paged.body]).toEqual([200, { objects: [] }])
    }
  }
})

test('an object whose name is a way out of the store is not there', async () => {
  const world = await start()
  for (const [job, bucket, key] of [
    ['..', 'secret-folder', 'default/secret'],
    ['..', '..', basename(world.dir)],
    ['j-1', '..', '../secret'],
    ['secret-folder', 'default', 'secret.txt'],
  ] as const) {
    const query = new URLSearchParams({ job, bucket, key })
    for (const method of ['GET', 'DELETE']) {
      const { status, body } = await world.ask(`/v1/kept/object?${query}`, { method })
      expect([status, body.error.code]).toEqual([404, 'NOT_FOUND'])
      expect(body.error.message).toContain(`There is no persisted object ${job}/${bucket}/${key}.`)
      expect(body.error.message).not.toContain(world.dir)
    }
  }
})

test('a driver lists, reads and removes what its own jobs have kept, and nothing of another driver', async () => {
  const other = { name: 'other', key: 'other-key-0123456789', role: 'driver' as const, quota: {} }
  const asOther: Ask = { headers: { authorization: `Bearer ${other.key}` } }
  const world = await World.start({ apiKeys: [driver, other] })
  const hints = { capacityBytes: MIB, peakBytesPerSecond: 1000 }
  const registered = await world.register({ hints }, asDriver.headers)
  expect(registered.status).toBe(201)
  // One job has a record, the other's was deleted long ago.
  const jobs: string[] = [registered.body.id, newJobId(systemRuntime.random, driver.name)]
  for (const job of jobs) {
    await mkdir(join(world.dir, 'kept', job, 'default'), { recursive: true })
    await writeFile(join(world.dir, 'kept', job, 'default', 'result%'), 'persisted')
  }
  const listed = async (asked: Ask, prefix = '') =>
    (await world.ask(`/v1/kept?prefix=${prefix}`, asked)).body.objects.map(({ job }: { job: string }) => job)
  expect(await listed(asOther)).toEqual([])
  expect((await listed(asDriver)).sort()).toEqual([...jobs].sort())
  for (const job of jobs) {
    expect(await listed(asOther, `${job}/`)).toEqual([])
    expect(await listed(asDriver, `${job}/`)).toEqual([job])
    const path = `/v1/kept/object?${new URLSearchParams({ job, bucket: 'default', key: 'result' })}`
    for (const method of ['GET', 'DELETE']) {
      const { status, body } = await world.ask(path, { ...asOther, method })
      expect([method, status, body.error?.code]).toEqual([method, 404, 'NOT_FOUND'])
    }
    expect((await world.ask(path, asDriver)).text).toBe('persisted')
    expect((await world.ask(path, { ...asDriver, method: 'DELETE' })).status).toBe(200)
    expect((await world.ask(path, asDriver)).status).toBe(404)
  }
})

test('a folder that cannot be read is a refusal with the name of the error, and no path', async () => {
  const world = await start()
  // Every use of the folder fails, for any user of the system.
  await rm(join(world.dir, 'kept'), { recursive: true })
  await symlink('kept', join(world.dir, 'kept'))
  for (const asked of [{}, asDriver]) {
    for (const prefix of ['', 'j-1/', '../../']) {
      const reply = await world.ask(`/v1/kept?prefix=${prefix}`, asked)
      expect([reply.status, reply.body.error?.code]).toEqual([503, 'UNAVAILABLE'])
      expect(reply.body.error.message).toContain('The persistent store cannot use its disk (ELOOP)')
      for (const name of [...world.dir.split('/').filter((part) => part !== ''), 'secret'])
        expect(reply.text).not.toContain(name)
    }
  }
})
