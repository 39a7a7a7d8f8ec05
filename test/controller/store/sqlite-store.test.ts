import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import { SqliteStore } from '../../../controller/store/sqlite-store.ts'
import { tempDir } from '../../fixture/temp-dir.ts'
import { storeContract } from './store-contract.ts'

storeContract('SQLite', async () => {
  const path = join(await tempDir(), 'controller.sqlite')
  return async () => new SqliteStore(path)
})

test.for([2, 99])(
  'a file of version %i, earlier or later, is refused, and left as it is',
  async (version) => {
    const path = join(await tempDir(), 'controller.sqlite')
    const database = new Database(path)
    database.pragma(`user_version = ${version}`)
    database.close()
    expect(() => new SqliteStore(path)).toThrow(`version ${version}`)
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
