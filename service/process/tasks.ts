/**
 * What server processes do behind their requests, with what an operator reads when it fails. A failure of a task ends no process,
 * see `Background`.
 */
export const taskTable = {
  // Of storage nodes.
  demotion: 'objects of a job cannot leave their tier',
  pull: 'the bytes of a slot that was handed over do not come',
  reclaim: 'chunks of a job that nobody wants cannot be freed',
  sweep: 'expired objects of a job cannot be freed',
  dropBuckets: 'objects of deleted buckets cannot be freed',
  freeSlot: 'a slot that moved away cannot be freed',
  endJob: 'the space of a job that has ended does not come back',
  compaction: 'removed records of the SSD tier keep their space',
  discard: 'objects that left the S3 tier cannot be deleted there',
  report: 'the controller does not answer',
  askCapacity: 'more room for jobs cannot be asked for',
  heartbeat: 'metadata does not answer a heartbeat',
  // Of metadata servers.
  drive: 'a move of slots, or of a job, does not go on',
  plan: 'moves of slots cannot be planned',
  tellOwner: 'a node cannot be told what it owns',
  bury: 'the death of nodes cannot be written down',
  replaceDead: 'the slots of a dead node cannot be given to others',
  // Of the controller.
  upkeep: 'a part of the round of upkeep failed',
  endJobs: 'a job could not be ended yet',
  repair: 'a job could not be repaired yet',
  forgetJob: 'a server that had a job could not be told of its end yet',
  reportDead: 'a metadata server could not be told of dead nodes yet',
  compareMetadata: 'metadata could not be compared',
  moveJob: 'a job could not be handed on yet',
  detach: 'a drained node keeps its shares for now',
  relocate: 'a share that has left is counted for now',
  writeShares: 'a change of a job could not be written down',
  writeNode: 'a change of a node could not be written down',
  rollBack: 'a registration that failed could not be rolled back yet',
  sweepPersisted: 'the kept store cannot be swept',
} as const

export type TaskName = keyof typeof taskTable
