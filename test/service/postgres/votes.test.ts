import { setTimeout as sleep } from 'node:timers/promises'
import { beforeEach, expect, onTestFinished, type TestContext, test } from 'vitest'
import { isLeader } from '../../../service/postgres/fence.ts'
import type { Lead } from '../../../service/postgres/lead.ts'
import { DATABASE_WRITE_MS_MAX, LEAD_MS, VOTES_MS } from '../../../service/postgres/limits.ts'
import { sql } from '../../../service/postgres/sql.ts'
import { Votes } from '../../../storage-node/membership/votes.ts'
import { startCuttableProxy } from '../../fixture/cuttable-proxy.ts'
import { leadOf } from '../../fixture/lead.ts'
import { pausableRuntime } from '../../fixture/paused-runtime.ts'
import { ask, sharedPostgres, type TestDatabase } from '../../fixture/postgres.ts'

const database = sharedPostgres()
let state: TestDatabase

beforeEach(async (context) => {
  state = await database(context as TestContext)
})

const toleratedMs = 60_000
const ids = ['n-1', 'n-2', 'n-3']

/** Storage nodes as voters of one metadata server. */
class Nodes {
  readonly #nodes = new Map(ids.map((id) => [id, new Votes()]))

  /** The process asks these nodes twice a second from now on; `reach` may change meanwhile. */
  serve(lead: Lead, reach: Set<string>): void {
    lead.nominate(ids.map((id) => ({ id, address: `${id}:1` })))
    const timer = setInterval(() => this.#ask(lead, reach), 500)
    onTestFinished(() => clearInterval(timer))
  }

  #ask(lead: Lead, reach: ReadonlySet<string>): void {
    const asked = lead.voters.filter(({ id }) => reach.has(id))
    const { term: generation } = lead
    const follow = ({ id }: { id: string }): boolean =>
      this.#nodes.get(id)?.cast({ server: 'm-1', generation }) === generation
    const followers = new Set(asked.filter(follow).map(({ id }) => id))
    if (followers.size > 0) lead.voted(followers, performance.now())
  }
}

async function untilVotersAreStored(): Promise<void> {
  await expect
    .poll(async () => (await ask(state.url, 'SELECT voters FROM leaders'))[0]?.voters)
    .toHaveLength(ids.length)
}

/** A leader that reaches PostgreSQL on a way of its own. */
async function cuttable(): Promise<{ lead: Lead; cut: () => void }> {
  const proxy = await startCuttableProxy(state.server.port)
  const url = state.url.replace(`:${state.server.port}/`, `:${proxy.port}/`)
  return { lead: await leadOf(url, { toleratedMs }), cut: () => proxy.cut() }
}

test('I29: a leader whose database is away goes on while most voters follow it, and leads again when it is back', async () => {
  await ask(state.url, 'CREATE TABLE notes (id text PRIMARY KEY)')
  const note = (id: string) => sql`INSERT INTO notes SELECT ${id}::text WHERE ${isLeader}`
  const lead = await leadOf(state.url, { toleratedMs })
  const reach = new Set(ids)
  new Nodes().serve(lead, reach)
  await untilVotersAreStored()
  reach.delete('n-3')
  await state.server.halt()
  await expect.poll(() => lead.isRenewed).toBe(false)
  const beganMs = performance.now()
  await expect(lead.write([note('a')])).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  expect(performance.now() - beganMs).toBeLessThan(DATABASE_WRITE_MS_MAX + 1_000)
  await sleep(LEAD_MS + VOTES_MS)
  expect(lead.mayAct).toBe(true)
  await state.server.resume()
  await expect.poll(() => lead.isRenewed).toBe(true)
  await lead.write([note('b')])
  expect(await ask(state.url, 'SELECT id FROM notes')).toEqual([{ id: 'b' }])
})

test('I29: a leader whose database is away ends when it loses the majority of its voters', async () => {
  const lead = await leadOf(state.url, { toleratedMs })
  const reach = new Set(ids)
  new Nodes().serve(lead, reach)
  await untilVotersAreStored()
  await state.server.halt()
  await sleep(LEAD_MS + 1_000)
  expect(lead.mayAct).toBe(true)
  reach.delete('n-1')
  reach.delete('n-2')
  const beganMs = performance.now()
  expect(await lead.lost).toBe('the database did not answer until the lead had expired')
  expect(performance.now() - beganMs).toBeLessThan(VOTES_MS)
  await state.server.resume()
})

test('I29: the successor of a dead leader knows that it has ended once half of the voters follow it', async () => {
  const dead = pausableRuntime()
  const nodes = new Nodes()
  const first = await leadOf(state.url, { toleratedMs, runtime: dead.runtime })
  nodes.serve(first, new Set(ids))
  await untilVotersAreStored()
  dead.pause()
  const second = await leadOf(state.url, { toleratedMs })
  expect(second.formerUntilMs - performance.now()).toBeGreaterThan(toleratedMs - 5_000)
  // One of three may be on the machine of the former leader.
  nodes.serve(second, new Set(['n-2', 'n-3']))
  await expect.poll(() => second.formerUntilMs - performance.now()).toBeLessThanOrEqual(VOTES_MS)
})

/** The first leader was cut off with most voters; then the second began to lead. */
async function succeededLeaders() {
  const nodes = new Nodes()
  const { lead: first, cut } = await cuttable()
  nodes.serve(first, new Set(['n-1', 'n-2']))
  await untilVotersAreStored()
  cut()
  return { nodes, first, second: await leadOf(state.url, { toleratedMs }) }
}

test('I29: a leader that is cut off with most voters goes on, and its successor knows that it may', async () => {
  const { nodes, first, second } = await succeededLeaders()
  const reach = new Set(['n-3'])
  nodes.serve(second, reach)
  await sleep(VOTES_MS)
  expect(first.mayAct).toBe(true)
  expect(second.formerUntilMs - performance.now()).toBeGreaterThan(toleratedMs / 2)
  // Who leads next has to ask the same voters, so they stay.
  expect((await ask(state.url, 'SELECT voters FROM leaders'))[0]?.voters).toHaveLength(ids.length)
  reach.add('n-2')
  const beganMs = performance.now()
  await first.lost
  expect(performance.now() - beganMs).toBeLessThan(VOTES_MS + 1_000)
  expect(second.formerUntilMs).toBeGreaterThan(performance.now() - 1_000)
})

test('I29: a successor that ends before the former leader must have ended leaves that to the next one', async () => {
  const { first, second } = await succeededLeaders()
  await second.release()
  const third = await leadOf(state.url, { toleratedMs })
  expect(third.term).toBe(3)
  expect(third.formerUntilMs - performance.now()).toBeGreaterThan(toleratedMs / 2)
  expect(first.mayAct).toBe(true)
})

test('I29: voters are stored at once, not with the next renewal, so that the database may be away right after the first job', async () => {
  const lead = await leadOf(state.url, { toleratedMs })
  // A renewal has just been sent.
  await expect.poll(async () => (await ask(state.url, 'SELECT voters FROM leaders'))[0]?.voters).toEqual([])
  const beganMs = performance.now()
  new Nodes().serve(lead, new Set(ids))
  await untilVotersAreStored()
  expect(performance.now() - beganMs).toBeLessThan(400)
})
