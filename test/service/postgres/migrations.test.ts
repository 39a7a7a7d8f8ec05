import { expect, test } from 'vitest'
import { migrate, type Schema } from '../../../service/postgres/migrations.ts'
import { sql } from '../../../service/postgres/sql.ts'
import { ask, sharedPostgres } from '../../fixture/postgres.ts'

const database = sharedPostgres()

const first: Schema = { component: 'test', steps: [[sql`CREATE TABLE things (id text PRIMARY KEY)`]] }
const second: Schema = { ...first, steps: [...first.steps, [sql`ALTER TABLE things ADD COLUMN size int`]] }

test('tables of an earlier version are brought forward with what is in them, by one of several processes', async (context) => {
  const { url } = await database(context)
  await Promise.all([migrate(url, first), migrate(url, first), migrate(url, first)])
  await ask(url, "INSERT INTO things VALUES ('a')")
  await Promise.all([migrate(url, second), migrate(url, second)])
  expect(await ask(url, 'SELECT * FROM things')).toEqual([{ id: 'a', size: null }])
})

test('tables of a newer version are refused, and left as they are', async (context) => {
  const { url } = await database(context)
  await migrate(url, second)
  await expect(migrate(url, first)).rejects.toThrow(
    "has version 2 of the test's tables, from a newer Mayfly; this one knows 1",
  )
  expect(await ask(url, 'SELECT version FROM schema_versions')).toEqual([{ version: 2 }])
})

test('a step that fails changes nothing', async (context) => {
  const { url } = await database(context)
  const broken: Schema = {
    ...first,
    steps: [...first.steps, [sql`CREATE TABLE more (id int)`, sql`SELECT nonsense`]],
  }
  await expect(migrate(url, broken)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  expect(await ask(url, "SELECT 1 FROM pg_tables WHERE schemaname = 'public'")).toEqual([])
})
