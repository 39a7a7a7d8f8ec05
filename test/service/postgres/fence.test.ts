import fc from 'fast-check'
import { Client } from 'pg'
import { beforeEach, expect, onTestFinished, type TestContext, test } from 'vitest'
import { Database, type Row } from '../../../service/postgres/database.ts'
import { type Fence, fenced, isLeader, raised } from '../../../service/postgres/fence.ts'
import { leadershipSchema, tryLead } from '../../../service/postgres/leadership.ts'
import { migrate } from '../../../service/postgres/migrations.ts'
import { type Sql, sql } from '../../../service/postgres/sql.ts'
import { leadOptions } from '../../fixture/lead.ts'
import { ask, sharedPostgres } from '../../fixture/postgres.ts'

const prepare = sharedPostgres()
let url = ''
let database: Database

beforeEach(async (context) => {
  url = (await prepare(context as TestContext)).url
  await migrate(url, leadershipSchema)
  database = new Database({ url, name: 'test', statementMsMax: 60_000 })
  onTestFinished(() => database.close())
})

const role = 'test'
const processes = ['a', 'b', 'c']
const rows = ['x', 'y']

/** What time does to a lead that is not renewed. */
const expire = () => database.query(sql`UPDATE leaders SET expires_at = clock_timestamp() - interval '1 s'`)

/** A fence that a leader of an older term passes. */
const withoutTerm = (statement: Sql): Sql => {
  const { text, values } = statement.render()
  return { render: () => ({ text: text.replace('AND term = ', 'AND term >= '), values }) } as Sql
}

/** A fence that reads the row of the role and does not lock it. */
const withoutLock = (statement: Sql): Sql => {
  const { text, values } = statement.render()
  return { render: () => ({ text: text.replace('FOR KEY SHARE', ''), values }) } as Sql
}

interface Model {
  /** The fence that the row of the role is at, and who leads. */
  now: Fence | null
  holder: string | null
  expired: boolean
  /** What each process believes. */
  readonly believed: Map<string, Fence>
  /** Statements that have been sent and have not arrived. */
  sent: { fence: Fence; row: string; value: number }[]
  readonly rows: Map<string, number>
}

type Step =
  | { do: 'expire' }
  | { do: 'lead'; process: string }
  | { do: 'raise'; process: string }
  | { do: 'send'; process: string; row: string; value: number }
  | { do: 'arrive'; pick: number }

const steps = fc.array(
  fc.oneof(
    { arbitrary: fc.constant<Step>({ do: 'expire' }), weight: 2 },
    {
      arbitrary: fc.record({ do: fc.constant('lead' as const), process: fc.constantFrom(...processes) }),
      weight: 3,
    },
    {
      arbitrary: fc.record({ do: fc.constant('raise' as const), process: fc.constantFrom(...processes) }),
      weight: 1,
    },
    {
      arbitrary: fc.record({
        do: fc.constant('send' as const),
        process: fc.constantFrom(...processes),
        row: fc.constantFrom(...rows),
        value: fc.nat(),
      }),
      weight: 4,
    },
    { arbitrary: fc.record({ do: fc.constant('arrive' as const), pick: fc.nat() }), weight: 4 },
  ),
  { minLength: 10, maxLength: 40 },
)

/** Processes that lead, are paused with statements on their way, and go on later, against the real database and a model of the fence. */
async function play(all: readonly Step[], send: (statement: Sql) => Sql): Promise<void> {
  await ask(
    url,
    'DROP TABLE IF EXISTS register; CREATE TABLE register (id text PRIMARY KEY, value int NOT NULL); DELETE FROM leaders',
  )
  const model: Model = {
    ...{ now: null, holder: null, expired: true },
    ...{ believed: new Map(), sent: [], rows: new Map() },
  }
  for (const step of all) await apply(step, model, send)
  // Whatever is still on its way arrives in the end.
  while (model.sent.length > 0) await apply({ do: 'arrive', pick: 0 }, model, send)
}

async function apply(step: Step, model: Model, send: (statement: Sql) => Sql): Promise<void> {
  if (step.do === 'expire') {
    await expire()
    model.expired = true
  } else if (step.do === 'lead') {
    const terms = await tryLead(database, step.process, leadOptions(url, { role }))
    expect(terms !== null).toBe(model.expired)
    if (terms === null) return
    expect(terms.term).toBe((model.now?.term ?? 0) + 1)
    model.now = { role, term: terms.term, attempt: 0 }
    model.holder = step.process
    model.expired = false
    model.believed.set(step.process, model.now)
  } else if (step.do === 'raise') {
    const fence = model.believed.get(step.process)
    if (fence === undefined) return
    const [row] = await database.query(raised(fence, step.process))
    const leads = fence.term === model.now?.term && model.holder === step.process
    expect(row !== undefined).toBe(leads)
    if (row === undefined) return
    model.now = { ...fence, attempt: Number(row.attempt) }
    model.believed.set(step.process, model.now)
  } else if (step.do === 'send') {
    const fence = model.believed.get(step.process)
    if (fence !== undefined) model.sent.push({ ...step, fence })
  } else if (model.sent.length > 0) {
    const [{ fence, row, value }] = model.sent.splice(step.pick % model.sent.length, 1) as [
      Model['sent'][number],
    ]
    const put = sql`INSERT INTO register SELECT ${row}::text, ${value}::int WHERE ${isLeader}
      ON CONFLICT (id) DO UPDATE SET value = excluded.value`
    const [answer] = await database.query(send(fenced(fence, [put])))
    const counts = fence.term === model.now?.term && fence.attempt === model.now.attempt
    if (counts) model.rows.set(row, value)
    expect({ led: answer?.led, rows: valuesOf(await database.query(sql`SELECT * FROM register`)) }).toEqual({
      led: counts ? 1 : 0,
      rows: Object.fromEntries(model.rows),
    })
  }
}

const valuesOf = (all: readonly Row[]) => Object.fromEntries(all.map(({ id, value }) => [id, value]))

const seed = process.env.SEED === undefined ? {} : { seed: Number(process.env.SEED) }

test('I28: of all that leaders send, paused and late, only that of the present term and attempt changes anything', async () => {
  await fc.assert(
    fc.asyncProperty(steps, (all) => play(all, (statement) => statement)),
    { numRuns: 60, ...seed },
  )
})

test('a fence without the term is found by the same steps', async () => {
  const outcome = await fc.check(
    fc.asyncProperty(steps, (all) => play(all, withoutTerm)),
    { numRuns: 200, endOnFailure: true, ...seed },
  )
  expect(outcome.failed).toBe(true)
})

/** A row whose trigger notes each write of an older term after one of a newer term. */
async function prepareRegister(): Promise<void> {
  await ask(
    url,
    `CREATE TABLE register (term int NOT NULL); INSERT INTO register VALUES (0); CREATE TABLE violations (was int, now int);
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN IF NEW.term < OLD.term THEN INSERT INTO violations VALUES (OLD.term, NEW.term); END IF; RETURN NEW; END $$;
    CREATE TRIGGER note BEFORE UPDATE ON register FOR EACH ROW EXECUTE FUNCTION note()`,
  )
}

const violations = async () => (await ask(url, 'SELECT * FROM violations')).length

const lead = (holder: string) => tryLead(database, holder, leadOptions(url, { role }))

test('I28: no write of an older term comes after one of a newer term, however they race', async () => {
  await prepareRegister()
  let isOver = false
  const writers: Promise<void>[] = []
  const write = async (term: number): Promise<void> => {
    // It rests between its look at the fence and its change.
    const change = sql`UPDATE register SET term = ${term}::int FROM (SELECT pg_sleep(0.01)::text AS slept OFFSET 0) AS rest
      WHERE ${isLeader} AND slept IS NOT NULL`
    while (!isOver) {
      const [row] = await database.query(fenced({ role, term, attempt: 0 }, [change]))
      if (row?.led !== 1) return
    }
  }
  for (let turn = 0; turn < 20; turn++) {
    await expire()
    const terms = await lead(processes[turn % processes.length] ?? '')
    writers.push(write(terms?.term ?? 0), write(terms?.term ?? 0))
    await database.query(sql`SELECT pg_sleep(0.02)`)
  }
  isOver = true
  await Promise.all(writers)
  expect(await violations()).toBe(0)
})

/** A process takes over while a statement of the former leader has passed its fence and not made its change. */
async function takeOverBetween(send: (statement: Sql) => Sql): Promise<number> {
  await prepareRegister()
  const held = new Client({ connectionString: url })
  await held.connect()
  await held.query('SELECT pg_advisory_lock(1)')
  const put = (term: number, rest: Sql): Sql =>
    fenced({ role, term, attempt: 0 }, [
      sql`UPDATE register SET term = ${term}::int FROM (SELECT ${rest}::text AS slept OFFSET 0) AS rest
        WHERE ${isLeader} AND slept IS NOT NULL`,
    ])
  await expire()
  const former = await lead('a')
  const late = database.query(send(put(former?.term ?? 0, sql`pg_advisory_xact_lock(1)`)))
  await expect.poll(waiting).toHaveLength(1)
  await expire()
  let hasTaken = false
  const taking = lead('b')
    .then((terms) => database.query(send(put(terms?.term ?? 0, sql`1`))))
    .finally(() => {
      hasTaken = true
    })
  await expect.poll(async () => hasTaken || (await waiting()).length === 2).toBe(true)
  await held.end()
  await Promise.all([late, taking])
  return await violations()
}

/** The statements that wait for locks. */
const waiting = () => ask(url, "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'")

test('I28: a take-over waits for a statement that has passed its fence', async () => {
  expect(await takeOverBetween((statement) => statement)).toBe(0)
})

test('a fence without its lock is found by the same take-over', async () => {
  expect(await takeOverBetween(withoutLock)).toBe(1)
})
