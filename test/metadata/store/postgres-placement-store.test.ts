import { metadataSchema, PostgresPlacementStore } from '../../../metadata/store/postgres-placement-store.ts'
import { migrate } from '../../../service/postgres/migrations.ts'
import { leadOf } from '../../fixture/lead.ts'
import { refusing, sharedPostgres } from '../../fixture/postgres.ts'
import { placementStoreContract } from './placement-store-contract.ts'

const database = sharedPostgres()

placementStoreContract('PostgreSQL', async (context) => {
  const { url } = await database(context)
  const full = refusing(url, 'metadata_jobs')
  return {
    open: async () => {
      await migrate(url, metadataSchema)
      return new PostgresPlacementStore(await leadOf(url, { role: 'metadata/m-1' }), 'm-1')
    },
    refuseWrites: full.refuse,
    allowWrites: full.allow,
  }
})
