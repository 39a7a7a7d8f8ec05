import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import { newRecord } from '../../../metadata/decide/job-record.ts'
import { SqlitePlacementStore } from '../../../metadata/store/sqlite-placement-store.ts'
import { refusingRows } from '../../fixture/sqlite.ts'
import { tempDir } from '../../fixture/temp-dir.ts'
import { placementStoreContract } from './placement-store-contract.ts'

placementStoreContract('SQLite', async () => {
  const path = join(await tempDir(), 'metadata.sqlite')
  const full = refusingRows(path, 'jobs')
  return {
    open: async () => new SqlitePlacementStore(path),
    refuseWrites: full.refuse,
    allowWrites: full.allow,
  }
})

test.each([0, 1, 99])('a file of version %i is refused, and stays as it is', async (version) => {
  const path = join(await tempDir(), 'metadata.sqlite')
  const earlier = new Database(path)
  earlier.exec('CREATE TABLE jobs (id TEXT PRIMARY KEY, record BLOB NOT NULL)')
  earlier.pragma(`user_version = ${version}`)
  earlier.close()
  expect(() => new SqlitePlacementStore(path)).toThrow(
    `${path} has version ${version} of the metadata server's state, ${version > 4 ? 'from a newer Mayfly; this one knows 4' : 'which this Mayfly cannot bring to version 4'}`,
  )
  const after = new Database(path)
  expect(after.pragma('user_version', { simple: true })).toBe(version)
  after.close()
})

test('a file of an earlier format is brought forward with its jobs', async () => {
  const path = join(await tempDir(), 'metadata.sqlite')
  const before = new SqlitePlacementStore(path)
  await before.save(newRecord('j-1', 4))
  await before.close()
  const earlier = new Database(path)
  // A record of that format ends before the requests for buckets.
  earlier.exec('UPDATE jobs SET record = CAST(substr(record, 1, length(record) - 4) AS BLOB)')
  earlier.exec('ALTER TABLE server DROP COLUMN address')
  earlier.pragma('user_version = 2')
  earlier.close()
  for (let start = 0; start < 2; start++) {
    const store = new SqlitePlacementStore(path)
    expect(await store.jobs()).toEqual([newRecord('j-1', 4)])
    await store.close()
  }
})
