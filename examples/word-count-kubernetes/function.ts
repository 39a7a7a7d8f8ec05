/** One of the 12 pods: the first ones map, the others reduce. All run at once; a reducer waits for what the mappers put. */
import { MAPPERS } from '../word-count/plan.ts'

const index = Number(process.env.JOB_COMPLETION_INDEX)
await (index < MAPPERS ? import('../word-count/mapper.ts') : import('../word-count/reducer.ts'))
