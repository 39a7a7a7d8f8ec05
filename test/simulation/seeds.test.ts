import { expect, test } from 'vitest'
import { simulate } from './command.ts'

const SEEDS = Number(process.env.SEEDS ?? 300)
const FROM = Number(process.env.SEED ?? 1)

test('seeds of the profile that no seed draws break no rule', { timeout: 300_000 }, async () => {
  const printed = await simulate('--profile', 'stats', '--from', `${FROM}`, '--seeds', '50')
  expect(printed).toContain(`50 seeds from ${FROM}: 0 failed`)
})

test('a few hundred seeds break no rule', { timeout: 900_000 }, async () => {
  const printed = await simulate('--from', `${FROM}`, '--seeds', `${SEEDS}`)
  expect(printed).toContain(`${SEEDS} seeds from ${FROM}: 0 failed`)
  expect(printed).toContain('0 histories with too many orders to judge')
})
