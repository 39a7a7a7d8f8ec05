import { expect, test } from 'vitest'
import {
  type BalanceDecision,
  balanceServers,
  chooseServer,
  noBalanceMemory,
  type ServerLoad,
} from '../../../controller/metadata/balance.ts'

const server = (id: string, busy: number, jobs = 10): ServerLoad => ({ id, busy, jobs })

/** The decisions of `rounds` rounds with the same loads. */
function decide(loads: readonly ServerLoad[], rounds: number, serversMax = 8): BalanceDecision[] {
  let memory = noBalanceMemory
  const decisions: BalanceDecision[] = []
  for (let round = 0; round < rounds; round++) {
    const step = balanceServers(memory, loads, serversMax)
    memory = step.memory
    if (step.decision.kind !== 'none') decisions.push(step.decision)
  }
  return decisions
}

test('a new job goes to the server with the least to do, and where none has much, to the one with the fewest jobs', () => {
  expect(chooseServer([])).toBeNull()
  expect(chooseServer([server('m-1', 0.02, 5), server('m-2', 0.07, 4)])).toBe('m-2')
  expect(chooseServer([server('m-1', 0.75, 1), server('m-2', 0.3, 40)])).toBe('m-2')
  expect(chooseServer([server('m-2', 0, 0), server('m-1', 0, 0)])).toBe('m-1')
})

test('a server that is busy for long gets another one beside it, up to the bound', () => {
  expect(decide([server('m-1', 0.9)], 60)).toEqual(Array(4).fill({ kind: 'start', busy: 0.9 }))
  expect(decide([server('m-1', 0.9), server('m-2', 0.7)], 16)).toEqual([{ kind: 'start', busy: 0.9 }])
  expect(decide([server('m-1', 0.9), server('m-2', 0.7)], 60, 2)).toEqual([])
  expect(decide([server('m-1', 0.79)], 60)).toEqual([])
})

test('a job of a busy server goes to one that has little to do', () => {
  const move = { kind: 'move', from: 'm-1', to: 'm-2', busy: 0.9 }
  expect(decide([server('m-1', 0.9), server('m-2', 0.1)], 16)).toEqual([move])
})

test('a job that is most of what its server does stays: another one would be as busy with it', () => {
  expect(decide([server('m-1', 0.9, 1), server('m-2', 0.1)], 60)).toEqual([])
  expect(decide([server('m-1', 0.9, 3), server('m-2', 0.5)], 60)).toEqual([])
})

test('short bursts and noise around the band change nothing', () => {
  let memory = noBalanceMemory
  for (let round = 0; round < 200; round++) {
    const { memory: next, decision } = balanceServers(memory, [server('m-1', round % 5 === 0 ? 0.4 : 1)], 8)
    memory = next
    expect(decision.kind).toBe('none')
  }
})
