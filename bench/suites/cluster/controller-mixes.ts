/** The need of a job, as fractions of a node. */
export type Demand = readonly [bytes: number, bytesPerSecond: number]

const uniform = (random: () => number, least: number, most: number): number =>
  least + (most - least) * random()

/** Pareto with exponent 1.25: a fifth of the jobs need four fifths of the total; none needs more than three nodes. */
const heavy = (random: () => number): number => Math.min(3, 0.02 / (1 - random()) ** 0.8)

/** Pocket's three applications at their peak, on its i3.2xlarge: 60 GB of RAM, 8 Gb/s. */
const applications: readonly Demand[] = [
  [100 / 60, 7.5],
  [6 / 60, 2.5],
  [0.85 / 60, 0.5],
]

/** Distributions of jobs, chosen before anything was measured. Each one stresses a different weakness of packing. */
export const mixes: Readonly<Record<string, (random: () => number) => Demand>> = {
  uniform: (random) => [uniform(random, 0.01, 0.5), uniform(random, 0.01, 0.5)],
  small: (random) => [uniform(random, 0.01, 0.1), uniform(random, 0.01, 0.1)],
  large: (random) => [uniform(random, 0.3, 0.9), uniform(random, 0.3, 0.9)],
  alike: (random) => {
    const bytes = uniform(random, 0.02, 0.48)
    return [bytes, bytes * uniform(random, 0.8, 1.2)]
  },
  opposed: (random) => {
    const bytes = uniform(random, 0.02, 0.48)
    return [bytes, 0.5 - bytes]
  },
  'two kinds': (random) => {
    const demand: Demand = [uniform(random, 0.4, 0.6), uniform(random, 0.02, 0.07)]
    return random() < 0.5 ? demand : [demand[1], demand[0]]
  },
  'bytes alone': (random) => [uniform(random, 0.1, 0.5), uniform(random, 0.01, 0.11)],
  'heavy tail': (random) => [heavy(random), heavy(random)],
  pocket: (random) => {
    const [bytes, bytesPerSecond] = applications[Math.floor(random() * applications.length)] ?? [0, 0]
    const scale = uniform(random, 0.02, 0.2)
    return [bytes * scale, bytesPerSecond * scale]
  },
}
