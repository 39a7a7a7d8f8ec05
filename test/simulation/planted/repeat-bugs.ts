import type { Planted } from './planted.ts'

/** Mutations whose answer was lost. */
export const repeatBugs: readonly Planted[] = [
  {
    name: 'answer-forgotten',
    what: 'A node carries out a repeated mutation again (I9).',
    file: 'storage-node/sessions/sessions.ts',
    find: 'if (sequence <= lane.sequence)\n',
    replace: 'if (sequence < lane.sequence)\n',
    seedsMax: 100,
  },
  {
    name: 'ownership-before-answer',
    what: 'A node checks ownership before it looks up the stored answer, so the new owner carries the mutation out again (I9).',
    file: 'storage-node/handlers.ts',
    find: "const job = node.jobOf(peer.claims, 'write', request)\n      return sessions",
    replace:
      "const job = node.jobOf(peer.claims, 'write', request)\n      if (request.key !== undefined) locate(job, request as never)\n      return sessions",
    also: [
      {
        file: 'storage-node/handlers.ts',
        find: "import type { NodeJob } from './job/job.ts'",
        replace: "import type { NodeJob } from './job/job.ts'\nimport { locate } from './job/locate.ts'",
      },
      {
        file: 'storage-node/handlers.ts',
        find: "node.jobOf(claims, 'read', request)\n        const job = node.jobOf(claims, 'write', request)\n",
        replace: "const job = node.jobOf(claims, 'write', request)\n        locate(job, request)\n",
      },
    ],
    profile: 'clones',
    seedsMax: 150,
  },
  {
    name: 'mutation-sent-anew',
    what: 'A client sends a mutation whose answer was lost as a new one (I9).',
    file: 'client/routing/mutation.ts',
    find: "if (!isError(error, 'CONNECTION_LOST')) throw outcomeOf(error, attempt > 1)",
    replace: 'throw error',
    seedsMax: 100,
  },
  {
    name: 'sequence-of-another-process',
    what: 'Sequences of a dead node are used with the process that took its address (I9).',
    file: 'client/routing/router.ts',
    find: 'if (at.caller.serverId !== at.owner.id) await this.#verify(at.caller, at.owner, call)',
    replace: '',
    also: [
      {
        file: 'client/routing/router.ts',
        find: 'caller === null || caller.serverId !== owner.id) return null',
        replace: 'caller === null) return null',
      },
      // Sequences that are times seldom meet, whatever process they are for.
      {
        file: 'client/routing/lanes.ts',
        find: 'Math.max(this.sequenceOf(lane) + 1, nowMicros)',
        replace: 'this.sequenceOf(lane) + 1',
      },
    ],
    seedsMax: 300,
  },
  {
    name: 'sequence-taken-again',
    what: "A client gives a mutation the sequence of its lane's last one, and gets that one's answer (I9).",
    file: 'client/routing/lanes.ts',
    find: 'Math.max(this.sequenceOf(lane) + 1, nowMicros)',
    replace: 'this.sequenceOf(lane) === 0 ? nowMicros : this.sequenceOf(lane)',
    seedsMax: 30,
  },
  {
    name: 'deadline-hides-an-outcome',
    what: 'A mutation whose answer was lost fails as if it had never been sent if its deadline passes meanwhile (I9).',
    file: 'client/routing/mutation.ts',
    find: 'throw unknown(reason)',
    replace: "throw isError(reason, 'DEADLINE_EXCEEDED') ? reason : unknown(reason)",
    seedsMax: 300,
  },
  {
    name: 'part-deleted-and-refused',
    what: 'A deleteMany that deleted some keys and could not reach the others fails as if nothing was done (I13).',
    file: 'client/objects/delete-many.ts',
    find: 'if (failure === null || deleted === 0 || leavesOpen(failure)) return failure',
    replace: 'if (failure === null || deleted >= 0) return failure',
    profile: 'many',
    seedsMax: 100,
  },
  {
    name: 'sequence-of-a-twin',
    what: "Clients with the same memory continue with the same sequences, and one gets the other's answer (I22).",
    file: 'client/routing/lanes.ts',
    find: 'Math.max(this.sequenceOf(lane) + 1, nowMicros)',
    replace: 'this.sequenceOf(lane) + 1',
    profile: 'clones',
    seedsMax: 60,
  },
  {
    name: 'session-of-older-memory',
    what: 'A client whose memory is older than a session resumes it (I22).',
    file: 'storage-node/sessions/sessions.ts',
    find: 'if (session?.jobId === job && session.mutations <= mutations) return session',
    replace: 'if (session?.jobId === job && mutations >= 0) return session',
    also: [
      {
        file: 'client/routing/lanes.ts',
        find: 'Math.max(this.sequenceOf(lane) + 1, nowMicros)',
        replace: 'this.sequenceOf(lane) + 1',
      },
    ],
    profile: 'clones',
    seedsMax: 60,
  },
  {
    name: 'answer-of-another-mutation',
    what: 'A stored answer is given to any mutation with its lane and sequence (I22).',
    file: 'storage-node/sessions/sessions.ts',
    find: 'if (operation !== lane.operation || keys !== lane.keys)',
    replace: 'if (operation + keys < 0)',
    also: [
      {
        file: 'client/routing/lanes.ts',
        find: 'Math.max(this.sequenceOf(lane) + 1, nowMicros)',
        replace: 'this.sequenceOf(lane) + 1',
      },
    ],
    profile: 'clones',
    seedsMax: 100,
  },
  {
    name: 'mac-travels',
    what: "A client proves that it knows its token's MAC by sending it (I23).",
    file: 'protocol/transport/proof.ts',
    find: "return prove(mac, 'mayfly hello', nonce, encode(helloFields, fields))",
    replace: 'return Buffer.from(nonce.length + fields.mutations < 0 ? nonce : mac)',
    seedsMax: 5,
  },
  {
    name: 'part-stored-and-refused',
    what: 'A putMany is refused as a whole after a part of it was stored, because the rest found no room (I13).',
    file: 'storage-node/admission/capacity-wait.ts',
    find: 'if (isOwnFault(error)) throw error',
    replace: 'if (isOwnFault(error) || results.length > 0) throw error',
    profile: 'bounds',
    seedsMax: 60,
  },
  {
    name: 'cancelled-though-done',
    what: 'A node says of a mutation that was cancelled while it ran that nothing was done, and it was (I9).',
    file: 'service/server/responder.ts',
    find: '        end()\n        this.#options.turns.begin(this.#job)\n',
    replace:
      "        if (this.#underWay.isCancelled(id)) {\n          end()\n          return this.#fail(id, new MayflyError('ABORTED', 'The client gave the request up'), counts)\n        }\n        end()\n        this.#options.turns.begin(this.#job)\n",
    also: [
      {
        file: 'service/server/requests-under-way.ts',
        find: '      this.#cancelled.add(id)\n      return false\n',
        replace: '      this.#cancelled.add(id)\n      return true\n',
      },
      {
        file: 'service/server/requests-under-way.ts',
        find: '  /** The connection is gone. */\n',
        replace:
          '  isCancelled(id: number): boolean {\n    return this.#cancelled.has(id)\n  }\n\n  /** The connection is gone. */\n',
      },
    ],
    profile: 'persisted',
    seedsMax: 30,
  },
]
