import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import { SqliteStore } from '../../../controller/store/sqlite-store.ts'
import { refusingRows } from '../../fixture/sqlite.ts'
import { tempDir } from '../../fixture/temp-dir.ts'
import { storeContract } from './store-contract.ts'

storeContract('SQLite', async () => {
  const path = join(await tempDir(), 'controller.sqlite')
  const full = refusingRows(path, 'jobs')
  return { open: async () => new SqliteStore(path), refuseJobs: full.refuse, allowJobs: full.allow }
})

test.for([2, 99])(
  'a file of version %i, earlier or later, is refused, and left as it is',
  async (version) => {
    const path = join(await tempDir(), 'controller.sqlite')
    const database = new Database(path)
    database.pragma(`user_version = ${version}`)
    database.close()
    expect(() => new SqliteStore(path)).toThrow(`${path} has version ${version} of the controller's state`)
    const after = new Database(path)
    expect(after.pragma('user_version', { simple: true })).toBe(version)
    after.close()
  },
)

test('a file that is no database is refused with its path', async () => {
  const path = join(await tempDir(), 'controller.sqlite')
  writeFileSync(path, 'this is no database, and long enough to be seen as none '.repeat(20))
  expect(() => new SqliteStore(path)).toThrow(path)
})

test('a file of version 4 is brought forward: keys and runs get the owner of their job', async () => {
  const path = join(await tempDir(), 'controller.sqlite')
  const earlier = new Database(path)
  earlier.exec(`
    CREATE TABLE jobs (id TEXT PRIMARY KEY, document TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE nodes (id TEXT PRIMARY KEY, document TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE runs (job TEXT PRIMARY KEY, document TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE keys (
      key TEXT PRIMARY KEY,
      bodyHash TEXT NOT NULL,
      job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX keysByJob ON keys (job);
    PRAGMA user_version = 4;
    INSERT INTO jobs VALUES ('j-a', '{"id":"j-a","name":"n","owner":"ci"}');
    INSERT INTO keys VALUES ('k', 'h', 'j-a');
    INSERT INTO runs VALUES ('j-a', '{"job":"j-a","name":"n/1","endedAtMs":5}');
    INSERT INTO runs VALUES ('j-forgotten', '{"job":"j-forgotten","name":"n","endedAtMs":4}');
  `)
  earlier.close()
  for (let start = 0; start < 2; start++) {
    const store = new SqliteStore(path)
    expect(await store.load()).toMatchObject({
      jobs: [{ id: 'j-a' }],
      keys: [{ owner: 'ci', key: 'k', bodyHash: 'h', job: 'j-a' }],
      runs: [
        { job: 'j-a', name: 'ci/n/1', endedAtMs: 5 },
        { job: 'j-forgotten', name: 'default/n', endedAtMs: 4 },
      ],
      apiKeys: [],
    })
    await store.close()
  }
})
