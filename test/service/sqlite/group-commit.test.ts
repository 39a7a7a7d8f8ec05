import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, onTestFinished, test } from 'vitest'
import { GroupCommit } from '../../../service/sqlite/group-commit.ts'
import { openSqlite } from '../../../service/sqlite/open-sqlite.ts'
import { tempDir } from '../../fixture/temp-dir.ts'

async function start() {
  const path = join(await tempDir(), 'notes.sqlite')
  const tables = 'CREATE TABLE notes (note TEXT PRIMARY KEY) STRICT, WITHOUT ROWID'
  const database = openSqlite(path, { what: 'the notes', version: 1, tables, migrations: {} })
  const reader = new Database(path)
  onTestFinished(() => void [reader, database].map((each) => each.close()))
  const commits = new GroupCommit(database, 'the notes')
  const insert = database.prepare('INSERT INTO notes VALUES (?)')
  const put = (note: string): Promise<void> => commits.run(() => insert.run(note))
  const stored = () => reader.prepare('SELECT note FROM notes ORDER BY note').pluck().all()
  return { path, commits, put, stored }
}

/** How many transactions are in the write-ahead log: the last page of each is marked with the size of the database. */
function transactionsIn(path: string): number {
  const log = readFileSync(`${path}-wal`)
  const pageBytes = log.readUInt32BE(8)
  let transactions = 0
  for (let at = 32; at < log.length; at += 24 + pageBytes) if (log.readUInt32BE(at + 4) > 0) transactions++
  return transactions
}

test('the writes of one turn are one transaction, and none is answered before it is stored', async () => {
  const { path, put, stored } = await start()
  await put('a')
  const before = transactionsIn(path)
  const storedAtAnswer: unknown[][] = []
  const writes = ['b', 'c', 'd'].map(async (note) => {
    await put(note)
    storedAtAnswer.push(stored())
  })
  expect(stored()).toEqual(['a'])
  await Promise.all(writes)
  expect(storedAtAnswer).toEqual(Array(3).fill(['a', 'b', 'c', 'd']))
  expect(transactionsIn(path) - before).toBe(1)
})

test('a refused write fails those behind it, the last one first, and none before it', async () => {
  const { put, stored } = await start()
  await put('taken')
  const outcomes: string[] = []
  const note = (text: string) =>
    put(text).then(
      () => outcomes.push(`stored ${text}`),
      (error) => outcomes.push(`${error.code} ${text}`),
    )
  await Promise.all(['a', 'b', 'taken', 'c', 'd'].map(note))
  expect(outcomes).toEqual(['stored a', 'stored b', 'UNAVAILABLE d', 'UNAVAILABLE c', 'UNAVAILABLE taken'])
  expect(stored()).toEqual(['a', 'b', 'taken'])
  await note('e')
  expect(stored()).toEqual(['a', 'b', 'e', 'taken'])
})

test('what waits is stored at once where the file is about to be closed', async () => {
  const { commits, put, stored } = await start()
  const written = put('a')
  commits.commit()
  expect(stored()).toEqual(['a'])
  await written
})
