/**
 * State machine of a slot move, as a table of state × event. A missing cell does not compile. No I/O.
 *
 * - `prepared`: the source may have frozen the slots and the target may have their index. The target serves nothing and no client knows of
 *   it.
 * - `published`: the target confirmed the whole index and is the owner. The source keeps bytes that the target has not pulled yet, and
 *   decides nothing.
 */
export type MoveState = 'prepared' | 'published'

export type MoveEvent =
  /** The source has frozen the slots and the target has confirmed their index. */
  | 'indexDelivered'
  /** The target has no memory for the index. */
  | 'targetRefused'
  /** The target has all bytes. */
  | 'settled'
  | 'sourceDied'
  | 'targetDied'
  | 'bothDied'

export type MoveOutcome =
  /** The target owns the slots. */
  | 'publish'
  /** The move is over; the source frees its copies. */
  | 'finish'
  /** The move is over; exactly the entries whose bytes were still on the source are lost. */
  | 'finishWithHoles'
  /** The move is undone: the source continues to own the slots under a new epoch. */
  | 'restore'
  /** As `restore`, and the target frees what it has of the index. */
  | 'restoreAndFree'
  /** The owner died. The slots start empty elsewhere, marked as possibly lost. Copies on other nodes are not revived. */
  | 'lose'
  /** A late repetition, without effect. */
  | 'ignore'

export const handoff: Readonly<Record<MoveState, Readonly<Record<MoveEvent, MoveOutcome>>>> = {
  prepared: {
    indexDelivered: 'publish',
    targetRefused: 'restoreAndFree',
    settled: 'ignore',
    // Metadata cannot tell whether the target has the whole index, so the target's copy is not used.
    sourceDied: 'lose',
    // The target never served, so no client can have written to it.
    targetDied: 'restore',
    bothDied: 'lose',
  },
  published: {
    indexDelivered: 'ignore',
    targetRefused: 'ignore',
    settled: 'finish',
    sourceDied: 'finishWithHoles',
    // Clients may have written to the target. The source's copy is older and must not be revived.
    targetDied: 'lose',
    bothDied: 'lose',
  },
}
