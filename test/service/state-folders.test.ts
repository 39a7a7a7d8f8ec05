import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import { SqliteStore } from '../../controller/store/sqlite-store.ts'
import { SqlitePlacementStore } from '../../metadata/store/sqlite-placement-store.ts'
import { tempDir } from '../fixture/temp-dir.ts'

const versions = new URL('../fixture/state-folders/', import.meta.url).pathname

/** The files of each version, as SQL: `sqlite3 FILE .dump`, with its `user_version`. */
const released = readdirSync(versions)

test('there is a folder of this minor version: a release adds its own', () => {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  expect(released).toContain(version.split('.').slice(0, 2).join('.'))
})

test.for(released)(
  'the state folder of version %s opens with its jobs, keys and placements',
  async (version) => {
    const dir = await tempDir()
    for (const plane of ['controller', 'metadata']) {
      const database = new Database(join(dir, `${plane}.sqlite`))
      database.exec(readFileSync(join(versions, version, `${plane}.sql`), 'utf8'))
      database.close()
    }
    const controller = new SqliteStore(join(dir, 'controller.sqlite'))
    const { jobs, nodes, keys, runs, apiKeys } = await controller.load()
    await controller.close()
    expect(jobs.map(({ name, state }) => [name, state]).sort()).toEqual([
      ['ended', 'ended'],
      ['running', 'active'],
    ])
    expect([nodes.length, keys.length, runs.length, apiKeys.length]).toEqual([1, 1, 1, 1])
    const metadata = new SqlitePlacementStore(join(dir, 'metadata.sqlite'))
    const records = await metadata.jobs()
    const [moved, dead] = [await metadata.moved(), await metadata.deadNodes()]
    await metadata.close()
    expect(records.map(({ id, nodes: placed, owners }) => [id, placed.length, owners.length])).toEqual([
      [jobs.find(({ state }) => state === 'active')?.id, 1, 1024],
    ])
    expect([moved.length, dead.length]).toEqual([1, 2])
  },
)
