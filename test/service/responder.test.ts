import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { expect, onTestFinished, test } from 'vitest'
import { answeredError, MayflyError } from '../../protocol/errors.ts'
import type { Operation } from '../../protocol/operations/operation.ts'
import { systemRuntime } from '../../protocol/runtime.ts'
import { CallerPool } from '../../protocol/transport/caller-pool.ts'
import { dialTcp } from '../../protocol/transport/tcp.ts'
import { array, bytes, struct, text } from '../../protocol/wire/codec.ts'
import { clusterToken } from '../../service/process/cluster-token.ts'
import { Handlers } from '../../service/server/handlers.ts'
import { startWireServer } from '../fixture/wire-server.ts'

const { clock } = systemRuntime

interface Head {
  readonly name: string
  readonly values: readonly Uint8Array[]
}

/** A request that names what its handler does. */
const ask: Operation<{ how: string }, Head> = {
  number: 200,
  name: 'ask',
  request: struct({ how: text }),
  reply: struct({ name: text, values: array(bytes) }),
} as Operation<{ how: string }, Head>

const whole = Buffer.alloc(60_000)

/** Faults of a handler, synchronous and asynchronous. */
const replies: Readonly<Record<string, () => { head: Head; sent?: () => void }>> = {
  works: () => ({ head: { name: 'n', values: [] } }),
  'has a field that is too long': () => ({ head: { name: 'n'.repeat(70_000), values: [] } }),
  'has no fields': () => ({ head: undefined as unknown as Head }),
  'has a head that fits no frame': () => ({ head: { name: 'n', values: new Array(30).fill(whole) } }),
  'throws an error of the system': () => {
    throw Object.assign(new Error("ENOENT: no such file or directory, open '/var/lib/mayfly/secret'"), {
      code: 'ENOENT',
    })
  },
  'throws what a peer has answered': () => {
    throw answeredError(255, 'A request failed by a bug; the log of n-9 has it as fault n-9/3')
  },
}

async function start() {
  const secret = randomBytes(32)
  const lines: { level: number; fault?: string }[] = []
  const log = pino({ level: 'debug' }, { write: (line: string) => void lines.push(JSON.parse(line)) })
  let freed = 0
  const answer = (how: string) => {
    const reply = replies[how.replace(' later', '')]?.()
    if (reply === undefined) throw new MayflyError('NOT_FOUND', how)
    return { ...reply, sent: () => void freed++ }
  }
  const handlers = new Handlers().on(ask, (_peer, { how }) =>
    how.endsWith(' later') ? sleep(1).then(() => answer(how)) : answer(how),
  )
  const { address } = await startWireServer({ secret, handlers, log })
  const pool = new CallerPool({
    dial: dialTcp,
    runtime: systemRuntime,
    token: () => clusterToken(secret, Date.now()),
  })
  onTestFinished(() => pool.close())
  const caller = await pool.to(address)
  const call = (how: string) => caller.call(ask, { how }, { deadlineMs: clock.monotonicMs() + 5_000 })
  return { call, lines, freed: () => freed }
}

const wrong = Object.keys(replies).filter((how) => how !== 'works')

test.each([...wrong, ...wrong.map((how) => `${how} later`)])(
  'I21: a reply that %s fails its request alone, with INTERNAL and nothing of what the error says',
  async (how) => {
    const { call, lines, freed } = await start()
    const beside = Promise.all([call('works'), call('works later')])
    const failure = await call(how).catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 'INTERNAL' })
    expect((failure as MayflyError).reason).not.toMatch(/\/var\/lib|ENOENT|encoded|undefined/)
    await beside
    expect((await call('works')).head.name).toBe('n')
    const isPeers = how.includes('peer')
    expect((failure as MayflyError).reason).toContain(isPeers ? 'n-9/3' : 'n-1/')
    const logged = lines.filter(({ level }) => level === 50)
    expect(logged).toHaveLength(isPeers ? 0 : 1)
    if (!isPeers) expect((failure as MayflyError).reason).toContain(logged[0]?.fault)
    // Memory that the reply holds is released in any case.
    expect(freed()).toBe(how.startsWith('throws') ? 3 : 4)
  },
)
