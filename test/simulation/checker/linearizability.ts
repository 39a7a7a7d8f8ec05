import { absent, type KeyState, nameState, type Operation } from '../model/state.ts'
import { step } from '../model/step.ts'

export type Verdict =
  | { readonly kind: 'linearizable' }
  /** No order explains the answer of `operation`; just before it the key could be in one of `states`. */
  | { readonly kind: 'violated'; readonly operation: Operation; readonly states: readonly string[] }
  /** There are too many orders to check all of them: the result is unknown. */
  | { readonly kind: 'gaveUp' }

/** One possible order of events so far. */
interface Course {
  readonly state: KeyState
  /** Operations that have happened and have not been answered, by ascending number. */
  readonly happened: readonly number[]
}

/** The order of events at the same time: in doubt, operations overlap. */
const moments = { call: 0, death: 1, return: 2, over: 3 } as const

interface Moment {
  readonly atMs: number
  readonly kind: keyof typeof moments
  readonly number: number
}

/**
 * Whether the operations on one key can be ordered such that each happens between its call and its return and finds what it reported. The set of all courses
 * that explain the answers so far is maintained, and at each answer those courses continue in which the answered operation has happened ("just-in-time
 * linearization", Gavin Lowe, Testing for Linearizability, 2017). A death happens at its time or, for this key, not at all: decisions that the dead node still
 * made precede its death. `coursesMax` bounds the work.
 */
export function checkOrder(
  operations: readonly Operation[],
  { initial = absent, coursesMax = 60_000 }: { initial?: KeyState; coursesMax?: number } = {},
): Verdict {
  const pending = new Set<number>()
  let courses: Course[] = [{ state: initial, happened: [] }]
  for (const { kind, number } of momentsOf(operations)) {
    const operation = operations[number] as Operation
    if (kind === 'call') {
      pending.add(number)
      continue
    }
    const next =
      kind === 'death'
        ? die(courses, { operations, pending, death: operation, coursesMax })
        : kind === 'over'
          ? expire(courses, { operations, pending, over: number, coursesMax })
          : follow(courses, { operations, pending, answered: number, coursesMax })
    if (next === null) return { kind: 'gaveUp' }
    if (next.length === 0) {
      const states = [...new Set(courses.map(({ state }) => nameState(state)))]
      return { kind: 'violated', operation, states }
    }
    pending.delete(number)
    courses = next
  }
  return { kind: 'linearizable' }
}

function momentsOf(operations: readonly Operation[]): Moment[] {
  return operations
    .flatMap(({ what, calledMs, returnedMs, overMs = Number.POSITIVE_INFINITY }, number): Moment[] => {
      if (what.kind === 'death') return [{ atMs: calledMs, kind: 'death', number }]
      const never = returnedMs === Number.POSITIVE_INFINITY
      return [
        { atMs: calledMs, kind: 'call', number },
        never ? { atMs: overMs, kind: 'over', number } : { atMs: returnedMs, kind: 'return', number },
      ]
    })
    .filter(({ atMs }) => Number.isFinite(atMs))
    .sort((a, b) => a.atMs - b.atMs || moments[a.kind] - moments[b.kind] || a.number - b.number)
}

interface Bounds {
  readonly operations: readonly Operation[]
  readonly pending: ReadonlySet<number>
  readonly coursesMax: number
}

/** The courses without an effect of the death, and those in which the death removed something after some of the pending operations. */
function die(courses: readonly Course[], at: Bounds & { death: Operation }): Course[] | null {
  const found = new Map(courses.map((course) => [nameCourse(course), course]))
  const complete = explore(courses, at, (course) => {
    for (const state of step(course.state, at.death)) {
      const after = { ...course, state }
      found.set(nameCourse(after), after)
    }
    return true
  })
  return complete ? [...found.values()] : null
}

/** The courses without an effect of an operation that never returned, and every continuation in which it has happened. */
function expire(courses: readonly Course[], at: Bounds & { over: number }): Course[] | null {
  const happened = follow(courses, { ...at, answered: at.over })
  if (happened === null) return null
  const found = new Map<string, Course>()
  for (const course of [...courses.filter(({ happened }) => !happened.includes(at.over)), ...happened])
    found.set(nameCourse(course), course)
  return [...found.values()]
}

/** Every continuation of these courses in which the answered operation has happened. */
function follow(courses: readonly Course[], at: Bounds & { answered: number }): Course[] | null {
  const found = new Map<string, Course>()
  const complete = explore(courses, at, (course) => {
    if (!course.happened.includes(at.answered)) return true
    const after = { ...course, happened: course.happened.filter((number) => number !== at.answered) }
    found.set(nameCourse(after), after)
    return false
  })
  return complete ? [...found.values()] : null
}

/** Visits all courses in which pending operations happen; continues beyond one only if `visit` says so. False if there are too many. */
function explore(courses: readonly Course[], at: Bounds, visit: (course: Course) => boolean): boolean {
  const seen = new Set<string>()
  const stack = [...courses]
  for (let course = stack.pop(); course !== undefined; course = stack.pop()) {
    const name = nameCourse(course)
    if (seen.has(name)) continue
    seen.add(name)
    if (seen.size > at.coursesMax) return false
    if (!visit(course)) continue
    for (const number of at.pending) {
      if (course.happened.includes(number)) continue
      for (const state of step(course.state, at.operations[number] as Operation)) {
        stack.push({ state, happened: [...course.happened, number].sort((a, b) => a - b) })
      }
    }
  }
  return true
}

function nameCourse({ state, happened }: Course): string {
  return `${happened.join(',')}/${nameState(state)}`
}
