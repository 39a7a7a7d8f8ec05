import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Files that run one at a time when all others have ended, and why. */
const measuring = {
  'test/attack/attacks.test.ts':
    'bounds the p99 of a bystander on an attacked node, and the memory of that node',
  'test/attack/floods.test.ts': 'bounds the latency of a bystander on a node that is flooded',
  'test/attack/growth.test.ts': 'bounds the p99 of a bystander while a job fills the node and S3',
  'test/attack/memory.test.ts': 'bounds the memory of an attacked node, and the p99 of a bystander',
  'test/client/forgotten-streams.test.ts': 'bounds the memory that its own process holds for 200 streams',
  'test/e2e/growth.test.ts': 'fills nodes as fast as the machine can, and nodes are started meanwhile',
  'test/e2e/metadata-killed.test.ts': 'no call may miss its deadline of 4 s while metadata is killed',
  'test/e2e/node-killed.test.ts':
    'bounds the time from the death of a process until its objects are known to be lost',
  'test/e2e/pressure.test.ts':
    'bounds the memory of a node with 1,000 stalled connections, and what others wait',
  'test/e2e/standby.test.ts':
    'bounds how long take-overs take; a process without a core for four seconds loses its lead',
  'test/storage-node/budget/enforcement.test.ts': 'measures the bytes/s of jobs beside a flood, within 5 %',
  'test/storage-node/memory/table-growth.test.ts': 'bounds the longest of 166,000 steps',
}

/** Files that take a minute or more, or run suites of the bench, and why. `npm run test:slow` runs them, and those that measure. */
const slow = {
  'test/bench/controller.test.ts': 'runs two suites of the bench',
  'test/bench/drain.test.ts': 'runs a suite of the bench',
  'test/bench/placements.test.ts': 'runs a suite of the bench',
  'test/bench/ssd.test.ts': 'runs a suite of the bench',
  'test/bench/state.test.ts': 'runs a suite of the bench',
  'test/bench/suites.test.ts': 'runs every suite of the bench against every system',
  'test/bench/tiers.test.ts': 'runs a suite of the bench',
  'test/e2e/demo.test.ts': 'runs the demo with several times more data than RAM',
  'test/e2e/scaling-faults.test.ts': 'waits until load has made nodes come and go',
  'test/e2e/scaling.test.ts': 'waits until load has made nodes come and go',
  'test/simulation/planted-bugs.test.ts': 'plants bugs and runs simulations until each is caught',
  'test/simulation/seeds.test.ts': 'runs hundreds of simulations',
}

/** Folders whose tests start processes, and take longest. */
const ofProcesses = ['attack', 'bench', 'cli', 'deploy', 'docs', 'e2e', 'examples', 'gateway', 'simulation']

/** Files that begin first, the longest one first: what begins last runs alone at the end, and those that wait leave the cores to others. */
const longest = [
  'test/docs/clone.test.ts',
  'test/docs/tutorial-packed.test.ts',
  'test/docs/pages.test.ts',
  'test/storage-node/tiers/backends.test.ts',
  'test/controller/api/schemathesis.test.ts',
  'test/service/postgres/votes.test.ts',
  'test/cli/verbs.test.ts',
  'test/console/page.test.ts',
  'test/controller/api/http-faults.test.ts',
  'test/client/liveness.test.ts',
  'test/storage-node/admission/put-waits.test.ts',
  'test/controller/sizing/fixed-point.test.ts',
]

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rankOf = ({ moduleId }: TestSpecification): number => {
      const index = longest.findIndex((file) => moduleId.endsWith(`/${file}`))
      if (index !== -1) return index
      return longest.length + (ofProcesses.some((folder) => moduleId.includes(`/test/${folder}/`)) ? 0 : 1)
    }
    const groupOf = ({ project }: TestSpecification): number => project.config.sequence.groupOrder
    return (await super.sort(files)).sort((a, b) => groupOf(a) - groupOf(b) || rankOf(a) - rankOf(b))
  }
}

const apart = [...Object.keys(slow), ...Object.keys(measuring)]
const missing = [...apart, ...longest].filter((file) => !existsSync(new URL(file, import.meta.url)))
if (missing.length > 0) throw new Error(`vitest.config.ts names files that do not exist: ${missing}`)

function project(
  name: string,
  test: Omit<NonNullable<TestProjectInlineConfiguration['test']>, 'name'>,
): TestProjectInlineConfiguration {
  return {
    resolve: { alias: { mayfly: new URL('client/index.ts', import.meta.url).pathname } },
    test: {
      name,
      // Waits end with the event that they wait for. These bounds end a test that hangs, on the busiest machine.
      testTimeout: 120_000,
      hookTimeout: 120_000,
      expect: { poll: { timeout: 30_000 } },
      ...test,
    },
  }
}

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    // Each project would transform all sources, and so would the next run.
    experimental: { fsModuleCache: true, fsModuleCachePath: 'node_modules/.cache/vitest' },
    // Half of the time of most files is waiting: for a lease, a heartbeat, a process that starts.
    maxWorkers: availableParallelism() + 4,
    // Where files are not isolated, a worker loads modules once and not for each file, which takes seconds of its core. Files share no other state.
    projects: [
      project('tests', {
        include: ['test/**/*.test.ts'],
        exclude: ['test/kubernetes/**', 'test/machines/**', ...apart],
        isolate: false,
      }),
      // One control plane at a time: its ports are fixed.
      project('kubernetes', {
        include: ['test/kubernetes/**/*.test.ts', 'test/machines/{image,kubelets,session}.test.ts'],
        fileParallelism: false,
      }),
      // Network namespaces as machines, which take root and minutes.
      project('machines', {
        include: ['test/machines/**/*.test.ts'],
        exclude: ['test/machines/{image,kubelets,session}.test.ts'],
        fileParallelism: false,
      }),
      project('slow', { include: Object.keys(slow) }),
      project('measuring', {
        include: Object.keys(measuring),
        fileParallelism: false,
        sequence: { groupOrder: 1 },
      }),
    ],
  },
})
