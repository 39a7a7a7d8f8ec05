import type { Planted } from './planted.ts'

/** Peers that read more slowly than they are sent to. */
export const pressureBugs: readonly Planted[] = [
  {
    name: 'rest-of-a-read-dropped',
    what: 'Requests received while the peer reads no answers are never processed.',
    file: 'protocol/wire/frame-reader.ts',
    find: 'if (offset < end && !this.#closed) this.#keep(piece.subarray(offset, end), isOwned)',
    replace: '',
    seedsMax: 20,
  },
  {
    name: 'room-never-told',
    what: 'Connections that wait because their job uses too much memory are not resumed when it uses less.',
    file: 'service/server/memory-account.ts',
    find: 'else this.#resume()',
    replace: 'else this.#isResuming = true',
    seedsMax: 20,
  },
  {
    name: 'call-never-sent',
    what: 'Calls that waited until the server reads others are never sent.',
    file: 'protocol/transport/caller.ts',
    find: 'drained: () => this.#sendUnsent()',
    replace: 'drained: () => undefined',
    seedsMax: 20,
  },
  {
    name: 'under-way-not-given-back',
    what: 'The memory of an answer from below RAM stays charged after it was sent (I26).',
    file: 'storage-node/budget/under-way.ts',
    find: 'if (answer !== null) return { ...answer, sent: both(answer.sent, release) }',
    replace: 'if (answer !== null) return { ...answer }',
    seedsMax: 30,
  },
]
