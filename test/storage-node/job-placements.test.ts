import { expect, test } from 'vitest'
import { CallerPool } from '../../protocol/caller-pool.ts'
import { placementOperations } from '../../protocol/control-operations.ts'
import { systemRuntime } from '../../protocol/runtime.ts'
import { dialTcp } from '../../protocol/tcp.ts'
import { clusterToken } from '../../service/cluster-token.ts'
import { JobPlacements } from '../../storage-node/job-placements.ts'
import type { JobSpace } from '../../storage-node/job-space.ts'
import { Planes } from '../fixture/planes.ts'

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
  const placements = new JobPlacements({ pool, clock })
  const job = { id: 'j-1', metadata: planes.metadataServer(1).address } as JobSpace
  expect(await placements.ownerOf(job, () => 3)).toMatchObject({ id: node.id })
})
