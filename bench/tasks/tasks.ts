import type { Client } from '../clients/client.ts'
import { calls, fill } from './calls.ts'
import { giveAll, takeAll } from './handover.ts'
import { passOn, runChains } from './jobs/chain.ts'
import { compile, compileInput, link } from './jobs/compile.ts'
import { sortCheck, sortInput, sortMap, sortReduce } from './jobs/sort.ts'
import { countCheck, countInput, countMap, countReduce } from './jobs/word-count.ts'
import { many } from './many.ts'
import { map, reduce } from './partitions.ts'
import { cannon, presigned } from './presigned.ts'
import { reads } from './reads.ts'
import { trace } from './trace.ts'

/** All tasks of a client process. */
const tasks = {
  ...{ calls, cannon, fill, giveAll, many, map, presigned, reads, reduce, takeAll, trace },
  ...{ compile, compileInput, link, passOn, runChains },
  ...{ countCheck, countInput, countMap, countReduce, sortCheck, sortInput, sortMap, sortReduce },
}

type Tasks = typeof tasks
export type TaskName = keyof Tasks
export type Params<Name extends TaskName> = Parameters<Tasks[Name]>[1]
export type Result<Name extends TaskName> = Awaited<ReturnType<Tasks[Name]>>

export function runTask<Name extends TaskName>(
  client: Client,
  name: Name,
  params: Params<Name>,
): Promise<Result<Name>> {
  const task = tasks[name] as (client: Client, params: Params<Name>) => Promise<Result<Name>>
  return task(client, params)
}
