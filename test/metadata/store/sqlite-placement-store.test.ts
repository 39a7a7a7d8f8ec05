import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import { newRecord } from '../../../metadata/decide/job-record.ts'
import { SqlitePlacementStore } from '../../../metadata/store/sqlite-placement-store.ts'
import { tempDir } from '../../fixture/temp-dir.ts'

const moved = { id: 'j-1', term: 3, address: '127.0.0.1:7001' }

test('a job is here or elsewhere, never both, and of an ended one nothing stays', async () => {
  const path = join(await tempDir(), 'metadata.sqlite')
  const store = new SqlitePlacementStore(path)
  await store.save(newRecord('j-1', 4))
  await store.saveMoved(moved)
  await store.close()
  const again = new SqlitePlacementStore(path)
  expect(await again.jobs()).toEqual([])
  expect(await again.moved()).toEqual([moved])
  await again.save(newRecord('j-1', 4))
  expect((await again.jobs()).map(({ id }) => id)).toEqual(['j-1'])
  expect(await again.moved()).toEqual([])
  await again.saveMoved(moved)
  await again.remove('j-1')
  expect([...(await again.jobs()), ...(await again.moved())]).toEqual([])
  await again.close()
})

test.each([0, 1, 99])('a file of version %i is refused, and stays as it is', async (version) => {
  const path = join(await tempDir(), 'metadata.sqlite')
  const earlier = new Database(path)
  earlier.exec('CREATE TABLE jobs (id TEXT PRIMARY KEY, record BLOB NOT NULL)')
  earlier.pragma(`user_version = ${version}`)
  earlier.close()
  expect(() => new SqlitePlacementStore(path)).toThrow(
    `${path} has version ${version} of the metadata server's state, not 3`,
  )
  const after = new Database(path)
  expect(after.pragma('user_version', { simple: true })).toBe(version)
  after.close()
})

test('a file of the format before is brought forward with its jobs', async () => {
  const path = join(await tempDir(), 'metadata.sqlite')
  const before = new SqlitePlacementStore(path)
  await before.save(newRecord('j-1', 4))
  await before.close()
  const earlier = new Database(path)
  // A record of that format ends before the requests for buckets.
  earlier.exec('UPDATE jobs SET record = CAST(substr(record, 1, length(record) - 4) AS BLOB)')
  earlier.pragma('user_version = 2')
  earlier.close()
  for (let start = 0; start < 2; start++) {
    const store = new SqlitePlacementStore(path)
    expect(await store.jobs()).toEqual([newRecord('j-1', 4)])
    await store.close()
  }
})
