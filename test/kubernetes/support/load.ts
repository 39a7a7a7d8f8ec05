import { onTestFinished } from 'vitest'
import type { Kubernetes } from '../../../bench/servers/kubernetes/kubernetes.ts'
import {
  KubernetesCluster,
  type KubernetesClusterOptions,
} from '../../../bench/servers/kubernetes/kubernetes-cluster.ts'
import type { Member } from '../../../bench/servers/member.ts'
import type { RegisteredJob } from '../../../client/registration.ts'
import { seed } from '../../controller/support/seed.ts'
import { fill, openFunctions } from '../../e2e/support/functions.ts'
import { judge } from '../../e2e/support/judge.ts'
import { Traffic } from '../../e2e/support/traffic.ts'
import { sharedKubernetes } from '../../fixture/kubernetes.ts'
import { sharedPostgres } from '../../fixture/postgres.ts'
import { SeededRandom } from '../../simulation/world/random.ts'

export const command = new URL('../../../dist/cli/main.js', import.meta.url).pathname

type Context = Parameters<ReturnType<typeof sharedKubernetes>>[0]

export interface Running {
  readonly kubernetes: Kubernetes
  readonly cluster: KubernetesCluster
  readonly controllers: readonly Member[]
}

/** Returns a function that starts a cluster in a namespace of its own, with one controller or two. */
export function clusters(
  control = sharedKubernetes(),
): (
  context: Context,
  options?: Partial<KubernetesClusterOptions> & { controllers?: number },
) => Promise<Running> {
  const database = sharedPostgres()
  return async (context, { controllers: count = 1, ...options } = {}) => {
    const kubernetes = await control(context)
    // A busy machine costs a controller its lead in PostgreSQL, so it is used where there are two.
    const url = count > 1 ? (await database(context)).url : null
    const cluster = await KubernetesCluster.prepare({ kubernetes, command, database: url, ...options })
    onTestFinished(() => cluster.stop())
    const controllers = [await cluster.controller(0)]
    await controllers[0]?.ready
    if (count > 1) {
      controllers.push(await cluster.controller(1))
      await controllers[1]?.waiting()
    }
    return { kubernetes, cluster, controllers }
  }
}

export interface Load {
  readonly job: RegisteredJob
  /**
   * Ends the functions. Without `lossesMs` no call may have failed; with it calls may fail as the guide says, and objects be lost from the
   * first of these times on. Returns what was wrong.
   */
  finish(lossesMs?: readonly number[]): Promise<string[]>
}

/** A job whose functions use every operation. */
export async function startLoad(
  { cluster }: { readonly cluster: Pick<KubernetesCluster, 'connect'> },
  capacityBytes = 2 ** 26,
): Promise<Load> {
  const mayfly = await cluster.connect()
  const job = await mayfly.registerJob('load', { capacityBytes }, { waitSeconds: 60 })
  await fill(job, { count: 200, bytes: 64 * 1024 })
  const clients = await openFunctions(job.ticket, 2)
  const traffic = new Traffic({ clients, lanes: 3, random: new SeededRandom(`${seed}`), pauseMs: 10 })
  return {
    job,
    finish: async (lossesMs) => {
      const history = await traffic.stop()
      console.info(history.summary())
      const wrong = judge(
        { calls: history.calls, lossesMs: lossesMs ?? [] },
        { mayFail: lossesMs !== undefined },
      )
      const after = (await traffic.checkAll()).calls.filter(({ code }) => code !== 'ok')
      return [...wrong, ...after.map(({ key, code }) => `afterwards ${key}: ${code}`)]
    },
  }
}
