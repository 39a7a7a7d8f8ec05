import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { startMachines } from '../fixture/machines.ts'
import { ask } from '../fixture/postgres.ts'
import { startBusyCluster, startDatabaseOn } from './support/busy-cluster.ts'

/** From the cut until the standbys serve. */
const TAKE_OVER_MS = 6_000
/** How long the cut lasts after that: a lease of a node, so that those end that nobody serves. */
const CUT_MS = 16_000

/** Notes from which machine each row of the database is changed, and on behalf of which role. */
const AUDIT = `
  CREATE TABLE audit (number bigserial, program text, client text);
  CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO audit (program, client) VALUES (current_setting('application_name'), host(inet_client_addr()));
    RETURN NULL;
  END $$;
  DO $$ DECLARE name text; BEGIN
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'audit' LOOP
      EXECUTE format('CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION note()', name);
    END LOOP;
  END $$`

/** The machines that wrote for a role, one after another. */
async function writersOf(database: string, role: string): Promise<string[]> {
  const rows = await ask(database, `SELECT client FROM audit WHERE program LIKE '%${role}' ORDER BY number`)
  const clients = rows.map(({ client }) => String(client))
  return clients.filter((client, index) => client !== clients[index - 1])
}

for (const lost of ['sent', 'received'] as const)
  test(`when a machine with leaders loses all packets that are ${lost}, standbys take over, never two write, and functions see nothing`, async (context) => {
    const [a, b, c, d] = await startMachines(4, context)
    const database = await startDatabaseOn(c, context)
    const running = await startBusyCluster(database, { servers: [a, b], nodes: [d, d] })
    await ask(database, AUDIT)
    await running.decisions.untilMade()
    const cutMs = performance.now()
    await a.drop(lost)
    await Promise.all([running.controllers[1].ready, running.metadata[1].ready])
    const tookOverMs = performance.now() - cutMs
    await running.decisions.untilMade()
    console.info(
      `standbys lead after ${tookOverMs.toFixed(0)} ms, decisions are made after ${(performance.now() - cutMs).toFixed(0)} ms`,
    )
    expect(tookOverMs).toBeLessThan(TAKE_OVER_MS)
    await sleep(CUT_MS)
    await a.dropNothing()
    const healedMs = performance.now()
    await Promise.all([running.controllers[0].exited, running.metadata[0].exited])
    console.info(
      `the former leaders have ended ${(performance.now() - healedMs).toFixed(0)} ms after the cut`,
    )
    for (const [former] of [running.controllers, running.metadata])
      expect(former.log()).toContain('this process has lost the lead')
    await running.finish()
    for (const role of ['controller', 'metadata/m-1'])
      expect(await writersOf(database, role)).toEqual([a.address, b.address])
  })
