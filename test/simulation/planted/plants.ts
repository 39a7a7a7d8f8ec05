import { boundsBugs } from './bounds-bugs.ts'
import { bucketBugs } from './bucket-bugs.ts'
import { controllerBugs } from './controller-bugs.ts'
import { deathBugs } from './death-bugs.ts'
import { departureBugs } from './departure-bugs.ts'
import { handoffBugs } from './handoff-bugs.ts'
import { indexBugs } from './index-bugs.ts'
import { keyBugs } from './key-bugs.ts'
import { largeObjectBugs } from './large-object-bugs.ts'
import { livenessBugs } from './liveness-bugs.ts'
import { memoryBugs } from './memory-bugs.ts'
import { persistedBugs } from './persisted-bugs.ts'
import type { Planted } from './planted.ts'
import { pressureBugs } from './pressure-bugs.ts'
import { repeatBugs } from './repeat-bugs.ts'
import { storeBugs } from './store-bugs.ts'
import { tierBugs } from './tier-bugs.ts'

/** All planted bugs. */
export const planted: readonly Planted[] = [
  ...handoffBugs,
  ...indexBugs,
  ...deathBugs,
  ...departureBugs,
  ...repeatBugs,
  ...tierBugs,
  ...storeBugs,
  ...largeObjectBugs,
  ...persistedBugs,
  ...keyBugs,
  ...bucketBugs,
  ...memoryBugs,
  ...pressureBugs,
  ...livenessBugs,
  ...controllerBugs,
  ...boundsBugs,
]
