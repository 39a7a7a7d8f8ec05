import { expect, test } from 'vitest'
import { LOOK_MS, PING_LOOKS, SILENT_LOOKS } from '../../protocol/limits.ts'
import { Hearing } from '../../protocol/transport/hearing.ts'
import { VirtualClock } from '../controller/support/virtual-clock.ts'

/** A connection with a call under way; counts its pings and failures. */
function listen() {
  const clock = new VirtualClock()
  const seen = { sent: 0, asked: 0, silent: 0, isAwaited: true }
  const hearing = new Hearing({
    clock,
    sent: () => seen.sent,
    isAwaited: () => seen.isAwaited,
    ask: () => {
      seen.asked++
      send()
    },
    onSilent: () => {
      seen.silent++
    },
  })
  const send = (): void => hearing.sent(++seen.sent)
  return { clock, seen, hearing, send }
}

test('a connection is silent when neither an answer nor a receipt comes for what was sent', async () => {
  const { clock, seen, hearing, send } = listen()
  send()
  await clock.advance((SILENT_LOOKS - 1) * LOOK_MS)
  expect(hearing.isSilent).toBe(false)
  await clock.advance(LOOK_MS)
  expect(hearing.isSilent).toBe(true)
  expect(seen).toMatchObject({ silent: 1, asked: 0 })
  hearing.heard()
  expect(hearing.isSilent).toBe(false)
})

test('bytes that come are no word that what was sent has come: after the last of them the connection is silent as soon as any', async () => {
  const { clock, seen, hearing, send } = listen()
  send()
  hearing.confirm(1)
  send()
  await clock.advance(LOOK_MS)
  hearing.heard()
  await clock.advance(SILENT_LOOKS * LOOK_MS)
  expect(seen.silent).toBe(1)
})

test('a server that owes nothing but late answers is asked from time to time, and at once after a standstill', async () => {
  const { clock, seen, hearing, send } = listen()
  send()
  hearing.heard()
  hearing.confirm(1)
  await clock.advance((PING_LOOKS - 1) * LOOK_MS)
  expect(seen.asked).toBe(0)
  await clock.advance(LOOK_MS)
  expect(seen.asked).toBe(1)
  hearing.heard()
  hearing.confirm(2)
  clock.jump(3_000)
  await clock.advance(LOOK_MS)
  expect(seen).toMatchObject({ asked: 2, silent: 0 })
  await clock.advance(SILENT_LOOKS * LOOK_MS)
  expect(seen.silent).toBeGreaterThan(0)
})

test('nobody looks at a connection on which nobody waits', async () => {
  const { clock, seen, hearing, send } = listen()
  send()
  seen.isAwaited = false
  await clock.advance(10 * PING_LOOKS * LOOK_MS)
  expect(seen).toMatchObject({ asked: 0, silent: 0 })
  expect(hearing.isSilent).toBe(false)
})
