import { expect, test } from 'vitest'
import { simulate } from './command.ts'

const SEEDS = Number(process.env.SEEDS ?? 300)
const FROM = Number(process.env.SEED ?? 1)

test('a few hundred seeds break no rule', { timeout: 900_000 }, async () => {
  const printed = await simulate('--from', `${FROM}`, '--seeds', `${SEEDS}`)
  expect(printed).toContain(`${SEEDS} seeds from ${FROM}: 0 failed`)
  expect(printed).toContain('0 histories with too many orders to judge')
})
