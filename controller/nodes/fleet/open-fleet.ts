import type { Runtime } from '../../../protocol/runtime.ts'
import type { Background } from '../../../service/process/background.ts'
import type { NodeClass } from '../../sizing/node-class.ts'
import type { Fleet } from './fleet.ts'
import { JoiningFleet } from './joining-fleet.ts'
import { ApiServer } from './kubernetes/api-server.ts'
import { KubernetesFleet } from './kubernetes/kubernetes-fleet.ts'
import type { KubernetesSettings } from './kubernetes/settings.ts'
import { ProcessFleet, type SupervisorChannel } from './process-fleet.ts'

export interface FleetConfig {
  readonly kubernetes: KubernetesSettings | null
  readonly podName: string | null
  readonly classes: readonly NodeClass[]
  readonly metadataServers: number
}

/** The fleet of this controller: processes of its supervisor, pods where Kubernetes is configured, else what others start. */
export async function openFleet(
  { kubernetes, podName, classes, metadataServers }: FleetConfig,
  of: { supervisor: SupervisorChannel | null; runtime: Runtime; background: Background },
): Promise<Fleet> {
  const { supervisor, runtime, background } = of
  if (supervisor !== null) return new ProcessFleet(supervisor, runtime.clock)
  if (kubernetes === null) return new JoiningFleet()
  const api = await ApiServer.open(kubernetes.name)
  return new KubernetesFleet({
    api,
    settings: kubernetes,
    podName,
    classes,
    metadataServers,
    runtime,
    background,
  })
}
