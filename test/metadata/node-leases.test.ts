import { expect, test } from 'vitest'
import { NodeLeases } from '../../metadata/serve/node-leases.ts'
import { HEARTBEAT_MS, LEASE_MARGIN_MS, NODE_LEASE_MS } from '../../protocol/limits.ts'

/** Sends every heartbeat until `untilMs`. */
function askUntil(leases: NodeLeases, untilMs: number): string[] {
  let silent: string[] = []
  for (let now = 0; now <= untilMs; now += HEARTBEAT_MS) silent = leases.silent(now)
  return silent
}

test('a node is silent only when its lease must have lapsed', () => {
  const leases = new NodeLeases(0)
  leases.watch('n', 0)
  expect(askUntil(leases, NODE_LEASE_MS + LEASE_MARGIN_MS - HEARTBEAT_MS)).toEqual([])
  expect(leases.silent(NODE_LEASE_MS + LEASE_MARGIN_MS + 1)).toEqual(['n'])
})

test('a heartbeat renews, and to be watched again does not', () => {
  const leases = new NodeLeases(0)
  leases.watch('n', 0)
  leases.grant('n', 5000)
  leases.watch('n', 9000)
  expect(askUntil(leases, 20_000)).toEqual([])
  expect(leases.silent(5001 + NODE_LEASE_MS + LEASE_MARGIN_MS)).toEqual(['n'])
})

test('time in which this process stood still is no silence of the nodes', () => {
  const leases = new NodeLeases(0)
  leases.watch('n', 0)
  expect(leases.silent(1_000_000)).toEqual([])
  expect(leases.silent(1_001_000)).toEqual([])
})

test('a node that is forgotten is not silent', () => {
  const leases = new NodeLeases(0)
  leases.watch('n', 0)
  leases.forget('n')
  expect(askUntil(leases, 60_000)).toEqual([])
})

test('I29: no node is dead while the process before may still have granted leases', () => {
  const formerUntilMs = 60_000
  const leases = new NodeLeases(0, { mayAct: true, formerUntilMs })
  leases.watch('n-1', 0)
  let nowMs = 0
  for (; leases.silent(nowMs).length === 0; nowMs += HEARTBEAT_MS) expect(nowMs).toBeLessThan(100_000)
  expect(nowMs).toBeGreaterThan(formerUntilMs + NODE_LEASE_MS + LEASE_MARGIN_MS)
})

test('a process that may act no more grants no lease', () => {
  const leases = new NodeLeases(0, { mayAct: false, formerUntilMs: 0 })
  expect(() => leases.renew('n-1', 0)).toThrow('Another process may be this metadata server by now')
})
