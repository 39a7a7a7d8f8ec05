import { frequencyOf, Gdsf } from '../../storage-node/tiering/gdsf.ts'

/** An object in RAM as policies see it. */
export interface Resident {
  readonly object: number
  readonly bytes: number
  /** What a read of it costs more from the next tier. */
  readonly costMs: number
  reads: number
  /** Of the event that touched it last. */
  touched: number
  priority: number
}

export interface Policy {
  /** Gives an object that was put or read its new priority. */
  priorityOf(resident: Resident, readsPerObject: number): number
  /** At least one of those in RAM, for as many bytes as have to leave. */
  choose(residents: readonly Resident[], bytes: number): Resident[]
}

/** How many objects the node draws before it chooses. */
const SAMPLE = 64

type MakePolicy = (random: () => number) => Policy

/** Every policy that is compared, by its name. */
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
