import { frequencyOf, Gdsf } from '../../storage-node/tiering/gdsf.ts'

/** An object in RAM, as policies see it. */
export interface Resident {
  readonly object: number
  readonly bytes: number
  /** How much longer a read takes from the next tier. */
  readonly costMs: number
  reads: number
  /** Index of the last event that touched it. */
  touched: number
  priority: number
}

export interface Policy {
  /** Returns the new priority of an object that was put or read. */
  priorityOf(resident: Resident, readsPerObject: number): number
  /** Chooses objects of at least `bytes` together, and at least one. */
  choose(residents: readonly Resident[], bytes: number): Resident[]
}

/** Number of objects that the node samples before it chooses. */
const SAMPLE = 64

type MakePolicy = (random: () => number) => Policy

export const policies: ReadonlyMap<string, MakePolicy> = new Map<string, MakePolicy>([
  ['LRU', () => exact(({ touched }) => touched)],
  ['frequency, blind to size', () => exact(({ reads, touched }) => reads + touched * 1e-12)],
  ['GDSF, every object looked at', () => gdsf((residents) => residents, null)],
  ['GDSF, sampled', (random) => gdsf((residents) => drawSample(residents, random), null)],
  ['GDSF, sampled, reads known', (random) => gdsf((residents) => drawSample(residents, random), 'known')],
])

function exact(priorityOf: (resident: Resident) => number): Policy {
  return { priorityOf, choose: (residents) => [lowestOf(residents)] }
}

function gdsf(
  candidates: (residents: readonly Resident[]) => readonly Resident[],
  reads: 'known' | null,
): Policy {
  const policy = new Gdsf()
  return {
    priorityOf: (resident, readsPerObject) => {
      const frequency = frequencyOf(resident.reads, reads === null ? null : readsPerObject)
      return policy.priorityOf({ ...resident, frequency })
    },
    choose: (residents, bytes) => {
      const among = candidates(residents)
      return policy.chooseVictims(among.length === residents.length ? [lowestOf(among)] : among, bytes)
    },
  }
}

function drawSample(residents: readonly Resident[], random: () => number): readonly Resident[] {
  if (residents.length <= SAMPLE) return residents
  return Array.from(
    { length: SAMPLE },
    () => residents[Math.floor(random() * residents.length)] as Resident,
  ).filter((resident, index, all) => all.indexOf(resident) === index)
}

function lowestOf(residents: readonly Resident[]): Resident {
  return residents.reduce((least, each) => (each.priority < least.priority ? each : least))
}
