/**
 * How long a leader may make decisions after it sent a renewal that was answered. A take-over takes this, one poll, and the time to load the
 * state: 4 + 0.25 s, and 0.1 s per 1,000 jobs. The goal is 6 s.
 */
export const LEAD_MS = 4_000
/** Three renewals may fail before the lead is lost. */
export const LEAD_RENEW_MS = 1_000
/** Deadline of a renewal: after a failed one another must fit into the lead. */
export const LEAD_RENEWAL_MS_MAX = 1_500
/** A leader considers its lead expired this much earlier than the database: clocks drift by far less over 4 s. */
export const LEAD_MARGIN_MS = 400
/** Poll interval of a standby: a released lead is taken within a second. */
export const LEAD_POLL_MS = 250
/** Back-off between attempts while the database does not answer. */
export const DATABASE_RETRY_MS_MIN = 50
export const DATABASE_RETRY_MS_MAX = 500

/** Connections of one process: a commit takes about a millisecond, so these carry thousands of decisions per second. */
export const DATABASE_CONNECTIONS_MAX = 8
/** Statements that wait for a connection; more are refused at once. */
export const DATABASE_WAITING_MAX = 10_000
/** Deadline for opening a connection, or for getting one of the pool. */
export const DATABASE_CONNECT_MS_MAX = 2_000
/** Deadline of one statement, with its round trip. */
export const DATABASE_STATEMENT_MS_MAX = 2_000
/** Deadline of all attempts to store a decision. Below `CONTROL_CALL_MS`, so that the caller gets the reason before its own deadline. */
export const DATABASE_WRITE_MS_MAX = 4_000
/** Deadline for reading the whole state at the start, and for migrating it. */
export const DATABASE_LOAD_MS_MAX = 60_000
/**
 * A metadata server that cannot renew its lead because the database is away goes on granting leases to nodes for up to so long: a restart or a failover of the
 * database takes less. It needs the votes of its nodes for that.
 */
export const DATABASE_AWAY_MS_MAX = 75_000
/** Voters are asked when the lead was not renewed for so long, which leaves time for two rounds before it expires. */
export const VOTES_NEEDED_MS = 2_000
/**
 * How long a majority of votes counts, from when they were asked for. They are asked for every second, and an answer that takes longer than
 * `VOTE_MS` is not waited for, so that two rounds fit. A successor that half of the voters follow waits for so long before silence of nodes counts.
 */
export const VOTES_MS = 3_000
export const VOTE_MS = 500
/** Voters of one role. More make a vote no better; of fewer the loss of one machine could take half. */
export const VOTERS_MAX = 15
