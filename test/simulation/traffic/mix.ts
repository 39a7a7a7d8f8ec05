import type { ActionName, BulkName, Profile } from '../profiles.ts'
import type { SeededRandom } from '../world/random.ts'
import { BUCKETS, TransientNames } from './buckets.ts'
import type { Bulk } from './bulk.ts'
import { type Action, type Call, isMutation, isUnknown, type Put, type PutRule } from './history.ts'
import { type Home, nameOf, nameValue, VALUE_BYTES_MIN } from './values.ts'

/** More mutations of one key with unknown outcome would make its history too costly to check. */
const UNKNOWN_MAX = 4
const LARGE_BYTES_MAX = 1_400
/** Weight of each bulk action relative to the usual ones, in profiles that make any. */
const BULK_WEIGHT = 6
/** Longer than a read lease, and than the pause after which a stream no longer renews it. */
const PAUSE_MS_MAX = 3_000

/**
 * Draws the actions of clients. There are few keys, so that calls collide, and they are the same in every job and bucket, so that a leak between them shows.
 */
export class Mix {
  readonly #jobs: readonly string[]
  readonly #profile: Profile
  readonly #unknown = new Map<string, number>()
  readonly #versions = new Map<string, number>()
  #values = 0

  readonly transient = new TransientNames()

  constructor(jobs: readonly string[], profile: Profile) {
    this.#jobs = jobs
    this.#profile = profile
  }

  draw(random: SeededRandom): { home: Home; action: Action | Bulk } {
    const job = random.pick(this.#jobs)
    const bucket = this.#bucket(job, random)
    const stem = random.pick(this.#profile.keys)
    const home = { job, bucket, key: this.#living(job, bucket, stem) }
    return { home, action: this.#action(home, random) }
  }

  /** Every key that may hold something, for the last reading of a run. */
  homes(): Home[] {
    return this.#jobs.flatMap((job) =>
      this.#bucketsOf(job).flatMap((bucket) =>
        this.#profile.keys.flatMap((stem) => {
          const rounds = this.#rounds(job, bucket, stem)
          return Array.from({ length: rounds + 1 }, (_, round) => ({ job, bucket, key: keyOf(stem, round) }))
        }),
      ),
    )
  }

  #bucket(job: string, random: SeededRandom): string {
    const { transient } = this.#profile
    if (transient > 0 && random.chance(transient)) return this.transient.current(job)
    return random.chance(0.75) ? 'default' : 'frames'
  }

  #bucketsOf(job: string): string[] {
    return [...BUCKETS, ...(this.#profile.transient > 0 ? this.transient.all(job) : [])]
  }

  /** Remembers versions, and the number of unknown outcomes of a key: a key with too many is not used again. */
  learn({ home, action, outcome }: Call): void {
    const name = nameOf(home)
    if (isMutation(action) && isUnknown(outcome)) {
      for (const key of action.kind === 'deleteMany' ? action.keys : [home.key]) {
        const touched = nameOf({ ...home, key })
        this.#unknown.set(touched, (this.#unknown.get(touched) ?? 0) + 1)
      }
    }
    if (outcome.kind === 'version') this.#versions.set(name, outcome.version)
    if (outcome.kind === 'stat' && outcome.stat !== null) this.#versions.set(name, outcome.stat.version)
  }

  #action(home: Home, random: SeededRandom): Action | Bulk {
    const { actions } = this.#profile
    const lines: readonly (readonly [ActionName, number, () => Action])[] = [
      ['put', 20, () => this.#put(random, 'always', 0)],
      ['putAbsent', 9, () => this.#put(random, 'absent', 0)],
      ['putExpiring', 4, () => this.#put(random, 'always', 1 + random.below(2))],
      ['get', 20, () => ({ kind: 'get', consume: false, waitSeconds: 0 })],
      ['consume', 12, () => ({ kind: 'get', consume: true, waitSeconds: 0 })],
      [
        'wait',
        8,
        () => ({
          kind: 'get',
          consume: random.chance(0.5),
          waitSeconds: random.between(0.01, this.#profile.waitSecondsMax),
        }),
      ],
      ['putVersion', 8, () => this.#put(random, this.#versions.get(nameOf(home)) ?? 1, 0)],
      [
        'append',
        9,
        () => ({ kind: 'append', value: nameValue(++this.#values, VALUE_BYTES_MIN + random.below(60)) }),
      ],
      ['deleteMany', 3, () => ({ kind: 'deleteMany', keys: this.#several(home, random) })],
      ['stat', 8, () => ({ kind: 'stat' })],
      ['delete', 8, () => ({ kind: 'delete' })],
      [
        'list',
        7,
        () => ({ kind: 'list', prefix: random.pick(['', '', 'c/']), acceptHoles: random.chance(0.5) }),
      ],
    ]
    const usual = lines.map(([name, weight, draw]) => [draw, weight * (actions[name] ?? 1)] as const)
    return random.weighted<() => Action | Bulk>([...usual, ...this.#bulk(home, random)])()
  }

  /** Calls about many keys or of many messages. */
  #bulk(home: Home, random: SeededRandom): (readonly [() => Bulk, number])[] {
    const { actions } = this.#profile
    const lines: readonly (readonly [BulkName, () => Bulk])[] = [
      [
        'putMany',
        () => ({
          kind: 'putMany',
          puts: this.#several(home, random).map((key) => ({
            home: { ...home, key },
            action: this.#put(random, random.chance(0.2) ? 'absent' : 'always', 0),
          })),
        }),
      ],
      [
        'getMany',
        () => ({
          kind: 'getMany',
          homes: this.#several(home, random).map((key) => ({ ...home, key })),
          waitSeconds: random.chance(0.3) ? random.between(0.01, 1) : 0,
        }),
      ],
      [
        'statMany',
        () => ({
          kind: 'statMany',
          homes: this.#several(home, random).map((key) => ({ ...home, key })),
        }),
      ],
      [
        'stream',
        () => ({
          kind: 'stream',
          home,
          pausesMs: Array.from({ length: random.below(3) }, () => random.between(0, PAUSE_MS_MAX)),
          isAbandoned: random.chance(0.5),
        }),
      ],
      [
        'putStream',
        () => ({
          kind: 'putStream',
          home,
          put: this.#put(random, 'always', 0),
          pieceBytes: 40 + random.below(300),
          pauseMsMax: random.between(0, PAUSE_MS_MAX / 10),
          isAbandoned: random.chance(0.2),
        }),
      ],
    ]
    return lines.flatMap(([name, draw]) =>
      actions[name] ? [[draw, BULK_WEIGHT * actions[name]] as const] : [],
    )
  }

  #put(random: SeededRandom, condition: PutRule, ttlSeconds: number): Put {
    const bytes = random.chance(this.#profile.large)
      ? 257 + random.below(LARGE_BYTES_MAX - 257)
      : VALUE_BYTES_MIN + random.below(190)
    return {
      kind: 'put',
      value: nameValue(++this.#values, bytes),
      condition,
      ttlSeconds,
      persist: random.chance(this.#profile.persist),
    }
  }

  #several({ job, bucket }: Home, random: SeededRandom): string[] {
    return this.#profile.keys.filter(() => random.chance(0.5)).map((stem) => this.#living(job, bucket, stem))
  }

  #living(job: string, bucket: string, stem: string): string {
    return keyOf(stem, this.#rounds(job, bucket, stem))
  }

  #rounds(job: string, bucket: string, stem: string): number {
    let round = 0
    while ((this.#unknown.get(nameOf({ job, bucket, key: keyOf(stem, round) })) ?? 0) >= UNKNOWN_MAX) round++
    return round
  }
}

function keyOf(stem: string, round: number): string {
  return round === 0 ? stem : `${stem}~${round}`
}
