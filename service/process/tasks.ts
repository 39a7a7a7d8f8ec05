/**
 * Background tasks of server processes, with their log line on failure. A failed task ends no process, see
 * `Background`.
 */
export const taskTable = {
  // Storage nodes.
  demotion: 'objects of a job cannot leave their tier',
  pull: 'the bytes of a transferred slot do not arrive',
  reclaim: 'unreferenced chunks of a job cannot be freed',
  sweep: 'expired objects of a job cannot be freed',
  dropBuckets: 'objects of deleted buckets cannot be freed',
  freeSlot: 'a transferred slot cannot be freed',
  endJob: 'the space of an ended job cannot be freed',
  compaction: 'the SSD tier cannot be compacted',
  discard: 'objects cannot be deleted from the S3 tier',
  report: 'the controller does not answer',
  certificates: 'the certificates cannot be read again, or have expired',
  askCapacity: 'more capacity for jobs cannot be requested',
  heartbeat: 'metadata does not answer a heartbeat',
  // Metadata servers.
  drive: 'a move of slots, or of a job, is stuck',
  plan: 'moves of slots cannot be planned',
  sendOwnership: 'an ownership message cannot be sent to a node',
  vote: 'nodes cannot be asked which process of a metadata server they follow',
  declareDead: 'the death of nodes cannot be stored',
  replaceDead: 'the slots of a dead node cannot be reassigned',
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
  writeShares: 'a change of a job could not be stored',
  writeNode: 'a change of a node could not be stored',
  rollBack: 'a failed registration could not be rolled back yet',
  watchPods: 'the pods of storage nodes cannot be watched',
  createPod: 'the pod of a storage node could not be created yet',
  deletePod: 'the pod of a storage node could not be deleted yet',
  applyMetadata: 'the Deployment of a metadata server could not be applied yet',
  labelLeader: 'the pod of the controller that leads could not be labelled yet',
  applyBudget: 'the PodDisruptionBudget of storage nodes could not be applied yet',
  drainEnding: 'a storage node that was told to end cannot be emptied yet',
  sweepPersisted: 'the persistent store cannot be swept',
  // All.
  sendSpans: 'spans of traced requests cannot be sent',
} as const

export type TaskName = keyof typeof taskTable
