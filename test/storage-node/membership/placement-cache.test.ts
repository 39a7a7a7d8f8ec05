import { expect, test } from 'vitest'
import { placementOperations } from '../../../protocol/operations/plane-operations.ts'
import { systemRuntime } from '../../../protocol/runtime.ts'
import { CallerPool } from '../../../protocol/transport/caller-pool.ts'
import { dialTcp } from '../../../protocol/transport/tcp.ts'
import { clusterToken } from '../../../service/process/cluster-token.ts'
import type { NodeJob } from '../../../storage-node/job/job.ts'
import { PlacementCache } from '../../../storage-node/membership/placement-cache.ts'
import { Planes } from '../../fixture/planes.ts'

test('a node that has not heard yet where its job went finds the placement there', async ({
  onTestFinished,
}) => {
  const planes = await Planes.start()
  await planes.startMetadata(2)
  const node = await planes.startNode()
  await planes.createJob('j-1', [node])
  const target = planes.metadataServer(2)
  await planes.ask(placementOperations.jobMove, { job: 'j-1', target })
  const { clock } = systemRuntime
  const pool = new CallerPool({
    dial: dialTcp,
    runtime: systemRuntime,
    token: () => clusterToken(planes.secret, Date.now()),
  })
  onTestFinished(() => pool.close())
  const placements = new PlacementCache({ pool, clock })
  const job = { id: 'j-1', metadata: planes.metadataServer(1).address } as NodeJob
  expect(await placements.ownerOf(job, () => 3)).toMatchObject({ id: node.id })
})
