import { describeFault } from './faults/plan.ts'
import type { Plan, Run } from './plan.ts'
import { CALLS_DEFAULT, simulate } from './scenario.ts'

interface Failing {
  readonly plan: Plan
  readonly run: Run
}

const CALLS_MIN = 6

/** The smallest plan found that still breaks a rule that this run broke: without irrelevant faults, and with fewer calls. */
export async function shrink(plan: Plan, run: Run): Promise<Failing> {
  const rules = new Set(run.failures.map(({ rule }) => rule))
  let best: Failing = {
    plan: { ...plan, faults: plan.faults ?? run.faults.map(({ number }) => number) },
    run,
  }
  const tryPlan = async (candidate: Plan): Promise<boolean> => {
    const result = await simulate(candidate)
    if (!result.failures.some(({ rule }) => rules.has(rule))) return false
    best = { plan: candidate, run: result }
    return true
  }
  for (let smaller = true; smaller; ) {
    smaller = false
    const faults = best.plan.faults ?? []
    for (const number of faults) {
      const without = (best.plan.faults ?? []).filter((other) => other !== number)
      if (await tryPlan({ ...best.plan, faults: without })) smaller = true
    }
    for (const part of [0.25, 0.5, 0.75, 0.9]) {
      const calls = Math.floor(best.plan.calls * part)
      if (calls < CALLS_MIN || !(await tryPlan({ ...best.plan, calls }))) continue
      smaller = true
      break
    }
  }
  return best
}

/** What was violated, the history that led to it, and the command that reproduces it. */
export function describeFailure({ plan, run }: Failing, planted: string): string {
  const chosen = run.faults.filter(({ number }) => plan.faults === null || plan.faults.includes(number))
  const flags = [
    `--seed ${plan.seed}`,
    ...(plan.calls === CALLS_DEFAULT ? [] : [`--ops ${plan.calls}`]),
    ...(plan.faults === null ? [] : [`--faults ${plan.faults.join(',') || 'none'}`]),
    ...(plan.profile === '' ? [] : [`--profile ${plan.profile}`]),
    ...(planted ? [`--planted ${planted}`] : []),
  ]
  return [
    `Seed ${plan.seed} (${run.profile}) fails:`,
    ...run.failures.slice(0, 3).map(({ rule, what }) => `* ${rule}: ${what}`),
    ...(run.failures.length > 3 ? [`* and ${run.failures.length - 3} more`] : []),
    'What happened:',
    ...chosen.map((fault) => `  ${describeFault(fault)}`),
    ...run.notes.map((note) => `  ${note}`),
    `Replay: npm run simulate -- ${flags.join(' ')}`,
  ].join('\n')
}
