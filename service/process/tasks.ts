/**
 * Background tasks of server processes, with their log line on failure. A failed task ends no process, see
 * `Background`.
 */
export const taskTable = {
  // Storage nodes.
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
  certificates: 'the certificates cannot be read again, or have expired',
  askCapacity: 'more room for jobs cannot be asked for',
  heartbeat: 'metadata does not answer a heartbeat',
  // Metadata servers.
  drive: 'a move of slots, or of a job, does not go on',
  plan: 'moves of slots cannot be planned',
  sendOwnership: 'an ownership message cannot be sent to a node',
  vote: 'nodes cannot be asked which process of a metadata server they follow',
  declareDead: 'the death of nodes cannot be written down',
  replaceDead: 'the slots of a dead node cannot be given to others',
  // Controller.
  controlLoop: 'a step of the control loop failed',
  endJobs: 'a job could not be ended yet',
  reconcile: 'a job could not be reconciled yet',
  forgetJob: 'a former metadata server of a job could not be told of its end yet',
  reportDead: 'a metadata server could not be told of dead nodes yet',
  compareMetadata: 'metadata could not be compared',
  moveJob: 'a job could not be transferred to its new metadata server yet',
  removeShares: 'shares of a drained node could not be removed yet',
  relocate: 'a share whose bytes have left could not be removed yet',
  writeShares: 'a change of a job could not be written down',
  writeNode: 'a change of a node could not be written down',
  rollBack: 'a failed registration could not be rolled back yet',
  watchPods: 'the pods of storage nodes cannot be watched',
  createPod: 'the pod of a storage node could not be created yet',
  deletePod: 'the pod of a storage node could not be deleted yet',
  applyMetadata: 'the Deployment of a metadata server could not be applied yet',
  applyBudget: 'the PodDisruptionBudget of storage nodes could not be applied yet',
  drainEnding: 'a storage node that was told to end cannot be emptied yet',
  sweepPersisted: 'the persistent store cannot be swept',
  // All.
  sendSpans: 'spans of traced requests cannot be sent',
} as const

export type TaskName = keyof typeof taskTable
